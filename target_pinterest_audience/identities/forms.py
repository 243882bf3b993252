"""All forms in which Pinterest may have a value that a person enters. Pure; plain values end here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing, hex_digest, is_digest
from target_pinterest_audience.identities.identify import identify, trim
from target_pinterest_audience.identities.phones import writings_of
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.types import IDENTITY_TYPES, HashRule, IdentityType
from target_pinterest_audience.vocabulary import ListType

_is_near_an_email: Final = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,.]+\.?").fullmatch
"""Matches what may be meant as an address, with odd dots, quotes or anything but blanks in it."""

_OF_DEVICES: Final = tuple(kind for kind in IDENTITY_TYPES.values() if kind.list_type in {ListType.IDFA, ListType.MAID})


def forms_of(value: str, kind: IdentityType, countries: Iterable[str] = ()) -> frozenset[str] | Remark:
    """Return all forms in which a list may hold a value, whatever the settings were when it was sent.

    Args:
        value: the value as a person writes it, or its digest if the type is hashed. An address that today's rules
            reject is accepted.
        kind: its type. A device id counts for both platforms.
        countries: where a national phone number may be called, as ISO 3166 codes: it leaves as one of each.

    Returns:
        Its digests under all three algorithms, or the id itself if its type is never hashed; or why it is not an
        identity.
    """
    if kind.read is not None and not is_digest(trim(value)):
        return _forms_of_phone(value, kind, countries)
    given = identify(value, kind, Hashing.AUTO, HashAlgorithm.SHA256)
    if given.remark is Remark.NOT_AN_EMAIL and _is_near_an_email(trim(value)):
        # Others may have hashed it before it came here, or an earlier version of these rules accepted it.
        return frozenset(_digests(kind.normalise(trim(value))))
    if given.identity is None:
        return given.remark or Remark.EMPTY
    if kind.hash_rule is not HashRule.HASH or is_digest(trim(value)):
        return frozenset({given.identity})
    kinds = _OF_DEVICES if kind in _OF_DEVICES else (kind,)
    normalised = {each.normalise(trim(value)) for each in kinds}
    return frozenset(digest for each in normalised for digest in _digests(each))


def _forms_of_phone(value: str, kind: IdentityType, countries: Iterable[str]) -> frozenset[str] | Remark:
    text = trim(value)
    if not text:
        return Remark.EMPTY
    places: Sequence[str | None] = sorted(countries) or [None]
    read = [kind.prepare(text, country) for country in places]
    numbers = [each for each in read if not isinstance(each, Remark)]
    if not numbers:
        return next(each for each in read if isinstance(each, Remark))
    # Others may have hashed it with the sign before it.
    return frozenset(digest for each in numbers for writing in writings_of(each) for digest in _digests(writing))


def digest_of(value: str) -> frozenset[str] | Remark:
    """Return a digest in the form in which a list may hold it; or why it is not a digest."""
    digest = trim(value)
    return frozenset({digest.lower()}) if is_digest(digest) else Remark.NOT_A_DIGEST


def _digests(value: str) -> Iterator[str]:
    for algorithm in HashAlgorithm:
        yield hex_digest(value, algorithm)
