"""From what a person gives to every form in which Pinterest may have it. Pure; plain values end here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from target_pinterest_audience.identities import (
    IDENTITY_TYPES,
    HashAlgorithm,
    Hashing,
    HashRule,
    IdentityType,
    ListType,
    Remark,
    identify,
    is_digest,
    trim,
)

_OF_DEVICES: Final = tuple(kind for kind in IDENTITY_TYPES.values() if kind.list_type in {ListType.IDFA, ListType.MAID})


def forms_of(value: str, kind: IdentityType) -> frozenset[str] | Remark:
    """Return all that a list may hold for a value, whatever the settings were when it was sent.

    Args:
        value: as a person writes it; a digest too, if the type is one that is hashed.
        kind: its type. A device id is taken for one of either platform.

    Returns:
        Its digests under all three algorithms, or the id itself if it is one that is never hashed; or why it is no
        identity.
    """
    given = identify(value, kind, Hashing.AUTO, HashAlgorithm.SHA256)
    if given.identity is None:
        return given.remark or Remark.EMPTY
    if kind.hash_rule is not HashRule.HASH or is_digest(trim(value)):
        return frozenset({given.identity})
    kinds = _OF_DEVICES if kind in _OF_DEVICES else (kind,)
    normalised = {each.normalise(trim(value)) for each in kinds}
    return frozenset(digest for each in normalised for digest in _digests(each))


def digest_of(value: str) -> frozenset[str] | Remark:
    """Return a digest as a list may hold it; or why it is none."""
    digest = trim(value)
    return frozenset({digest.lower()}) if is_digest(digest) else Remark.NOT_A_DIGEST


def _digests(value: str) -> Iterator[str]:
    for algorithm in HashAlgorithm:
        yield hashlib.new(algorithm.value, value.encode(), usedforsecurity=False).hexdigest()
