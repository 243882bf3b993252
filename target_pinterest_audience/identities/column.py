"""Identifies many values of one column at once: the same results as `identify`, several times faster. Pure.

One regular expression matches as many ordinary values in a row as possible. Only the others are identified one by one.
"""

from __future__ import annotations

import hashlib
import re
from binascii import unhexlify
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol, cast

from target_pinterest_audience.identities.emails import PLAIN_EMAIL, PLAIN_EMAIL_BYTES
from target_pinterest_audience.identities.hashing import DIGESTS_OF_NOTHING, HashAlgorithm, Hashing, is_digest
from target_pinterest_audience.identities.identify import identify
from target_pinterest_audience.identities.packed import pack_identity, pack_phone
from target_pinterest_audience.identities.phones import PLAIN_PHONE, PLAIN_SEPARATORS
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.types import HashRule, IdentityType
from target_pinterest_audience.records.arrow_column import FileColumn
from target_pinterest_audience.vocabulary import WireFormat

_TOGETHER: Final = 1024
"""How many values are identified together: their text stays in the processor's caches."""

_LONG_TEXT: Final = 1 << 16
"""In bytes. No identity is so long, even with blanks around it."""
_LONG_LINES: Final = 1 << 20
"""In bytes. Values with so much text are not identified together."""

_MANY: Final = 8
"""Arrow is faster only if at most one value in so many is odd."""


_Match = Callable[[bytes, int], re.Match[bytes]]


class _Plain(NamedTuple):
    """How to find ordinary values in a text with one value a line, each with its newline.

    Attributes:
        fold: turns the text into the form that is hashed; the length of each line does not change.
        match: matches as many ordinary lines as possible, from a position on.
        match_without_blanks: the same for a text without blanks, in less time.
        dropped: the characters in ordinary values, besides blanks, that are not part of the form that is hashed.
    """

    fold: Callable[[bytes], bytes]
    match: _Match
    match_without_blanks: _Match
    dropped: bytes


def _plain(pattern: str, fold: Callable[[bytes], bytes], dropped: bytes = b"") -> _Plain:
    return _Plain(fold, _match_lines(f" *{pattern} *"), _match_lines(pattern), dropped)


def _match_lines(pattern: str) -> _Match:
    # A line that does not match ends the match. Nothing follows the group, so there is no backtracking into it.
    return cast("_Match", re.compile(rf"(?:{pattern}\n)*".encode()).match)


_HYPHENS_AS_DOTS: Final = bytes.maketrans(b"-", b".")


def _fold_emails(text: bytes) -> bytes:
    """Turn addresses into lower case, and spoil those with consecutive dots or a hyphen beside a dot."""
    text = text.lower()
    # One search for three pairs, since hardly any text has one of them. It also finds two hyphens, which do no harm.
    if b".." in text.translate(_HYPHENS_AS_DOTS):
        for pair in (b"..", b"-.", b".-"):
            text = text.replace(pair, b"\0\0")
    return text


def _uuids(digits: str) -> str:
    """Return the pattern of device ids in such digits, except the one of zeros only."""
    return rf"(?![0-]+ *\n)[{digits}]{{8}}(?:-[{digits}]{{4}}){{3}}-[{digits}]{{12}}"


_PLAIN: Final[Mapping[str, _Plain]] = {
    # Addresses that `identify` accepts without a remark. The pattern would also match consecutive dots and a hyphen
    # beside a dot, so `fold` replaces these by a character that no address may hold. The bounds keep addresses and
    # their labels below the maximum lengths; longer ones are identified one by one.
    "EMAIL": _plain(
        r"[a-z0-9!#$%&'*+/=?^_`{|}~-][a-z0-9!#$%&'*+/=?^_`{|}~.-]{0,99}(?<!\.)@"
        r"[a-z0-9][a-z0-9.-]{0,61}\.[a-z][a-z0-9-]{0,40}(?<!-)",
        _fold_emails,
    ),
    "IDFA": _plain(_uuids("0-9A-F"), bytes.upper),
    "GAID": _plain(_uuids("0-9a-f"), bytes.lower),
    "MAID": _plain(_uuids("0-9a-f"), bytes),
    "PHONE": _plain(PLAIN_PHONE, bytes, PLAIN_SEPARATORS),
}
"""Type → its ordinary values."""

_digests: Final = _plain("(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})", bytes.lower)
_long_digests: Final = _plain("(?:[0-9a-f]{64}|[0-9a-f]{40})", bytes.lower)
"""Without MD5: 32 digits could be a device id without dashes."""
_digests_of_nothing: Final = frozenset(each.encode() for each in DIGESTS_OF_NOTHING)


class Digest(Protocol):
    """A hash object of `hashlib`."""

    def digest(self) -> bytes:
        """Return the digest as bytes."""
        ...


_HASHES: Final[Mapping[HashAlgorithm, Callable[[bytes], Digest]]] = {
    HashAlgorithm.SHA256: hashlib.sha256,
    HashAlgorithm.SHA1: partial(hashlib.sha1, usedforsecurity=False),
    HashAlgorithm.MD5: partial(hashlib.md5, usedforsecurity=False),
}


class Remarked(NamedTuple):
    """A remark about consecutive values; there is none about empty values.

    Attributes:
        at: the index of the first value.
        remark: the remark.
        values: the number of values; 1 for a rejected value.
    """

    at: int
    remark: Remark
    values: int


