"""Many values of one identity column at once: the same verdicts as `identify` gives one by one, several times faster.

Values that look as they should are checked together, by one match of as many as follow each other; only the others are
judged one by one. Everything here is pure.
"""

from __future__ import annotations

import hashlib
import re
from binascii import unhexlify
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol, cast

from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.types import (
    DIGESTS_OF_NOTHING,
    PLAIN_EMAIL,
    PLAIN_EMAIL_BYTES,
    HashAlgorithm,
    Hashing,
    HashRule,
    IdentityType,
    Remark,
    identify,
    is_digest,
)
from target_pinterest_audience.records.arrow_column import FileColumn

_TOGETHER: Final = 1024
"""How many values are judged together: their text stays in the processor's caches."""

_LONG_TEXT: Final = 1 << 16
"""No identity is so long, in bytes, also with blanks around it."""
_LONG_LINES: Final = 1 << 20
"""So much text of some values, in bytes, is too long to be judged together."""

_MANY: Final = 8
"""One value in so many may be odd for Arrow to be worth its while."""


class _Plain(NamedTuple):
    """How values are found that need no second look, in a text of one a line, each with its newline.

    Attributes:
        fold: brings the text into the form that is hashed; every line stays as long.
        match: matches as many such lines as there are from a position on.
    """

    fold: Callable[[bytes], bytes]
    match: Callable[[bytes, int], re.Match[bytes]]


def _plain(pattern: str, fold: Callable[[bytes], bytes]) -> _Plain:
    # A line that does not match ends the match, and never sends it back into the lines before: nothing follows them.
    match = re.compile(rf"(?: *{pattern} *\n)*".encode()).match
    return _Plain(fold, cast("Callable[[bytes, int], re.Match[bytes]]", match))


def _uuids(digits: str) -> str:
    """Return the pattern of device ids in such digits, but for one that is all zeros."""
    return rf"(?![0-]+ *\n)[{digits}]{{8}}(?:-[{digits}]{{4}}){{3}}-[{digits}]{{12}}"


_PLAIN: Final[Mapping[str, _Plain]] = {
    # What `identities` takes for an address and has nothing to say about, as long as no two dots follow each other and
    # no hyphen is beside a dot: those are made what none may hold. The bounds keep it shorter than the longest that is
    # taken there, and its labels shorter than the longest there are: what is longer is judged by itself.
    "EMAIL": _plain(
        r"[a-z0-9!#$%&'*+/=?^_`{|}~-][a-z0-9!#$%&'*+/=?^_`{|}~.-]{0,99}(?<!\.)@"
        r"[a-z0-9][a-z0-9.-]{0,61}\.[a-z][a-z0-9-]{0,40}(?<!-)",
        lambda text: text.lower().replace(b"..", b"\0\0").replace(b"-.", b"\0\0").replace(b".-", b"\0\0"),
    ),
    "IDFA": _plain(_uuids("0-9A-F"), bytes.upper),
    "GAID": _plain(_uuids("0-9a-f"), bytes.lower),
    "MAID": _plain(_uuids("0-9a-f"), bytes),
}
"""Type → its values, unless they need a second look."""

_digests: Final = _plain("(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})", bytes.lower)
_long_digests: Final = _plain("(?:[0-9a-f]{64}|[0-9a-f]{40})", bytes.lower)
"""Leaves out what a device id without dashes could be."""
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
    # Looks for what is empty or none: comparing each with None takes three times as long.
    given = values if all(values) else [value for value in values if value is not None]
    for start in range(0, len(given), _TOGETHER):
        judge.judge(given[start : start + _TOGETHER])
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
        self._plain = _PLAIN.get(kind.name) if hashing is Hashing.AUTO else None
        self._digests = _long_digests if kind.md5_is_ambiguous and hashing is Hashing.AUTO else _digests

    def judge(self, values: Sequence[object]) -> None:
        """Judge values that come next: together those that need no second look, the others one by one."""
        are_digests = self._is_digest(values[0])
        plain = self._digests if are_digests else self._plain
        if plain is None:
            for value in values:
                self._judge_one(value)
            return
        lines = _as_lines(values)
        if len(lines) > _LONG_LINES:
            # What follows makes several copies.
            for value in values:
                self._judge_one(value)
            return
        text = plain.fold(lines)
        judged = at = 0
        while judged < len(values):
            end = plain.match(text, at).end()
            # Inside of them there are no blanks.
            found = text[at : end - 1].replace(b" ", b"").split(b"\n") if end > at else []
            if are_digests:
                self._take_digests(found)
            else:
                new = self._new
                self.identities += [new(value).digest() for value in found]
            judged += len(found)
            if judged < len(values):
                self._judge_one(values[judged])
                judged += 1
                at = text.index(b"\n", end) + 1

    def _is_digest(self, value: object) -> bool:
        return self._rules[0].hash_rule is not HashRule.OPAQUE and type(value) is str and is_digest(value.strip())

    def _take_digests(self, found: list[bytes]) -> None:
        """Take in digests that look as they should."""
        if not _digests_of_nothing.isdisjoint(found):
            for digest in found:
                self._judge_one(digest.decode())
            return
        if found and self._rules[0].hash_rule is HashRule.HASH:
            self.remarks.append(Remarked(len(self.identities), Remark.WAS_DIGEST, len(found)))
        self.identities += map(unhexlify, found)

    def _judge_one(self, value: object) -> None:
        identity, remark = identify(value, *self._rules)
        if remark is not None and remark is not Remark.EMPTY:
            self.remarks.append(Remarked(len(self.identities), remark, 1))
        self.identities.append(pack_identity(identity) if identity is not None else None)

    def takes_column(self, texts: FileColumn) -> bool:
        """Judge all values of a column, if nearly all are plain addresses or one is very long; return whether."""
        if not texts.is_text:
            return False
        if texts.longest > _LONG_TEXT:
            # Whatever judges many together makes several copies of them.
            for text in texts:
                self._judge_one(text)
            return True
        if self._plain is not _PLAIN["EMAIL"]:
            return False
        found = texts.matching(PLAIN_EMAIL, PLAIN_EMAIL_BYTES)
        if (found.count(None) - texts.gaps) * _MANY > len(found):
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


def _as_lines(values: Sequence[object]) -> bytes:
    """Return values as lines; an empty one for what is no text, or a text of several lines."""
    try:
        text = "\n".join(cast("Sequence[str]", values))
    except TypeError:
        text = ""
    if text.count("\n") != len(values) - 1:
        text = "\n".join(value if isinstance(value, str) and "\n" not in value else "" for value in values)
    # Half a character is odd, and left to be judged by itself like all that is not ASCII.
    return text.encode("utf-8", "surrogatepass") + b"\n"


def _spread(
    values: Sequence[object], identities: list[bytes | None], remarks: list[Remarked]
) -> tuple[list[bytes | None], list[Remarked]]:
    """Put the verdicts on the values that are given to their places among all."""
    places = [place for place, value in enumerate(values) if value is not None]
    spread: list[bytes | None] = [None] * len(values)
    for place, identity in zip(places, identities, strict=True):
        spread[place] = identity
    return spread, [each._replace(place=places[each.place]) for each in remarks]
