"""Checks of the URLs that secrets are sent to. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit


def parse_address(address: str) -> SplitResult | None:
    """Return the parts of a URL; None if it is malformed, or has a user, a password or a fragment."""
    try:
        parts = urlsplit(address)
        odd = (parts.username, parts.password, parts.fragment, parts.port == 0)
    except ValueError:
        return None
    if not parts.hostname or any(odd) or not address.isascii() or any(each.isspace() for each in address):
        return None
    return parts


def is_safe(parts: SplitResult) -> bool:
    """Return whether nobody in between can read what is sent to a URL."""
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts))


def is_loopback(parts: SplitResult) -> bool:
    """Return whether what is sent to a URL stays on this machine."""
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
