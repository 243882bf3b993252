"""Many values of one identity column at once: the same verdicts as `identify` gives one by one, several times faster.

Values that look as they should are checked together, by one search over all of them; only the others are judged one by
one. Everything here is pure.
"""

from __future__ import annotations

import hashlib
import re
from binascii import unhexlify
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol, cast

from target_pinterest_audience.file_column import FileColumn
from target_pinterest_audience.identities import (
    ASCII_EMAIL,
    DIGESTS_OF_NOTHING,
    MAX_EMAIL,
    HashAlgorithm,
    Hashing,
    HashRule,
    IdentityType,
    Remark,
    identify,
    is_digest,
)
from target_pinterest_audience.packed import pack_identity

_LEAST_TOGETHER: Final = 64
_MOST_TOGETHER: Final = 1024
"""How many values are checked together: twice as many as the last time if all of those were as they should be."""

_FEW: Final = 8
"""How many are judged one by one if one of them is odd; of more, each half is checked anew."""

# What `identities` takes for an address, as long as no two dots follow each other. The bounds keep it shorter than the
# longest that is taken there, and are for nobody's address: what is longer is judged by itself.
_emails: Final = re.compile(
    rb"^ *([a-z0-9!#$%&'*+/=?^_`{|}~-][a-z0-9!#$%&'*+/=?^_`{|}~.-]{0,99}(?<!\.)@"
    rb"[a-z0-9_-][a-z0-9_.-]{0,99}\.[a-z_-][a-z0-9_-]{0,40}) *$",
    re.MULTILINE,
).findall


def _find_emails(text: bytes) -> list[bytes]:
    return _emails(text.lower()) if b".." not in text else []


def _uuids(digits: str) -> Callable[[bytes], list[bytes]]:
    """Return what finds device ids in such digits, but for one that is all zeros."""
    pattern = rf"^ *((?![0-]+ *$)[{digits}]{{8}}(?:-[{digits}]{{4}}){{3}}-[{digits}]{{12}}) *$"
    return re.compile(pattern.encode(), re.MULTILINE).findall


_lower_uuids: Final = _uuids("0-9a-f")
_upper_uuids: Final = _uuids("0-9A-F")

_FIND_PLAIN: Final[Mapping[str, Callable[[bytes], list[bytes]]]] = {
    "EMAIL": _find_emails,
    "IDFA": lambda text: _upper_uuids(text.upper()),
    "GAID": lambda text: _lower_uuids(text.lower()),
    "MAID": _lower_uuids,
}
"""Type → what finds its values in an ASCII text of one a line, in the form that is hashed, unless they need a second
look."""

_digests: Final = re.compile(rb"^ *([0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}) *$", re.MULTILINE).findall
"""Finds digests in a lower-case text of one a line; `_long_digests` leaves out what a device id without dashes could
be."""
_long_digests: Final = re.compile(rb"^ *([0-9a-f]{64}|[0-9a-f]{40}) *$", re.MULTILINE).findall
_digests_of_nothing: Final = frozenset(each.encode() for each in DIGESTS_OF_NOTHING)


class Digest(Protocol):
    """What `hashlib` makes of a value."""

    def digest(self) -> bytes:
        """Return it as bytes."""
        ...


_HASHES: Final[Mapping[HashAlgorithm, Callable[[bytes], Digest]]] = {
    HashAlgorithm.SHA256: hashlib.sha256,
    HashAlgorithm.SHA1: partial(hashlib.sha1, usedforsecurity=False),
    HashAlgorithm.MD5: partial(hashlib.md5, usedforsecurity=False),
}


class Remarked(NamedTuple):
    """What there is to say of values, unless they are empty.

    Attributes:
        place: the position of the first.
        remark: what is said.
        values: of how many; of one, if it is rejected.
    """

    place: int
    remark: Remark
    values: int


