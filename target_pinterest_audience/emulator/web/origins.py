"""Checks where a request comes from: programs and the emulator's own page may call it, other web pages may not."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from werkzeug.wrappers import Request


def refusal(request: Request, *, is_page: bool) -> str | None:
    """Return why a request is refused; None if it is not.

    Any web page can make a browser send requests to the loopback interface, and can point its own host name there. The
    browser names the page in `Origin`; if that is missing, `Sec-Fetch-Site` says whether it is another site.

    Args:
        request: the request.
        is_page: whether it only shows the consent page, which any site may link to.
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
