"""Access tokens: from the settings, or renewed by OAuth. The rotated refresh token is stored for the next run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.errors import (
    NotPermittedError,
    RefusedError,
    TokenExpiredError,
    UnavailableError,
)
from target_pinterest_audience.pinterest.models import Tokens
from target_pinterest_audience.pinterest.request import Basic, Request
from target_pinterest_audience.system.token_store import TokenStore
from target_pinterest_audience.text.counts import several
from target_pinterest_audience.text.redaction import hide

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.transport import Transport

_BEFORE_EXPIRY_SECONDS: Final = 300.0
_EXCHANGE_SECONDS: Final = 60.0
_SHORTEST_LIFE_SECONDS: Final = 60.0
"""The target uses a token for at least so long, or each request might renew a token of a shorter lifetime."""

_LONGEST_LIFE_SECONDS: Final = 100 * 366 * 86_400.0
WARN_BEFORE_SECONDS: Final = 14 * 86_400.0
SCOPES: Final = ("ads:read", "ads:write")
"""The scopes that customer lists and audiences need (API description 5.23)."""


class _NotSignedInError(ConfigurationError):
    """There is no refresh token in the settings or in the store."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """The settings for OAuth: the app, its secret, and the refresh token."""

    client_id: str
    client_secret: str
    refresh_token: str | None
    """None: the one that `pinterest-audience login` stored."""

    @classmethod
    def of(cls, client_id: str | None, client_secret: str | None, refresh_token: str | None) -> SignIn | None:
        """Return a sign-in; None if the settings name no app."""
        return cls(client_id, client_secret, refresh_token) if client_id and client_secret else None

    @property
    def origin(self) -> str:
        """The key of the sign-in in the store, which stays the same while its refresh tokens are replaced.

        It is the refresh token in the settings, so that a new one there takes effect at once; or else the app.
        """
        return self.refresh_token or f"app {self.client_id}"


class Credentials:
    """The token source of a run: the access token in the settings as long as it is valid, else OAuth."""

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
        """Create it; nothing is sent yet.

        Args:
            transport: sends token requests.
            store: stores the newest refresh token.
            access_token: the access token in the settings.
            sign_in: how to get new tokens.
            logger: logs a warning if the sign-in ends soon.
            clock: monotonic time in seconds.
            shield: delays signals between the moment when Pinterest issues a token and the moment when it is stored.
        """
        self._transport = transport
        self._store = store
        self._logger = logger
        self._clock = clock
        self._shield = shield
        self.sign_in_seconds: float | None = None
        """For how long the sign-in was valid when it returned a token; None if that is not known."""
        self._expires_at: float | None = None
        self._access_token = access_token
        self._sign_in = sign_in
        # Pinterest revokes a refresh token as soon as it issues a new one: parallel requests would lose one.
        self._one_at_a_time = threading.Lock()
        self._closed = False

    def access_token(self) -> str:
        """Return the access token, after renewing it if there is none or it expires soon."""
        with self._one_at_a_time:
            ends = self._expires_at is not None and self._clock() >= self._expires_at
            return self._refresh() if self._access_token is None or ends else self._access_token

    def renew(self, token: str, refused: TokenExpiredError) -> str:
        """Return a new access token.

        Args:
            token: the access token that Pinterest refused. If another thread has renewed it since, the new one is
                returned.
            refused: the refusal.

        Raises:
            TokenExpiredError: there is no refresh token; this is the refusal.
            NotPermittedError: Pinterest does not accept the refresh token either.
        """
        if self._sign_in is None:
            raise refused
        with self._one_at_a_time:
            try:
                return self._access_token if self._access_token not in {None, token} else self._refresh()
            except _NotSignedInError:
                raise refused from None

    def close(self) -> None:
        """Wait for a token request that is under way, for up to a minute, and send no more.

        A new refresh token that Pinterest issued and the target did not store would be lost; the old one is invalid.
        """
        if self._one_at_a_time.acquire(timeout=_EXCHANGE_SECONDS):
            self._closed = True
            self._one_at_a_time.release()

    def _refresh(self) -> str:
        if self._sign_in is None:
            msg = "There is no access token, and there are no OAuth settings to get one with."
            raise ConfigurationError(msg)
        if self._closed:
            msg = "The run is over, so the target requests no new token."
            raise UnavailableError(msg)
        with self._store.exclusive():
            tokens, _ = exchange_newest(self._transport, self._store, self._sign_in, self._shield)
        access_token = tokens.new_access_token
        if access_token is None:
            msg = (
                "Pinterest's response to the token request has no valid access token. Its refresh token is stored, so "
                "the sign-in remains. Try again later."
            )
            raise UnavailableError(msg)
        self._check(tokens)
        self._access_token = access_token
        return access_token

    def _check(self, tokens: Tokens) -> None:
        """Record when the tokens expire, and check their scopes.

        Raises:
            NotPermittedError: a scope is missing.
        """
        lifetime, signed_in = _seconds(tokens.expires_in), _seconds(tokens.refresh_token_expires_in)
        self.sign_in_seconds = signed_in
        if lifetime is not None:
            used = max(lifetime - _BEFORE_EXPIRY_SECONDS, lifetime / 2, _SHORTEST_LIFE_SECONDS)
            self._expires_at = self._clock() + used
        if signed_in is not None and signed_in < WARN_BEFORE_SECONDS:
            self._logger.warning(
                "The sign-in at Pinterest expires in %s. Run `pinterest-audience login` before that, or runs will "
                "fail.", several(round(signed_in / 86_400), "day", "days"),
            )  # fmt: skip
        require_scopes(tokens)


def require_scopes(tokens: Tokens) -> None:
    """Check that tokens have the scopes that the target needs, if Pinterest returned the scopes.

    Raises:
        NotPermittedError: a scope is missing.
    """
    scopes = tokens.scope.replace(",", " ").split() if isinstance(tokens.scope, str) else []
    missing = [each for each in SCOPES if each not in scopes]
    if scopes and missing:
        msg = (
            f"The sign-in at Pinterest lacks the scope {' and '.join(missing)}. Run `pinterest-audience login` "
            "again, and allow everything that it asks for."
        )
        raise NotPermittedError(msg)


def _seconds(value: object) -> float | None:
    """Return a lifetime in seconds, if it is plausible; None if it is not."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if 0 < value < _LONGEST_LIFE_SECONDS else None


