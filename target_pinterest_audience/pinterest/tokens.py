"""Access tokens: a ready one, or renewed by OAuth, with the rotated refresh token kept for the next run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

from requests.auth import HTTPBasicAuth

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.errors import (
    NotPermittedError,
    RefusedError,
    TokenExpiredError,
    UnavailableError,
)
from target_pinterest_audience.pinterest.models import Tokens
from target_pinterest_audience.pinterest.request import Request
from target_pinterest_audience.pinterest.transport import Transport
from target_pinterest_audience.system.token_store import TokenStore
from target_pinterest_audience.text.counts import several
from target_pinterest_audience.text.redaction import hide

_BEFORE_EXPIRY_SECONDS: Final = 300.0
_EXCHANGE_SECONDS: Final = 60.0
_SHORTEST_LIFE_SECONDS: Final = 60.0
"""A token that is said to live for less is used for so long all the same: each request would ask for a new one."""

_LONGEST_LIFE_SECONDS: Final = 100 * 366 * 86_400.0
WARN_BEFORE_SECONDS: Final = 14 * 86_400.0
SCOPES: Final = ("ads:read", "ads:write")
"""What customer lists and audiences need (API description 5.23)."""


class _NotSignedInError(ConfigurationError):
    """There is no refresh token, neither in the configuration nor in the store."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """What OAuth takes: the app, its secret, and the refresh token in the configuration."""

    client_id: str
    client_secret: str
    refresh_token: str | None
    """None: the one that `pinterest-audience login` has kept."""

    @classmethod
    def of(cls, client_id: str | None, client_secret: str | None, refresh_token: str | None) -> SignIn | None:
        """Return a sign-in; None if there is no app to sign in by."""
        return cls(client_id, client_secret, refresh_token) if client_id and client_secret else None

    @property
    def origin(self) -> str:
        """What the sign-in is known by while its refresh tokens are replaced.

        It is the one in the configuration, so that a new one there, of which nothing is kept yet, is used at once; or
        the app.
        """
        return self.refresh_token or f"app {self.client_id}"


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
        self.sign_in_seconds: float | None = None
        """For how long the sign-in held when a token was got by it; None if that is not known."""
        self._expires_at: float | None = None
        self._access_token = access_token
        self._sign_in = sign_in
        # Pinterest revokes a refresh token as soon as it gives a new one: two exchanges at once would lose one.
        self._one_at_a_time = threading.Lock()
        self._closed = False

    def access_token(self) -> str:
        """Return the access token, fetching one if there is none."""
        with self._one_at_a_time:
            ends = self._expires_at is not None and self._clock() >= self._expires_at
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
            try:
                return self._access_token if self._access_token not in {None, token} else self._refresh()
            except _NotSignedInError:
                raise refused from None

    def close(self) -> None:
        """Wait for an exchange that is under way, for a minute at most, and let none begin.

        A new refresh token that Pinterest has given and nobody has kept is lost, and the old one is worth nothing.
        """
        if self._one_at_a_time.acquire(timeout=_EXCHANGE_SECONDS):
            self._closed = True
            self._one_at_a_time.release()

    def _refresh(self) -> str:
        if self._sign_in is None:
            msg = "There is no access token, and no OAuth settings to fetch one by."
            raise ConfigurationError(msg)
        if self._closed:
            msg = "The run is over, so no new token is asked for."
            raise UnavailableError(msg)
        with self._store.exclusive():
            tokens = self._exchange(self._sign_in)
        hide([tokens.access_token, tokens.new_refresh_token])
        self._look_at(tokens)
        self._access_token = tokens.access_token
        return tokens.access_token

    def _exchange(self, sign_in: SignIn) -> Tokens:
        """Get new tokens, and keep the one that the next run needs."""
        kept = self._store.newest(sign_in.origin)
        newest = kept or sign_in.refresh_token
        if newest is None:
            msg = (
                f"Nobody has signed in: `refresh_token` is not set, and in {self._store} there is none for this app. "
                "Call `pinterest-audience login` with the same configuration."
            )
            raise _NotSignedInError(msg)
        try:
            with self._store.room() as keep, self._shield():
                tokens = refresh_access_token(self._transport, sign_in.client_id, sign_in.client_secret, newest)
                if tokens.new_refresh_token not in {None, newest}:
                    keep(tokens.new_refresh_token, sign_in.origin)
                return tokens
        except (RefusedError, TokenExpiredError, NotPermittedError) as error:
            place = "the configuration" if kept is None else str(self._store)
            msg = (
                f"Pinterest does not accept `client_id` and `client_secret`, or the refresh token from {place} (HTTP "
                f"{error.status}, code {error.code}). Check the first two; else sign in again, with "
                "`pinterest-audience login`. A token that was used once is replaced: if the credentials file was lost, "
                "that is why."
            )
            raise NotPermittedError(msg, status=error.status, code=error.code) from None

    def _look_at(self, tokens: Tokens) -> None:
        """Note when the tokens end, and what they are not good for.

        Raises:
            NotPermittedError: the person who signed in did not allow what is needed.
        """
        lives, signed_in = _seconds(tokens.expires_in), _seconds(tokens.refresh_token_expires_in)
        self.sign_in_seconds = signed_in
        if lives is not None:
            self._expires_at = self._clock() + max(lives - _BEFORE_EXPIRY_SECONDS, lives / 2, _SHORTEST_LIFE_SECONDS)
        if signed_in is not None and signed_in < WARN_BEFORE_SECONDS:
            self._logger.warning(
                "The sign-in at Pinterest ends in %s. Sign in again before that, with `pinterest-audience "
                "login`: without it no run can do anything.", several(round(signed_in / 86_400), "day", "days"),
            )  # fmt: skip
        require_scopes(tokens)


def require_scopes(tokens: Tokens) -> None:
    """Make sure that tokens are good for what is needed, as far as Pinterest tells.

    Raises:
        NotPermittedError: the person who signed in did not allow it.
    """
    scopes = tokens.scope.replace(",", " ").split() if isinstance(tokens.scope, str) else []
    missing = [each for each in SCOPES if each not in scopes]
    if scopes and missing:
        msg = (
            f"The sign-in at Pinterest lacks the scope {' and '.join(missing)}. Sign in again, with "
            "`pinterest-audience login`, and allow all that it asks for."
        )
        raise NotPermittedError(msg)


def _seconds(value: object) -> float | None:
    """Return a number of seconds that Pinterest gave, if it is one: a token that has ended already was not meant."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if 0 < value < _LONGEST_LIFE_SECONDS else None


def refresh_access_token(transport: Transport, client_id: str, client_secret: str, refresh_token: str) -> Tokens:
    """Exchange a refresh token for an access token, and usually for a new refresh token.

    Raises:
        PinterestError: the subclass says what can be done.
    """
    # Apps from before 2025-09-25 get a refresh token without an end only if they ask; newer ones ignore the field.
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "continuous_refresh": "true"}
    request = Request("POST", "/oauth/token", form=form, personal=True)
    return transport.send(request, HTTPBasicAuth(client_id, client_secret), Tokens).body