def identify_column(
    values: Sequence[object], kind: IdentityType, hashing: Hashing, algorithm: HashAlgorithm
) -> tuple[list[bytes | None], list[Remarked]]:
    """Turn the values of a column into identities.

    Args:
        values: what the records hold.
        kind: the type that the column holds.
        hashing: whether plain values are hashed or refused.
        algorithm: the digest for values that are hashed here.

    Returns:
        What `identify` returns for each value: the identity, packed, None where there is none; and the remarks.
    """
    judge = _Judge(kind, hashing, algorithm)
    if isinstance(values, FileColumn):
        if judge.takes_column(values):
            return judge.identities, judge.remarks
        values = list(values)
    given = [value for value in values if value is not None] if None in values else values
    start, together = 0, _LEAST_TOGETHER
    while start < len(given):
        all_well = judge.judge(given[start : start + together])
        start += together
        together = min(2 * together, _MOST_TOGETHER) if all_well else _LEAST_TOGETHER
    if len(given) == len(values):
        return judge.identities, judge.remarks
    return _spread(values, judge.identities, judge.remarks)


class _Judge:
    """Judges values in their order."""

    def __init__(self, kind: IdentityType, hashing: Hashing, algorithm: HashAlgorithm) -> None:
        self.identities: list[bytes | None] = []
        self.remarks: list[Remarked] = []
        self._rules = kind, hashing, algorithm
        self._new = _HASHES[algorithm]
        self._find_plain = _FIND_PLAIN.get(kind.name) if hashing is Hashing.AUTO else None
        self._find_digests = _long_digests if kind.md5_is_ambiguous and hashing is Hashing.AUTO else _digests

    def judge(self, values: Sequence[object]) -> bool:
        """Judge values that come next: together if they are all as they should be. Return whether that was so."""
        if self._take_together(values):
            return True
        if len(values) > _FEW:
            middle = len(values) // 2
            self.judge(values[:middle])
            self.judge(values[middle:])
            return False
        for value in values:
            self._judge_one(value)
        return False

    def _judge_one(self, value: object) -> None:
        identity, remark = identify(value, *self._rules)
        if remark is not None and remark is not Remark.EMPTY:
            self.remarks.append(Remarked(len(self.identities), remark, 1))
        self.identities.append(pack_identity(identity) if identity is not None else None)

    def takes_column(self, texts: FileColumn) -> bool:
        """Judge all values of a column, if nearly all are plain addresses; return whether that was so."""
        if self._find_plain is not _find_emails or not texts.is_text:
            return False
        found = texts.matching(ASCII_EMAIL, MAX_EMAIL)
        if (found.count(None) - texts.gaps) * _FEW > len(found):
            return False
        new = self._new
        if None not in found:
            self.identities = [new(value).digest() for value in cast("list[bytes]", found)]
            return True
        for value, text in zip(found, texts, strict=True):
            if value is not None:
                self.identities.append(new(value).digest())
            else:
                self._judge_one(text)
        return True

    def _take_together(self, values: Sequence[object]) -> bool:
        """Judge values together if none needs a closer look; return whether that was so."""
        first = values[0]
        kind = self._rules[0]
        if kind.hash_rule is not HashRule.OPAQUE and type(first) is str and is_digest(first.strip()):
            found = _find_all(values, lambda text: self._find_digests(text.lower()))
            if found is None or not _digests_of_nothing.isdisjoint(found):
                return False
            if kind.hash_rule is HashRule.HASH:
                self.remarks.append(Remarked(len(self.identities), Remark.WAS_DIGEST, len(found)))
            self.identities += map(unhexlify, found)
            return True
        found = _find_all(values, self._find_plain) if self._find_plain is not None else None
        if found is None:
            return False
        new = self._new
        self.identities += [new(value).digest() for value in found]
        return True


def _find_all(values: Sequence[object], find: Callable[[bytes], list[bytes]]) -> list[bytes] | None:
    """Return all values as they are found; None if one of them needs a closer look."""
    try:
        text = "\n".join(values)  # type: ignore[arg-type]
    except TypeError:
        return None
    if not text.isascii():
        return None
    found = find(text.encode())
    # A value of several lines could pass for several values, and make up for one that is not found.
    return found if len(found) == len(values) == text.count("\n") + 1 else None


def _spread(
    values: Sequence[object], identities: list[bytes | None], remarks: list[Remarked]
) -> tuple[list[bytes | None], list[Remarked]]:
    """Put the verdicts on the values that are given to their places among all."""
    places = [place for place, value in enumerate(values) if value is not None]
    spread: list[bytes | None] = [None] * len(values)
    for place, identity in zip(places, identities, strict=True):
        spread[place] = identity
    return spread, [each._replace(place=places[each.place]) for each in remarks]
