"""Access tokens: a ready one, or renewed by OAuth, with the rotated refresh token kept for the next run."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec
from filelock import FileLock, Timeout
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
from target_pinterest_audience.redaction import hide

_LOCK_SECONDS: Final = 300.0
_BEFORE_EXPIRY_SECONDS: Final = 300.0
_WARN_BEFORE_SECONDS: Final = 14 * 86_400.0
_SCOPES: Final = frozenset({"ads:read", "ads:write"})
"""What customer lists and audiences need (API description 5.23)."""


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

    def exclusive(self) -> AbstractContextManager[None]:
        """Let other processes that want to exchange a token wait while the block runs."""
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

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let other processes that want to exchange a token wait while the block runs.

        Raises:
            ConfigurationError: a file cannot be locked there, or somebody has it for minutes.
        """
        path = self._path.with_name(f".{self._path.name}.lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, mode=0o600, timeout=_LOCK_SECONDS, thread_local=False)
            lock.acquire(poll_interval=0.2)
        # NotImplementedError is how filelock says that a file system has no locks.
        except (OSError, NotImplementedError) as error:
            reason = "another process keeps it locked" if isinstance(error, Timeout) else type(error).__name__
            msg = f"The credentials file {self._path} cannot be locked ({reason}). Set `credentials_file` elsewhere."
            raise ConfigurationError(msg) from None
        try:
            yield
        finally:
            lock.release()

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


@dataclass(frozen=True, slots=True)
class SignIn:
    """What OAuth takes: the app, its secret, and the refresh token in the configuration."""

    client_id: str
    client_secret: str
    refresh_token: str

    @classmethod
    def of(cls, client_id: str | None, client_secret: str | None, refresh_token: str | None) -> SignIn | None:
        """Return a sign-in; None if it is not whole."""
        if client_id and client_secret and refresh_token:
            return cls(client_id, client_secret, refresh_token)
        return None


class Credentials:
    """The token source of a run: a ready access token as long as it is good, else OAuth."""

    def __init__(
        self,
        transport: Transport,
        store: TokenStore,
        *,
        access_token: str | None,
        sign_in: SignIn | None,
        logger: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
        shield: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Keep what the settings give; nothing is sent yet.

        Args:
            transport: reaches Pinterest.
            store: where the newest refresh token is kept.
            access_token: a ready token.
            sign_in: what new tokens are got by.
            logger: warned of a sign-in that ends soon.
            clock: seconds that only ever grow.
            shield: lets signals wait while a token is exchanged and kept: between the two it exists nowhere else.
        """
        self._transport = transport
        self._store = store
        self._logger = logger
        self._clock = clock
        self._shield = shield
        self._expires_at: float | None = None
        self._access_token = access_token
        self._sign_in = sign_in
        # Pinterest revokes a refresh token as soon as it gives a new one: two exchanges at once would lose one.
        self._one_at_a_time = threading.Lock()

    def access_token(self) -> str:
        """Return the access token, fetching one if there is none."""
        with self._one_at_a_time:
            ends = self._expires_at is not None and self._clock() >= self._expires_at - _BEFORE_EXPIRY_SECONDS
            return self._refresh() if self._access_token is None or ends else self._access_token

    def renew(self, token: str, refused: TokenExpiredError) -> str:
        """Return a new access token.

        Args:
            token: the access token that was refused; if another thread has renewed it meanwhile, that one is returned.
            refused: the refusal.

        Raises:
            TokenExpiredError: the refusal, if there is no refresh token to renew by.
            NotPermittedError: the refresh token is not accepted either.
        """
        if self._sign_in is None:
            raise refused
        with self._one_at_a_time:
            return self._access_token if self._access_token not in {None, token} else self._refresh()

    def _refresh(self) -> str:
        if self._sign_in is None:
            msg = "There is no access token, and no OAuth settings to fetch one by."
            raise ConfigurationError(msg)
        with self._store.exclusive():
            tokens = self._exchange(self._sign_in)
        hide([tokens.access_token, tokens.refresh_token])
        self._look_at(tokens)
        self._access_token = tokens.access_token
        return tokens.access_token

    def _exchange(self, sign_in: SignIn) -> Tokens:
        """Get new tokens, and keep the one that the next run needs."""
        configured = sign_in.refresh_token
        newest = self._store.newest(configured)
        self._store.ensure_writable()
        try:
            with self._shield():
                tokens = refresh_access_token(self._transport, sign_in.client_id, sign_in.client_secret, newest)
                if tokens.refresh_token is not None and tokens.refresh_token != newest:
                    self._store.keep(tokens.refresh_token, configured)
                return tokens
        except (RefusedError, TokenExpiredError, NotPermittedError) as error:
            origin = "the configuration" if newest == configured else str(self._store)
            msg = (
                f"Pinterest does not accept `client_id` and `client_secret`, or the refresh token from {origin} (HTTP "
                f"{error.status}, code {error.code}). Check the first two; else sign in again and set `refresh_token`. "
                "A token that was used once is replaced: if the credentials file was lost, that is why."
            )
            raise NotPermittedError(msg, status=error.status, code=error.code) from None

    def _look_at(self, tokens: Tokens) -> None:
        """Note when the tokens end, and what they are not good for.

        Raises:
            NotPermittedError: the person who signed in did not allow what is needed.
        """
        lives, signed_in = _seconds(tokens.expires_in), _seconds(tokens.refresh_token_expires_in)
        self._expires_at = self._clock() + lives if lives is not None else None
        if signed_in is not None and signed_in < _WARN_BEFORE_SECONDS:
            self._logger.warning(
                "The sign-in at Pinterest ends in %.0f days. Sign in again before that, and set `refresh_token`: "
                "without one that is valid no run can do anything.", signed_in / 86_400,
            )  # fmt: skip
        scopes = set(tokens.scope.replace(",", " ").split()) if isinstance(tokens.scope, str) else set()
        missing = sorted(_SCOPES - scopes)
        if scopes and missing:
            msg = (
                f"The sign-in at Pinterest lacks the scope {' and '.join(missing)}. Sign in again, with "
                f"{' and '.join(sorted(_SCOPES))}, and set `refresh_token`."
            )
            raise NotPermittedError(msg)


def _seconds(value: object) -> float | None:
    """Return a number of seconds that Pinterest gave, if it is one."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


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