def exchange_newest(
    transport: Transport,
    store: TokenStore,
    sign_in: SignIn,
    shield: Callable[[], AbstractContextManager[None]],
) -> tuple[Tokens, str]:
    """Exchange the newest refresh token of a sign-in, and store the one that the next run needs.

    The caller holds the lock of the store.

    Args:
        transport: sends the token request.
        store: stores the newest refresh token.
        sign_in: the sign-in.
        shield: delays signals between the moment when Pinterest issues a token and the moment when it is stored.

    Returns:
        The new tokens, and the refresh token that was exchanged for them.

    Raises:
        ConfigurationError: nobody has signed in, or the new token cannot be stored.
        NotPermittedError: Pinterest does not accept the app or the refresh token.
        PinterestError: the request failed otherwise.
    """
    stored = store.newest(sign_in.origin)
    newest = stored or sign_in.refresh_token
    if newest is None:
        msg = (
            f"Nobody has signed in: `refresh_token` is not set, and {store} has none for this app. If you removed "
            "`refresh_token` from the settings, put it back: its successors are stored under it. Otherwise run "
            "`pinterest-audience login` with the same configuration."
        )
        raise _NotSignedInError(msg)
    try:
        return exchange_and_keep(transport, store, sign_in, newest, shield), newest
    except (RefusedError, TokenExpiredError, NotPermittedError) as error:
        source = "the settings" if stored is None else str(store)
        msg = (
            f"Pinterest does not accept `client_id` and `client_secret`, or the refresh token from {source} (HTTP "
            f"{error.status}, code {error.code}). Check the first two. If they are right, sign in again with "
            "`pinterest-audience login`: each refresh token works only once, and its replacement may have been "
            "lost with the credentials file."
        )
        raise NotPermittedError(msg, status=error.status, code=error.code) from None


def exchange_and_keep(
    transport: Transport,
    store: TokenStore,
    sign_in: SignIn,
    refresh_token: str,
    shield: Callable[[], AbstractContextManager[None]],
) -> Tokens:
    """Exchange a refresh token of a sign-in, and store the new one. Arguments and errors as for `exchange_newest`."""
    with store.room() as keep, shield():
        tokens = refresh_access_token(transport, sign_in.client_id, sign_in.client_secret, refresh_token)
        if tokens.new_refresh_token not in {None, refresh_token}:
            keep(tokens.new_refresh_token, sign_in.origin)
    hide([tokens.new_access_token, tokens.new_refresh_token])
    return tokens


def refresh_access_token(transport: Transport, client_id: str, client_secret: str, refresh_token: str) -> Tokens:
    """Exchange a refresh token for an access token, and usually for a new refresh token.

    Raises:
        PinterestError: the request failed; the subclass says what can be done.
    """
    # Apps created before 2025-09-25 get a renewable refresh token only if they ask; newer apps ignore the field.
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "continuous_refresh": "true"}
    request = Request("POST", "/oauth/token", form=form, personal=True)
    return transport.send(request, Basic(client_id, client_secret), Tokens).body
