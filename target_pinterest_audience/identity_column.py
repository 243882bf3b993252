"""Many values of one identity column at once: the same verdicts as `identify` gives one by one, several times faster.

Values that look as they should are checked together, by one search over all of them; only the others are judged one by
one. Everything here is pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from target_pinterest_audience.identities import (
    DIGESTS_OF_NOTHING,
    HashAlgorithm,
    Hashing,
    HashRule,
    IdentityType,
    Remark,
    identify,
    is_digest,
)

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

    def hexdigest(self) -> str:
        """Return it as lower-case digits."""
        ...


Hash = Callable[[bytes], Digest]

_HASHES: Final[Mapping[HashAlgorithm, Hash]] = {
    HashAlgorithm.SHA256: hashlib.sha256,
    HashAlgorithm.SHA1: partial(hashlib.sha1, usedforsecurity=False),
    HashAlgorithm.MD5: partial(hashlib.md5, usedforsecurity=False),
}

T = TypeVar("T", str, bytes)


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """In which form the identities of a column are wanted.

    Attributes:
        of_plain: returns it for plain values, hashed.
        of_digests: returns it for digests, in lower-case hex.
        of_text: returns it for an identity as Pinterest gets it.
    """

    of_plain: Callable[[Hash, Sequence[bytes]], list[T]]
    of_digests: Callable[[Sequence[bytes]], list[T]]
    of_text: Callable[[str], T]


def _hexdigests(new: Hash, values: Sequence[bytes]) -> list[str]:
    return [new(value).hexdigest() for value in values]


def _decoded(digests: Sequence[bytes]) -> list[str]:
    return [digest.decode() for digest in digests]


TEXT: Final[Form[str]] = Form(_hexdigests, _decoded, str)
"""As Pinterest gets them."""


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
    values: Sequence[object], kind: IdentityType, hashing: Hashing, algorithm: HashAlgorithm, form: Form[T]
) -> tuple[list[T | None], list[Remarked]]:
    """Turn the values of a column into identities.

    Args:
        values: what the records hold.
        kind: the type that the column holds.
        hashing: whether plain values are hashed or refused.
        algorithm: the digest for values that are hashed here.
        form: the form that the identities are wanted in.

    Returns:
        What `identify` returns for each value: the identity, None where there is none; and the remarks.
    """
    given = [value for value in values if value is not None] if None in values else values
    judge = _Judge(kind, hashing, algorithm, form)
    start, together = 0, _LEAST_TOGETHER
    while start < len(given):
        all_well = judge.judge(given[start : start + together])
        start += together
        together = min(2 * together, _MOST_TOGETHER) if all_well else _LEAST_TOGETHER
    if len(given) == len(values):
        return judge.identities, judge.remarks
    return _spread(values, judge.identities, judge.remarks)


class _Judge(Generic[T]):
    """Judges values in their order."""

    def __init__(self, kind: IdentityType, hashing: Hashing, algorithm: HashAlgorithm, form: Form[T]) -> None:
        self.identities: list[T | None] = []
        self.remarks: list[Remarked] = []
        self._rules = kind, hashing, algorithm
        self._form: Form[T] = form
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
            identity, remark = identify(value, *self._rules)
            if remark is not None and remark is not Remark.EMPTY:
                self.remarks.append(Remarked(len(self.identities), remark, 1))
            self.identities.append(self._form.of_text(identity) if identity is not None else None)
        return False

    def _take_together(self, values: Sequence[object]) -> bool:
        """Judge values together if none needs a closer look; return whether that was so."""
        first = values[0]
        kind, _, algorithm = self._rules
        if kind.hash_rule is not HashRule.OPAQUE and type(first) is str and is_digest(first.strip()):
            found = _find_all(values, lambda text: self._find_digests(text.lower()))
            if found is None or not _digests_of_nothing.isdisjoint(found):
                return False
            if kind.hash_rule is HashRule.HASH:
                self.remarks.append(Remarked(len(self.identities), Remark.WAS_DIGEST, len(found)))
            self.identities += self._form.of_digests(found)
            return True
        found = _find_all(values, self._find_plain) if self._find_plain is not None else None
        if found is None:
            return False
        self.identities += self._form.of_plain(_HASHES[algorithm], found)
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
    values: Sequence[object], identities: list[T | None], remarks: list[Remarked]
) -> tuple[list[T | None], list[Remarked]]:
    """Put the verdicts on the values that are given to their places among all."""
    places = [place for place, value in enumerate(values) if value is not None]
    spread: list[T | None] = [None] * len(values)
    for place, identity in zip(places, identities, strict=True):
        spread[place] = identity
    return spread, [each._replace(place=places[each.place]) for each in remarks]
