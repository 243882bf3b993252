"""Invented identities, which cannot be anybody's. Every probe uses the same ones, so a later one removes them all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

NO_IDENTITY: Final = "not-an-identity"
"""A value that is neither an address nor an id nor a digest."""

NO_DIGEST: Final = "not-a-digest"
"""A value for a field that has to be a digest."""

DEVICE_ID: Final = "AFFEAFFE-0000-FABC-FABC-AFFEAFFE0001"
"""The form of a device id. Version and variant are F, which no generator of UUIDs produces (RFC 9562, section 4)."""


def email(name: object) -> str:
    """Return the SHA-256 digest of an address that cannot exist: its domain is reserved (RFC 6761, section 6.4)."""
    return _digest(f"probe-{name}@pinterest-audience-probe.invalid")


def phone(name: object) -> str:
    """Return a SHA-256 digest in place of a phone number's. The text that it is made of is no phone number."""
    return _digest(f"pinterest-audience probe, no phone number: {name}")


def emails(names: Iterable[object]) -> str:
    """Return one `records` text with an invented address for each name."""
    return ",".join(map(email, names))


def phone_rows(names: Iterable[object]) -> list[dict[str, str]]:
    """Return rows of `records_v2` as the target sends them, with an invented digest for each name."""
    return [{"hashed_phone_number": phone(name)} for name in names]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
