"""Identities as they are kept between the reader and the requests."""

from __future__ import annotations

from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.vocabulary import WireFormat


def packed(*identities: str) -> tuple[bytes, ...]:
    """Return identities, written as the emulator shows them, as they are kept."""
    return tuple(map(_packed, identities))


def _packed(identity: str) -> bytes:
    phone = identity.removeprefix("hashed_phone_number:")
    return pack_identity(phone, WireFormat.PHONES) if phone != identity else pack_identity(identity)
