"""The OAuth authorization code flow (RFC 6749, section 4.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from oauthlib.oauth2 import AccessDeniedError, MismatchingStateError, OAuth2Error, WebApplicationClient

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.errors import NotPermittedError, RefusedError, TokenExpiredError
from target_pinterest_audience.pinterest.models import Tokens
from target_pinterest_audience.pinterest.request import Basic, Request
from target_pinterest_audience.pinterest.tokens import SCOPES, require_scopes
from target_pinterest_audience.text.redaction import hide
from target_pinterest_audience.text.urls import is_loopback, is_safe, parse_address

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.transport import Transport

_CONSENT_PAGE: Final = "https://www.pinterest.com/oauth/"
"""Pinterest's consent page (API description 5.23)."""

_INVALID_GRANT: Final = 283
"""Pinterest's error code for an invalid grant, known from its older API."""

_WORD: Final = re.compile(r"[a-z_]{1,40}")


class Grant(NamedTuple):
    """The result of a sign-in."""

    refresh_token: str
    lifetime: Any
    """The lifetime of the refresh token in seconds, as Pinterest returned it."""


def consent_page(api_url: str) -> str:
    """Return the URL of the page on which a person allows an app to act for them.

    Pinterest's page has its own host, even if `api_url` names a proxy of the API. An emulator on the loopback interface
    serves the page beside its API.

    Args:
        api_url: the setting.
    """
    parts = urlsplit(api_url)
    return parts._replace(path="/oauth/").geturl() if is_loopback(parts) else _CONSENT_PAGE


def check_redirect_uri(uri: str) -> None:
    """Check that a redirect address is complete and safe.

    Raises:
        ConfigurationError: it is incomplete, has a fragment, or would send the code unencrypted over a network.
    """
    parts = parse_address(uri)
    if parts is None:
        msg = "The redirect address must look like http://localhost:8085/, without a part after #."
        raise ConfigurationError(msg)
    if not is_safe(parts):
        msg = "The redirect address must begin with https. http is allowed for this machine only: it carries a code."
        raise ConfigurationError(msg)


class Authorization:
    """One attempt to sign in at Pinterest."""

    def __init__(self, page: str, client_id: str, redirect_uri: str, state: str) -> None:
        """Create it; nothing is sent yet.

        Args:
            page: the URL of the consent page, from `consent_page`.
            client_id: the id of the app.
            redirect_uri: the URL to which Pinterest redirects the browser; exactly one of the app's redirect links.
            state: random text. An answer without it belongs to another attempt, perhaps that of an attacker who wants
                people uploaded to their own account.
        """
        self._page = page
        self._client_id = client_id
        self._redirect_uri = redirect_uri
        self._state = state
        self._client = WebApplicationClient(client_id)

    @property
    def address(self) -> str:
        """The URL that the person opens in a browser."""
        # oauthlib accepts https only. The emulator serves http, which does not leave the machine.
        secure = urlsplit(self._page)._replace(scheme="https").geturl()
        # Pinterest separates scopes by commas (fact of its documentation), RFC 6749 by blanks.
        asked = self._client.prepare_request_uri(secure, self._redirect_uri, ",".join(SCOPES), self._state)
        return urlsplit(asked)._replace(scheme=urlsplit(self._page).scheme).geturl()

    def is_answered_by(self, query: str) -> bool:
        """Return whether a query string answers this attempt: any web page can make a browser open the address."""
        return [self._state] == parse_qs(query).get("state")

    def code(self, redirected: str) -> str:
        """Return the authorization code from the URL to which Pinterest redirected the browser.

        Args:
            redirected: the URL.

        Raises:
            NotPermittedError: the person denied access, or the URL does not answer this attempt.
        """
        # oauthlib accepts https only. A browser reaches the loopback interface by http (RFC 8252, section 7.3).
        secure = f"https://localhost/?{urlsplit(redirected).query}"
        try:
            answer: dict[str, str] = self._client.parse_request_uri_response(secure, self._state)
        except MismatchingStateError:
            msg = (
                "The answer does not belong to this sign-in (its state differs), so it was not used. It may belong to "
                "an earlier `login`. If there was none, somebody may have tried to sign you in to another account. Run "
                "`pinterest-audience login` again, and open only the address that it shows."
            )
            raise NotPermittedError(msg) from None
        except AccessDeniedError:
            msg = (
                "Access was denied on Pinterest's page. The target cannot upload anything without it. Run "
                "`pinterest-audience login` again, and allow access."
            )
            raise NotPermittedError(msg) from None
        except OAuth2Error as error:
            named = f" ({error.error})" if _WORD.fullmatch(str(error.error)) else ""
            msg = (
                f"Pinterest returned no code{named}. Check `client_id`, and that the app has access to the API. Then "
                "run `pinterest-audience login` again."
            )
            raise NotPermittedError(msg) from None
        return answer["code"]

    def exchange(self, transport: Transport, client_secret: str, code: str) -> Grant:
        """Exchange a code for a refresh token.

        Args:
            transport: sends the request.
            client_secret: the secret of the app.
            code: the code, from `code`; it works only once.

        Raises:
            NotPermittedError: Pinterest does not accept the code or the app, or a scope is missing.
            PinterestError: the request failed otherwise.
        """
        hide([code])
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect_uri}
        # Apps created before 2025-09-25 get a renewable refresh token only if they ask; newer apps ignore the field.
        form["continuous_refresh"] = "true"
        # Sending a code twice may revoke the tokens that it was exchanged for (RFC 6749, section 4.1.2).
        request = Request("POST", "/oauth/token", form=form, creates=True, personal=True)
        try:
            tokens = transport.send(request, Basic(self._client_id, client_secret), Tokens).body
        except (RefusedError, TokenExpiredError, NotPermittedError) as error:
            response = f"(HTTP {error.status}, code {error.code})"
            if error.code == _INVALID_GRANT:
                msg = (
                    f"Pinterest does not accept the code {response}. It is too old, was used before, or belongs to "
                    f"another redirect address than {self._redirect_uri}. Run `pinterest-audience login` again, and "
                    "finish within a minute or two."
                )
            else:
                msg = (
                    f"Pinterest does not accept `client_id` and `client_secret` {response}. Copy both again from the "
                    "app's page at Pinterest. If they are right, the code was too old, or the app does not have the "
                    f"redirect address {self._redirect_uri}. Then run `pinterest-audience login` again."
                )
            raise NotPermittedError(msg, status=error.status, code=error.code) from None
        hide([tokens.new_access_token, tokens.new_refresh_token])
        require_scopes(tokens)
        if tokens.new_refresh_token is None:
            msg = (
                "Pinterest returned an access token but no refresh token, so the sign-in would end with the access "
                "token. Check at Pinterest that the app may use refresh tokens."
            )
            raise NotPermittedError(msg)
        return Grant(tokens.new_refresh_token, tokens.refresh_token_expires_in)
