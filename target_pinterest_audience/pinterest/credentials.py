"""Access tokens: a ready one, or renewed by OAuth, with the rotated refresh token kept for the next run."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

import msgspec
from requests.auth import HTTPBasicAuth

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.answers import UNREADABLE
from target_pinterest_audience.pinterest.errors import (
    NotPermittedError,
    RefusedError,
    TokenExpiredError,
)
from target_pinterest_audience.pinterest.models import Tokens
from target_pinterest_audience.pinterest.request import Request
from target_pinterest_audience.pinterest.transport import Transport


class StoredTokens(msgspec.Struct, frozen=True):
    """What the credentials file holds, for any number of sign-ins."""

    refresh_tokens: dict[str, str]
    """The digest of a refresh token in somebody's configuration → its newest descendant."""


class TokenStore(Protocol):
    """Where the newest refresh tokens are kept between runs. Every method raises a ConfigurationError if it cannot."""

    def newest(self, configured: str) -> str:
        """Return the newest descendant of a configured refresh token: the token itself if it has none."""
        ...

    def keep(self, refresh_token: str, configured: str) -> None:
        """Keep the newest descendant of a configured token."""
        ...

    def ensure_writable(self) -> None:
        """Make sure that a token can be kept, before one is asked for: Pinterest revokes the old one at once."""
        ...


class CredentialsFile:
    """Keeps the newest refresh tokens: configurations still hold the ones that Pinterest has replaced."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is created when there is something to keep."""
        self._path = path

    def __str__(self) -> str:
        """Name the file."""
        return f"the credentials file {self._path}"

    def newest(self, configured: str) -> str:
        """Return the newest descendant of a configured refresh token: the token itself if it has none.

        A person who signs in anew puts a new token into the configuration, which has none yet.

        Raises:
            ConfigurationError: the file is there and cannot be read.
        """
        return self._read().get(origin_of(configured), configured)

    def keep(self, refresh_token: str, configured: str) -> None:
        """Write the newest descendant of a configured token, atomically and readable by the owner only.

        Raises:
            ConfigurationError: the file cannot be read or written.
        """
        self._write({**self._read(), origin_of(configured): refresh_token})

    def ensure_writable(self) -> None:
        """Make sure that a token can be kept, before one is asked for: Pinterest revokes the old one at once.

        Raises:
            ConfigurationError: a file cannot be written there.
        """
        self._write_beside(b"").unlink()

    def _read(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=StoredTokens).refresh_tokens
        except FileNotFoundError:
            return {}
        except (OSError, *UNREADABLE):
            msg = f"The credentials file {self._path} cannot be read. Repair it, or delete it and sign in again."
            raise ConfigurationError(msg) from None

    def _write(self, refresh_tokens: dict[str, str]) -> None:
        self._write_beside(msgspec.json.encode(StoredTokens(refresh_tokens))).replace(self._path)

    def _write_beside(self, content: bytes) -> Path:
        """Write a file in the same folder, which can then take the place of the other at one stroke."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # mkstemp makes files that only their owner can read.
            descriptor, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            return Path(temporary)
        except OSError as error:
            msg = (
                f"The credentials file {self._path} cannot be written ({error.strerror}), and without it the next run "
                "could not sign in. Set `credentials_file` to a place that can be written."
            )
            raise ConfigurationError(msg) from None


class Credentials:
    """The token source of a run: a ready access token as long as it is good, else OAuth."""

    def __init__(
        self,
        transport: Transport,
        store: TokenStore,
        *,
        access_token: str | None,
        client_id: str | None,
        client_secret: str | None,
        refresh_token: str | None,
        shield: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Keep what the settings give; nothing is sent yet.

        Args:
            transport: reaches Pinterest.
            store: where the newest refresh token is kept.
            access_token: a ready token.
            client_id: the app.
            client_secret: its secret.
            refresh_token: the one in the configuration.
            shield: lets signals wait while a token is exchanged and kept: between the two it exists nowhere else.
        """
        self._transport = transport
        self._store = store
        self._shield = shield
        self._access_token = access_token
        self._client_id = client_id
        self._client_secret = client_secret
        self._refresh_token = refresh_token
        # Pinterest revokes a refresh token as soon as it gives a new one: two exchanges at once would lose one.
        self._one_at_a_time = threading.Lock()

    def access_token(self) -> str:
        """Return the access token, fetching one if there is none."""
        with self._one_at_a_time:
            return self._access_token or self._refresh()

    def renew(self, token: str, refused: TokenExpiredError) -> str:
        """Return a new access token.

        Args:
            token: the access token that was refused; if another thread has renewed it meanwhile, that one is returned.
            refused: the refusal.

        Raises:
            TokenExpiredError: the refusal, if there is no refresh token to renew by.
            NotPermittedError: the refresh token is not accepted either.
        """
        if not (self._client_id and self._client_secret and self._refresh_token):
            raise refused
        with self._one_at_a_time:
            return self._access_token if self._access_token not in {None, token} else self._refresh()

    def _refresh(self) -> str:
        if not (self._client_id and self._client_secret and self._refresh_token):
            msg = "There is no access token, and no OAuth settings to fetch one by."
            raise ConfigurationError(msg)
        newest = self._store.newest(self._refresh_token)
        self._store.ensure_writable()
        try:
            with self._shield():
                tokens = refresh_access_token(self._transport, self._client_id, self._client_secret, newest)
                if tokens.refresh_token is not None and tokens.refresh_token != newest:
                    self._store.keep(tokens.refresh_token, self._refresh_token)
        except (RefusedError, TokenExpiredError, NotPermittedError) as error:
            origin = "the configuration" if newest == self._refresh_token else str(self._store)
            msg = (
                f"Pinterest does not accept `client_id` and `client_secret`, or the refresh token from {origin} (HTTP "
                f"{error.status}, code {error.code}). Check the first two; else sign in again and set `refresh_token`. "
                "A token that was used once is replaced: if the credentials file was lost, that is why."
            )
            raise NotPermittedError(msg, status=error.status, code=error.code) from None
        self._access_token = tokens.access_token
        return tokens.access_token


def refresh_access_token(transport: Transport, client_id: str, client_secret: str, refresh_token: str) -> Tokens:
    """Exchange a refresh token for an access token, and usually for a new refresh token.

    Raises:
        PinterestError: the subclass says what can be done.
    """
    # Apps from before 2025-09-25 get a refresh token without an end only if they ask; newer ones ignore the field.
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "continuous_refresh": "true"}
    request = Request("POST", "/oauth/token", form=form, personal=True)
    return transport.send(request, HTTPBasicAuth(client_id, client_secret), Tokens)


def origin_of(token: str) -> str:
    """Return what the newest descendant of a configured refresh token is kept under."""
    return hashlib.sha256(token.encode()).hexdigest()
