"""From what a person gives to every form in which Pinterest may have it. Pure; plain values end here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final

from target_pinterest_audience.identities.types import (
    IDENTITY_TYPES,
    HashAlgorithm,
    Hashing,
    HashRule,
    IdentityType,
    Remark,
    identify,
    is_digest,
    trim,
)
from target_pinterest_audience.vocabulary import ListType

_is_near_an_email: Final = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,.]+\.?").fullmatch
"""Matches what a person may have meant for an address, with odd dots, quotes or anything but a blank in it."""

_OF_DEVICES: Final = tuple(kind for kind in IDENTITY_TYPES.values() if kind.list_type in {ListType.IDFA, ListType.MAID})


def forms_of(value: str, kind: IdentityType) -> frozenset[str] | Remark:
    """Return all that a list may hold for a value, whatever the settings were when it was sent.

    Args:
        value: as a person writes it; a digest too, if the type is one that is hashed. An address that is malformed by
            today's rules is taken as it is.
        kind: its type. A device id is taken for one of either platform.

    Returns:
        Its digests under all three algorithms, or the id itself if it is one that is never hashed; or why it is no
        identity.
    """
    given = identify(value, kind, Hashing.AUTO, HashAlgorithm.SHA256)
    if given.remark is Remark.NOT_AN_EMAIL and _is_near_an_email(trim(value)):
        # Others may have hashed it before it came here, or a former version of these rules took it.
        return frozenset(_digests(kind.normalise(trim(value))))
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
