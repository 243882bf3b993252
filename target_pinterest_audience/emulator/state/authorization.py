"""What an application asks a person to allow, and how the person's answer gets back to it (RFC 6749, section 4.1)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from target_pinterest_audience.emulator.errors import invalid_request
from target_pinterest_audience.emulator.settings import Settings


class AuthorizationRequest(NamedTuple):
    """What an application asks for.

    Attributes:
        redirect_uri: where the answer is to go.
        scope: what shall be allowed, with blanks in between.
        state: comes back with the answer as it is; None if there is none.
    """

    redirect_uri: str
    scope: str
    state: str | None

    @classmethod
    def of(cls, query: Mapping[str, str], settings: Settings) -> AuthorizationRequest:
        """Return what the query of the consent page asks for.

        Args:
            query: `client_id`, `redirect_uri`, `response_type`, `scope` (with commas, as Pinterest's documentation
                has it) and `state` count.
            settings: the emulator's.

        Raises:
            ApiError: 400. Whoever asks is not known, so that the person is not sent anywhere.
        """
        if query.get("client_id") != settings.client_id:
            message = "client_id is not that of an application."
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
        """Return the address to send the person to: with a code, or with an error."""
        parts = urlsplit(self.redirect_uri)
        answer = [*parse_qsl(parts.query, keep_blank_values=True), (name, value)]
        if self.state is not None:
            answer.append(("state", self.state))
        return parts._replace(query=urlencode(answer)).geturl()


def _is_registered(redirect_uri: str, settings: Settings) -> bool:
    """Tell whether an application may have its answers sent there."""
    if settings.redirect_uris:
        return redirect_uri in settings.redirect_uris
    # Without a register, nobody is sent away from this machine.
    try:
        host = urlsplit(redirect_uri).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
