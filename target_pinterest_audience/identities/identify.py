"""Turns one raw value into the identity that Pinterest gets. Pure.

A plain e-mail address, phone number or device id goes in, and only a digest comes out. Opaque ids come out unchanged.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from target_pinterest_audience.identities.hashing import (
    DIGESTS_OF_NOTHING,
    MD5_DIGITS,
    ZERO_DIGITS,
    ZERO_UUID,
    HashAlgorithm,
    Hashing,
    hex_digest,
    is_digest,
)
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.types import HashRule, IdentityType
from target_pinterest_audience.records.arrow_column import UuidBytes
from target_pinterest_audience.records.paths import Misplaced


class Identified(NamedTuple):
    """The result for one raw value."""

    identity: str | None
    """The identity as Pinterest gets it; None if there is nothing to send."""
    remark: Remark | None


_INVISIBLE: Final = (0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF)
"""Zero-width characters, marks of writing direction, and the byte order mark."""
_BLANKS: Final = "".join(chr(c) for c in range(0x3001) if chr(c).isspace()) + "".join(map(chr, _INVISIBLE))

_NOT_TEXT: Final = {bytes: Remark.NOT_UTF8, UuidBytes: Remark.NOT_UTF8, Misplaced: Remark.NOT_IN_AN_OBJECT}
"""Type of a value that is no text → why it is rejected."""

_EMPTY: Final = Identified(None, Remark.EMPTY)


def identify(
    value: object, kind: IdentityType, hashing: Hashing, algorithm: HashAlgorithm, country: str | None = None
) -> Identified:
    """Turn one raw value into the identity that Pinterest gets.

    Args:
        value: the value of the column: text, or an integer for opaque ids and phone numbers.
        kind: the type of the column.
        hashing: whether plain values are hashed or rejected.
        algorithm: the digest of values that the target hashes.
        country: the country of the row, as an ISO 3166 code, for phone numbers; None if it is not known.

    Returns:
        The identity, or the reason why there is none. Never raises for any JSON value.
    """
    if value is None:
        return _EMPTY
    if not isinstance(value, str):
        if not kind.takes_integers or not isinstance(value, int) or isinstance(value, bool):
            return _rejected(_NOT_TEXT.get(type(value), Remark.NOT_TEXT))
        value = str(value)
    value = trim(value)
    if not value:
        return _EMPTY
    if value == ZERO_UUID or (kind.md5_is_ambiguous and value.strip("{}").replace("-", "") == ZERO_DIGITS):
        return Identified(None, Remark.OPTED_OUT)
    if kind.hash_rule is not HashRule.OPAQUE and is_digest(value):
        return _identify_digest(value.lower(), kind, hashing)
    return _identify_plain(value, kind, hashing, algorithm, country)


def trim(value: str) -> str:
    """Strip every blank from both ends: white space of any script, zero-width characters and byte order marks."""
    return value.strip(_BLANKS)


def _identify_digest(value: str, kind: IdentityType, hashing: Hashing) -> Identified:
    if value in DIGESTS_OF_NOTHING:
        return _rejected(Remark.DIGEST_OF_NOTHING)
    if kind.md5_is_ambiguous and len(value) == MD5_DIGITS and hashing is Hashing.AUTO:
        return _rejected(Remark.UUID_WITHOUT_DASHES)
    return Identified(value, Remark.WAS_DIGEST if kind.hash_rule is HashRule.HASH else None)


def _identify_plain(
    value: str, kind: IdentityType, hashing: Hashing, algorithm: HashAlgorithm, country: str | None
) -> Identified:
    if kind.read is not None and hashing is Hashing.PREHASHED:
        return _rejected(Remark.PLAIN_BUT_PREHASHED)
    prepared = kind.prepare(value, country)
    if isinstance(prepared, Remark):
        return _rejected(prepared)
    value = prepared
    if kind.hash_rule is HashRule.OPAQUE:
        return Identified(value, None)
    if hashing is Hashing.PREHASHED:
        return _rejected(Remark.PLAIN_BUT_PREHASHED)
    return Identified(hex_digest(value, algorithm), kind.note(value))


def _rejected(remark: Remark) -> Identified:
    return Identified(None, remark)
