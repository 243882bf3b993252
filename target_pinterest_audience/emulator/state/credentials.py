"""Access tokens, and the exchange of codes and refresh tokens for them."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from target_pinterest_audience.emulator.errors import (
    AUTHENTICATION_FAILED,
    INSUFFICIENT_PERMISSIONS,
    INVALID_GRANT,
    ApiError,
    invalid_request,
)
from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.settings import Settings
from target_pinterest_audience.emulator.state.authorization import AuthorizationRequest

_SCOPE: Final = "ads:read ads:write"


class Client(NamedTuple):
    """The application that asks for a token, from the HTTP Basic header."""

    client_id: str
    client_secret: str


class _Grant(NamedTuple):
    """What a code or a refresh token allows."""

    ends: float
    scope: str
    redirect_uri: str | None = None
    """The URL that a code was sent to; the exchange must name it again."""


class Credentials:
    """The tokens and codes that work, and until when."""

    def __init__(self, settings: Settings, clock: Callable[[], float], random: random_module.Random) -> None:
        """Start with the tokens of the settings.

        Args:
            settings: the emulator's.
            clock: returns the Unix time in seconds.
            random: generates the tokens that are issued.
        """
        self._settings = settings
        self._clock = clock
        self._random = random
        self._access_tokens = {settings.access_token: clock() + settings.access_token_lifetime_seconds}
        self._refresh_tokens = {
            settings.refresh_token: _Grant(clock() + settings.refresh_token_lifetime_seconds, _SCOPE)
        }
        self._codes: Final[dict[str, _Grant]] = {}
        # One handler for each grant type.
        self._grants: Final[dict[str, Callable[[Mapping[str, str]], JsonObject]]] = {
            "authorization_code": self._redeem,
            "refresh_token": self._refresh,
        }

    def check(self, token: str | None, *, needs_person: bool = False) -> None:
        """Check that a Bearer token works.

        Args:
            token: the token; None if there is none.
            needs_person: whether the token of an application without a person is refused.

        Raises:
            ApiError: 401, code 2 for a token that is missing, unknown or expired, code 3 for a restricted one, with the
                messages of recorded live calls; 403 code 3 for a token without a person where one is needed. How
                Pinterest answers that is not known: its description only lists who may call what.
        """
        if token in self._settings.application_tokens:
            if needs_person:
                raise ApiError(403, INSUFFICIENT_PERMISSIONS, "Your token does not have sufficient permissions.")
            return
        if token in self._settings.restricted_tokens:
            raise ApiError(401, INSUFFICIENT_PERMISSIONS, "Your application consumer type is not supported.")
        if token is None or self._clock() >= self._access_tokens.get(token, 0):
            raise _authentication_failed()

    def expire_access_tokens(self) -> None:
        """Let every access token expire now; refresh tokens go on working."""
        self._access_tokens.clear()

    def authorize(self, asked: AuthorizationRequest) -> str:
        """Return a new code for what a person has just allowed; it works once."""
        code = f"{self._random.getrandbits(160):040x}"
        ends = self._clock() + self._settings.code_lifetime_seconds
        self._codes[code] = _Grant(ends, asked.scope, asked.redirect_uri)
        return code

    def exchange(self, client: Client | None, form: Mapping[str, str]) -> JsonObject:
        """Answer a call of the token endpoint.

        Args:
            client: the application, from the HTTP Basic header; None if the call has no such header.
            form: the fields of the form-encoded body.

        Returns:
            The body of the answer: new tokens and their lifetimes in seconds.

        Raises:
            ApiError: 401 for a wrong application, code or refresh token, 400 for anything else.
        """
        if client != (self._settings.client_id, self._settings.client_secret):
            raise _authentication_failed()
        grant_type = form.get("grant_type")
        if grant_type is None:
            message = "grant_type is required, in a form-encoded body."
            raise invalid_request(message)
        grant = self._grants.get(grant_type)
        if grant is None:
            message = f"This emulator supports only these grant types: {', '.join(self._grants)}."
            raise invalid_request(message)
        return grant(form)

    def _refresh(self, form: Mapping[str, str]) -> JsonObject:
        """Exchange a refresh token for new tokens (fields as in the API description 5.23)."""
        old = _required(form, "refresh_token")
        grant = self._refresh_tokens.get(old)
        if grant is None or self._clock() >= grant.ends:
            if self._settings.revoke_all_on_reuse:
                self._refresh_tokens.clear()
            raise _invalid_grant()
        issued = self._issue("refresh_token", grant.scope)
        if not self._settings.renew_refresh_token:
            return {**issued, "refresh_token": old}
        if self._settings.revoke_old_refresh_token:
            del self._refresh_tokens[old]
        return issued

    def _redeem(self, form: Mapping[str, str]) -> JsonObject:
        """Exchange a code for the first tokens (fields as in the API description 5.23)."""
        code, redirect_uri = _required(form, "code"), _required(form, "redirect_uri")
        # A code works for one attempt, even if the exchange fails (RFC 6749, section 4.1.2).
        grant = self._codes.pop(code, None)
        if grant is None or self._clock() >= grant.ends or redirect_uri != grant.redirect_uri:
            raise _invalid_grant()
        return self._issue("authorization_code", grant.scope)

    def _issue(self, response_type: str, scope: str) -> JsonObject:
        """Issue a pair of tokens, with the prefixes of Pinterest's."""
        access_token = f"pina_{self._random.getrandbits(128):032x}"
        refresh_token = f"pinr_{self._random.getrandbits(128):032x}"
        access_lifetime = self._settings.access_token_lifetime_seconds
        refresh_lifetime = self._settings.refresh_token_lifetime_seconds
        self._access_tokens[access_token] = self._clock() + access_lifetime
        self._refresh_tokens[refresh_token] = _Grant(self._clock() + refresh_lifetime, scope)
        return {
            "access_token": access_token,
            "expires_in": int(access_lifetime),
            "refresh_token": refresh_token,
            "refresh_token_expires_at": int(self._clock() + refresh_lifetime),
            "refresh_token_expires_in": int(refresh_lifetime),
            "response_type": response_type,
            "scope": scope,
            "token_type": "bearer",
        }


def _required(form: Mapping[str, str], name: str) -> str:
    """Return a field of the form.

    Raises:
        ApiError: 400, the field is missing.
    """
    value = form.get(name)
    if not value:
        message = f"{name} is required."
        raise invalid_request(message)
    return value


def _invalid_grant() -> ApiError:
    """Return the answer for a code or refresh token that does not work.

    Users of Pinterest's quickstart report this status; code and message are those of an older version of the API.
    """
    return ApiError(401, INVALID_GRANT, "The authorization grant is invalid.")


def _authentication_failed() -> ApiError:
    """Return the answer that a recorded live call got for a token of another environment."""
    return ApiError(401, AUTHENTICATION_FAILED, "Authentication failed.")
