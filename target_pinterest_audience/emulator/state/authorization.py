"""Authorization requests, and the redirects that answer them (RFC 6749, section 4.1)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from target_pinterest_audience.emulator.errors import invalid_request
from target_pinterest_audience.emulator.settings import Settings


class AuthorizationRequest(NamedTuple):
    """The request of an application for access.

    Attributes:
        redirect_uri: the URL that the answer goes to.
        scope: the scopes that it asks for, separated by blanks.
        state: returned unchanged with the answer; None if there is none.
    """

    redirect_uri: str
    scope: str
    state: str | None

    @classmethod
    def of(cls, query: Mapping[str, str], settings: Settings) -> AuthorizationRequest:
        """Return the request that the query of the consent page describes.

        Args:
            query: the query parameters, of which `client_id`, `redirect_uri`, `response_type`, `scope` (separated by
                commas, as in Pinterest's documentation) and `state` are used.
            settings: the emulator's.

        Raises:
            ApiError: 400, a parameter is missing or wrong. The browser is not redirected, because the application
                cannot be trusted then.
        """
        if query.get("client_id") != settings.client_id:
            message = "client_id is not the id of an application."
            raise invalid_request(message)
        redirect_uri = query.get("redirect_uri", "")
        if not _is_registered(redirect_uri, settings):
            message = "redirect_uri is not one of the redirect links of the application."
            raise invalid_request(message)
        if query.get("response_type") != "code":
            message = "response_type must be code."
            raise invalid_request(message)
        scope = " ".join(query.get("scope", "").replace(",", " ").split())
        if not scope:
            message = "scope is required."
            raise invalid_request(message)
        return cls(redirect_uri, scope, query.get("state"))

    def answered(self, name: str, value: str) -> str:
        """Return the redirect URL with a code or an error in its query."""
        parts = urlsplit(self.redirect_uri)
        answer = [*parse_qsl(parts.query, keep_blank_values=True), (name, value)]
        if self.state is not None:
            answer.append(("state", self.state))
        return parts._replace(query=urlencode(answer)).geturl()


def _is_registered(redirect_uri: str, settings: Settings) -> bool:
    """Return whether answers may be sent to a redirect URL."""
    if settings.redirect_uris:
        return redirect_uri in settings.redirect_uris
    # Without registered links, the browser must not be sent away from this machine.
    try:
        host = urlsplit(redirect_uri).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
