"""Identities as they are kept between the reader and the requests."""

from __future__ import annotations

from target_pinterest_audience.identities.packed import pack_identity


def packed(*identities: str) -> tuple[bytes, ...]:
    return tuple(map(pack_identity, identities))
