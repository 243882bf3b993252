"""The OAuth authorisation-code flow: what a person is asked, and what comes of the answer (RFC 6749, section 4.1)."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from oauthlib.oauth2 import AccessDeniedError, MismatchingStateError, OAuth2Error, WebApplicationClient
from requests.auth import HTTPBasicAuth

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.errors import NotPermittedError, RefusedError, TokenExpiredError
from target_pinterest_audience.pinterest.models import Tokens
from target_pinterest_audience.pinterest.request import Request
from target_pinterest_audience.pinterest.tokens import SCOPES, require_scopes
from target_pinterest_audience.pinterest.transport import Transport
from target_pinterest_audience.text.redaction import hide
from target_pinterest_audience.text.urls import is_loopback, is_safe, parse_address

_CONSENT_PAGE: Final = "https://www.pinterest.com/oauth/"
"""Pinterest's, as the API description 5.23 has it."""

_INVALID_GRANT: Final = 283
"""Pinterest's code for a grant that is worth nothing, known of its older API."""

_WORD: Final = re.compile(r"[a-z_]{1,40}")


class Granted(NamedTuple):
    """What a person has given to an app."""

    refresh_token: str
    lifetime: Any
    """Seconds that it lives unless it is used, if Pinterest told."""


def consent_page(api_url: str) -> str:
    """Return the address of the page on which a person allows an app to act for them.

    Pinterest's is on a host of its own, by whatever way the API is reached. What plays Pinterest on the loopback
    interface has one beside its API.

    Args:
        api_url: the setting.
    """
    parts = urlsplit(api_url)
    return parts._replace(path="/oauth/").geturl() if is_loopback(parts) else _CONSENT_PAGE


def check_redirect_uri(uri: str) -> None:
    """Make sure that an answer can be sent to an address.

    Raises:
        ConfigurationError: it cannot.
    """
    parts = parse_address(uri)
    if parts is None:
        msg = "The redirect address must have a form such as http://localhost:8085/, with nothing behind a #."
        raise ConfigurationError(msg)
    if not is_safe(parts):
        msg = "The redirect address must begin with https; http is for this machine only, since a code travels on it."
        raise ConfigurationError(msg)


class Authorization:
    """One attempt to sign in at Pinterest."""

    def __init__(self, page: str, client_id: str, redirect_uri: str, state: str) -> None:
        """Prepare; nothing is asked yet.

        Args:
            page: where a person is asked: what `consent_page` returned.
            client_id: the id of the app.
            redirect_uri: where the answer is sent; exactly one of the redirect links that the app has at Pinterest.
            state: random text. An answer without it belongs to somebody else's attempt: an attacker's, say, who wants
                people to be uploaded to an account of their own.
        """
        self._page = page
        self._client_id = client_id
        self._redirect_uri = redirect_uri
        self._state = state
        self._client = WebApplicationClient(client_id)

    @property
    def address(self) -> str:
        """What a person has to open in a browser."""
        # oauthlib takes https only, and the emulator has none: what goes there does not leave the machine.
        secure = urlsplit(self._page)._replace(scheme="https").geturl()
        # With commas (fact of Pinterest's documentation), where RFC 6749 has blanks.
        asked = self._client.prepare_request_uri(secure, self._redirect_uri, ",".join(SCOPES), self._state)
        return urlsplit(asked)._replace(scheme=urlsplit(self._page).scheme).geturl()

    def is_answered_by(self, query: str) -> bool:
        """Tell whether the query of an address is an answer to this attempt: any page can have a browser open one."""
        return [self._state] == parse_qs(query).get("state")

    def code(self, redirected: str) -> str:
        """Return the code that was given to a person who allowed what was asked.

        Args:
            redirected: the address that the browser was sent to in the end.

        Raises:
            NotPermittedError: consent was denied, or the address is not the answer to this attempt.
        """
        # Likewise; to the loopback interface a browser comes by http (RFC 8252, section 7.3).
        secure = f"https://localhost/?{urlsplit(redirected).query}"
        try:
            answer: dict[str, str] = self._client.parse_request_uri_response(secure, self._state)
        except MismatchingStateError:
            msg = (
                "The answer does not belong to this sign-in (its state differs), so it was not used. It may be that of "
                "an earlier call; if you opened no other, somebody tried to sign you in elsewhere. Call "
                "`pinterest-audience login` again, and open only the address that it shows."
            )
            raise NotPermittedError(msg) from None
        except AccessDeniedError:
            msg = (
                "The access was denied on Pinterest's page. Without it nothing can be uploaded: call "
                "`pinterest-audience login` again, and allow it."
            )
            raise NotPermittedError(msg) from None
        except OAuth2Error as error:
            named = f" ({error.error})" if _WORD.fullmatch(str(error.error)) else ""
            msg = (
                f"Pinterest gave no code{named}. Check `client_id`, and that the app has access to the API; then call "
                "`pinterest-audience login` again."
            )
            raise NotPermittedError(msg) from None
        return answer["code"]

    def exchange(self, transport: Transport, client_secret: str, code: str) -> Granted:
        """Exchange a code for a refresh token.

        Args:
            transport: reaches Pinterest.
            client_secret: the secret of the app.
            code: what `code` returned; it works once.

        Raises:
            NotPermittedError: Pinterest accepts neither, or what was allowed is not enough.
            PinterestError: the subclass says what can be done.
        """
        hide([code])
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect_uri}
        # Apps from before 2025-09-25 get a refresh token without an end only if they ask; newer ones ignore the field.
        form["continuous_refresh"] = "true"
        # A code that is sent twice may cost the tokens it was given for (RFC 6749, section 4.1.2).
        request = Request("POST", "/oauth/token", form=form, creates=True, personal=True)
        try:
            tokens = transport.send(request, HTTPBasicAuth(self._client_id, client_secret), Tokens).body
        except (RefusedError, TokenExpiredError, NotPermittedError) as error:
            told = f"(HTTP {error.status}, code {error.code})"
            if error.code == _INVALID_GRANT:
                msg = (
                    f"Pinterest does not accept the code {told}: it is too old, was used before, or was given for "
                    f"another redirect address than {self._redirect_uri}. Call `pinterest-audience login` again, and "
                    "finish within a minute or two."
                )
            else:
                msg = (
                    f"Pinterest does not accept `client_id` and `client_secret` {told}. Copy both again from the app's "
                    "page at Pinterest. If they are right, the code was too old or the redirect address "
                    f"{self._redirect_uri} is not the app's: call `pinterest-audience login` again."
                )
            raise NotPermittedError(msg, status=error.status, code=error.code) from None
        hide([tokens.access_token, tokens.new_refresh_token])
        require_scopes(tokens)
        if tokens.new_refresh_token is None:
            msg = (
                "Pinterest gave an access token and no refresh token, so that the sign-in would end with it. Check at "
                "Pinterest that the app may have refresh tokens."
            )
            raise NotPermittedError(msg)
        return Granted(tokens.new_refresh_token, tokens.refresh_token_expires_in)
