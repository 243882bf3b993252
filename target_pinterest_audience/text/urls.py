"""Web addresses that secrets travel to: which ones are whole, and which ones are safe. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit


def parse_address(address: str) -> SplitResult | None:
    """Return the parts of an address; None if it is not whole, or has more in it than a place and a query."""
    try:
        parts = urlsplit(address)
        odd = (parts.username, parts.password, parts.fragment, parts.port == 0)
    except ValueError:
        return None
    if not parts.hostname or any(odd) or not address.isascii() or any(each.isspace() for each in address):
        return None
    return parts


def is_safe(parts: SplitResult) -> bool:
    """Tell whether nobody on the way can read what is sent to an address."""
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts))


def is_loopback(parts: SplitResult) -> bool:
    """Tell whether what goes to an address stays on this machine."""
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
