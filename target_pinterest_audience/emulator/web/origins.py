"""Who may ask: programs on this machine and the emulator's own page, and no web page that a browser here has open."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from werkzeug.wrappers import Request


def refusal(request: Request, *, is_page: bool) -> str | None:
    """Return why a request is not answered; None if it is.

    Browsers send requests for any page to the loopback interface, and a page can give its own name this address. They
    say for which page they ask in `Origin`, or where that is missing, in `Sec-Fetch-Site`.

    Args:
        request: the request.
        is_page: whether it only shows the consent page, to which links may lead from anywhere.
    """
    host = request.headers.get("Host")
    if host is not None and not _is_loopback(f"//{host}"):
        return "The Host header must name the loopback interface: localhost, 127.0.0.1 or [::1]."
    origin = request.headers.get("Origin")
    if origin is not None and not _is_loopback(origin):
        return "The emulator answers no page of another site (see the Origin header)."
    if origin is None and not is_page and request.headers.get("Sec-Fetch-Site") == "cross-site":
        return "The emulator answers no page of another site (see the Sec-Fetch-Site header)."
    return None


def _is_loopback(address: str) -> bool:
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