def identify_column(
    values: Sequence[object],
    kind: IdentityType,
    hashing: Hashing,
    algorithm: HashAlgorithm,
    countries: Callable[[int], str | None] | None = None,
) -> tuple[list[bytes | None], list[Remarked]]:
    """Turn the values of a column into identities.

    Args:
        values: the values in the records.
        kind: the type of the column.
        hashing: whether plain values are hashed or rejected.
        algorithm: the digest of values that the target hashes.
        countries: returns the country of the value at an index, as `identify` takes it; None if none is known.

    Returns:
        The identity of each value as `identify` returns it, packed, or None; and the remarks.
    """
    identifier = _Identifier(kind, hashing, algorithm, countries)
    if isinstance(values, FileColumn):
        if identifier.takes_column(values):
            return identifier.identities, identifier.remarks
        values = list(values)
    # `all` finds empty values, too, but comparing each value with None takes three times as long.
    given = values if all(values) else [value for value in values if value is not None]
    if len(given) < len(values):
        identifier.skip([index for index, value in enumerate(values) if value is not None])
    for start in range(0, len(given), _TOGETHER):
        identifier.add(given[start : start + _TOGETHER])
    if len(given) == len(values):
        return identifier.identities, identifier.remarks
    return _spread(values, identifier.identities, identifier.remarks)


class _Identifier:
    """Identifies values in their order.

    Attributes:
        identities: the results so far, packed.
        remarks: the remarks so far.
    """

    def __init__(
        self,
        kind: IdentityType,
        hashing: Hashing,
        algorithm: HashAlgorithm,
        countries: Callable[[int], str | None] | None,
    ) -> None:
        self.identities: list[bytes | None] = []
        self.remarks: list[Remarked] = []
        self._rules = kind, hashing, algorithm
        self._countries = countries
        self._indices: Sequence[int] | None = None
        self._new = _HASHES[algorithm]
        self._is_phone = kind.wire is WireFormat.PHONES
        self._plain = _PLAIN.get(kind.name) if hashing is Hashing.AUTO else None
        self._digests = _long_digests if kind.md5_is_ambiguous and hashing is Hashing.AUTO else _digests

    def skip(self, indices: Sequence[int]) -> None:
        """Note that only some values of the column are added: those with these indices."""
        self._indices = indices

    def add(self, values: Sequence[object]) -> None:
        """Identify the next values: ordinary ones together, the others one by one."""
        are_digests = self._is_digest(values[0])
        plain = self._digests if are_digests else self._plain
        if plain is None:
            for value in values:
                self._add_one(value)
            return
        lines = _as_lines(values)
        if len(lines) > _LONG_LINES:
            # The steps below make several copies.
            for value in values:
                self._add_one(value)
            return
        text = plain.fold(lines)
        match, dropped = plain.match_without_blanks, plain.dropped
        if b" " in text:
            # Ordinary values hold no blanks, so this strips them.
            match, dropped = plain.match, dropped + b" "
        done = at = 0
        while done < len(values):
            end = match(text, at).end()
            ordinary = text[at : end - 1].translate(None, dropped) if dropped else text[at : end - 1]
            found = ordinary.split(b"\n") if end > at else []
            if are_digests:
                self._take_digests(found)
            else:
                self._take_plain(found)
            done += len(found)
            if done < len(values):
                self._add_one(values[done])
                done += 1
                at = text.index(b"\n", end) + 1

    def _is_digest(self, value: object) -> bool:
        return self._rules[0].hash_rule is not HashRule.OPAQUE and type(value) is str and is_digest(value.strip())

    def _take_plain(self, found: list[bytes]) -> None:
        """Add values in the form that is hashed."""
        new = self._new
        if self._is_phone:
            self.identities += [pack_phone(new(value).digest()) for value in found]
        else:
            self.identities += [new(value).digest() for value in found]

    def _take_digests(self, found: list[bytes]) -> None:
        """Add values that are digests."""
        if not _digests_of_nothing.isdisjoint(found):
            for digest in found:
                self._add_one(digest.decode())
            return
        if found and self._rules[0].hash_rule is HashRule.HASH:
            self.remarks.append(Remarked(len(self.identities), Remark.WAS_DIGEST, len(found)))
        digests = map(unhexlify, found)
        self.identities += map(pack_phone, digests) if self._is_phone else digests

    def _add_one(self, value: object) -> None:
        country = None
        if self._countries is not None:
            index = len(self.identities)
            country = self._countries(self._indices[index] if self._indices is not None else index)
        identity, remark = identify(value, *self._rules, country)
        if remark is not None and remark is not Remark.EMPTY:
            self.remarks.append(Remarked(len(self.identities), remark, 1))
        self.identities.append(pack_identity(identity, self._rules[0].wire) if identity is not None else None)

    def takes_column(self, texts: FileColumn) -> bool:
        """Identify a whole column if nearly all values are plain addresses, or one is very long; return whether."""
        if not texts.is_text:
            return False
        if texts.longest > _LONG_TEXT:
            # Identifying many together makes several copies of them.
            for text in texts:
                self._add_one(text)
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
                self._add_one(text)
        return True


def _as_lines(values: Sequence[object]) -> bytes:
    """Return values as lines; an empty line for a value that is not text or has several lines."""
    try:
        text = "\n".join(cast("Sequence[str]", values))
    except TypeError:
        text = ""
    if text.count("\n") != len(values) - 1:
        text = "\n".join(value if isinstance(value, str) and "\n" not in value else "" for value in values)
    # Values with lone surrogates, like all that are not ASCII, are identified one by one.
    return text.encode("utf-8", "surrogatepass") + b"\n"


def _spread(
    values: Sequence[object], identities: list[bytes | None], remarks: list[Remarked]
) -> tuple[list[bytes | None], list[Remarked]]:
    """Move the results of the values that are not None to their indices among all values."""
    indices = [index for index, value in enumerate(values) if value is not None]
    spread: list[bytes | None] = [None] * len(values)
    for index, identity in zip(indices, identities, strict=True):
        spread[index] = identity
    return spread, [each._replace(at=indices[each.at]) for each in remarks]
