"""What an identity is: one table of types, and the one function that turns a raw value into what Pinterest gets.

Everything here is pure. A plain e-mail address or device id goes in, and only a digest comes out; ids that mean nothing
to anybody but Pinterest and their issuer come out as they are.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from target_pinterest_audience.vocabulary import ListType


class Hashing(str, Enum):
    """What is done with a value that is not a digest already."""

    AUTO = "auto"
    PREHASHED = "prehashed"


class HashAlgorithm(str, Enum):
    """The digests that Pinterest takes (API description 5.23)."""

    SHA256 = "sha256"
    SHA1 = "sha1"
    MD5 = "md5"


class HashRule(Enum):
    """What leaves for a value of a type."""

    HASH = "its digest; a value that is a digest already leaves as it is"
    DIGEST_ONLY = "the digest that it must already be"
    OPAQUE = "itself: an id that means nothing to anybody but Pinterest and its issuer"


class Remark(Enum):
    """Why a value was not sent, or what is worth counting about one that was.

    Each member's value is the sentence for people, which never holds the value itself.
    """

    EMPTY = "empty"
    OPTED_OUT = "all zeros: the person opted out of tracking"
    WAS_DIGEST = "a digest already, sent as it came"
    LOOKS_LIKE_IDFA = "an upper-case mobile ad id: it looks like an IDFA and was kept upper-case"
    NOT_TEXT = "neither text nor empty"
    NOT_UTF8 = "bytes that are not text in UTF-8"
    NOT_AN_EMAIL = "not an e-mail address"
    NOT_A_UUID = "not a device id of the form 8-4-4-4-12 hex digits"
    UUID_WITHOUT_DASHES = (
        "32 hex digits: a device id without its dashes, or an MD5 digest; "
        "if it is a digest, set `hashing: prehashed`, else give the id with its dashes"
    )
    NOT_AN_OPAQUE_ID = "not an id of this kind: a UUID, or with an @, a comma, a blank or a control character in it"
    NOT_A_DIGEST = "not a digest of 32, 40 or 64 hex digits"
    PLAIN_BUT_PREHASHED = "plain, although `hashing: prehashed` says that only digests come"
    KEY_IS_NULL = "in a row whose key property is null, so that it cannot be told from others"
    CONSENT_IS_MISSING = "in a row without the column that says whether it consents (`consent_column`)"
    LIST_NAME_IS_MISSING = "in a row without the column that names its list (`list_name_column`)"
    LIST_NAME_IS_NO_NAME = "in a row whose `list_name_column` holds neither text nor a whole number"
    LIST_NAME_IS_AN_IDENTITY = "in a row whose `list_name_column` holds an identity, which must not become a name"
    BREAKS_SCHEMA = "in a row that does not fit its stream's JSON schema (`validate_records`)"
    REFUSED_BY_PINTEREST = "refused by Pinterest, although it looks as it should"
    DIGEST_OF_NOTHING = "the digest of an empty value, of a word such as null or None, or of zeros; or zeros alone"
    CANNOT_MATCH = (
        "an address that cannot exist. It was sent as it is and matches nobody: look for full-width letters, a dotted "
        "capital I, and hyphens or underscores in odd places of the domain"
    )

    @property
    def rejects(self) -> bool:
        """Whether the value is a bad record, as against absent or accepted."""
        return self not in _HARMLESS


_HARMLESS: Final = frozenset(
    {Remark.EMPTY, Remark.OPTED_OUT, Remark.WAS_DIGEST, Remark.LOOKS_LIKE_IDFA, Remark.CANNOT_MATCH}
)


class Identified(NamedTuple):
    """The verdict on one raw value."""

    identity: str | None
    """As Pinterest gets it; None if nothing is to be sent."""
    remark: Remark | None


_INVISIBLE: Final = (0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF)
"""Zero-width characters, marks of writing direction, and the byte order mark."""
_BLANKS: Final = "".join(chr(c) for c in range(0x3001) if chr(c).isspace()) + "".join(map(chr, _INVISIBLE))
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_MOST_CHARACTERS: Final = 4096
"""What is longer cannot become short enough by being normalised, and may be very long."""
_HEX: Final = re.compile(r"[0-9a-fA-F]+").fullmatch
_ZERO_UUID: Final = "00000000-0000-0000-0000-000000000000"
_ZERO_DIGITS: Final = _ZERO_UUID.replace("-", "")
"""How some platforms write that a person opted out, in a column of device ids."""
_MD5_DIGITS: Final = 32
_DIGEST_DIGITS: Final = frozenset({_MD5_DIGITS, 40, 64})
MAX_EMAIL: Final = 254
"""How long an address may be, in characters."""

_ATOM: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
ASCII_EMAIL: Final = rf"{_ATOM}(?:\.{_ATOM})*@(?:[a-z0-9_-]+\.)+[a-z0-9_-]*[a-z_-][a-z0-9_-]*"
"""The pattern of all of a lower-case address in ASCII."""
_is_ascii_email: Final = re.compile(ASCII_EMAIL).fullmatch

_LABEL: Final = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
PLAIN_EMAIL: Final = rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?"
"""The pattern of all of a lower-case address in ASCII about which there is nothing to say, if it is not long."""
PLAIN_EMAIL_BYTES: Final = 66
"""The longest address that cannot have a label of more than 63 characters in its domain."""

JAPANESE_CARRIERS: Final = (
    "au.com",
    "disney.ne.jp",
    "docomo.ne.jp",
    "emnet.ne.jp",
    "ezweb.ne.jp",
    "i.softbank.jp",
    "pdx.ne.jp",
    "softbank.ne.jp",
    "uqmobile.jp",
    "vodafone.ne.jp",
    "willcom.com",
    "ymobile.ne.jp",
)
"""Domains of Japanese mobile carriers, which gave out addresses with consecutive dots and a dot before the @."""
_is_carrier_email: Final = re.compile(
    rf"{_ATOM}(?:\.+{_ATOM})*\.*@(?:{_LABEL}\.)*(?:{'|'.join(map(re.escape, JAPANESE_CARRIERS))})"
).fullmatch

_LONGEST_LABEL: Final = 63
_SHORT_LABEL: Final = _LABEL.replace("*", f"{{0,{_LONGEST_LABEL - 2}}}")
_is_host: Final = re.compile(rf"(?:{_SHORT_LABEL}\.)+{_SHORT_LABEL}").fullmatch
_non_ascii: Final = re.compile(r"[^\0-\x7f]")


@functools.cache
def _any_email() -> re.Pattern[str]:
    """Return the pattern of addresses beyond ASCII; it takes as long to compile as the rest of this module."""
    return re.compile(
        r"[a-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)*"
        r"@(?:[a-z0-9_\u0080-\U0010ffff-]+\.)+(?!\d+\Z)[a-z0-9_\u0080-\U0010ffff-]+"
    )


_WORDS_FOR_NOTHING: Final = ("null", "nil", "none", "nan", "undefined", "na", "n/a", "nat", "<na>", "unknown", "empty")
_SIGNS_FOR_NOTHING: Final = ("", " ", "\n", "\0", r"\N", "-", "0", "0.0", "false", "False", "[]", "{}", '""', "''")
_NAMES_FOR_NOTHING: Final = ("NaN", "NaT")


def _digests_of_nothing() -> frozenset[str]:
    """Return the digests of what systems write in place of a value, under each algorithm, and digests of zeros only."""
    words = {form for word in _WORDS_FOR_NOTHING for form in (word, word.upper(), word.capitalize())}
    zeros = (_ZERO_UUID, _ZERO_DIGITS, f"{{{_ZERO_UUID}}}", f"{{{_ZERO_DIGITS}}}")
    digests = {
        hashlib.new(algorithm.value, text.encode(), usedforsecurity=False).hexdigest()
        for algorithm in HashAlgorithm
        for text in (*words, *_SIGNS_FOR_NOTHING, *_NAMES_FOR_NOTHING, *zeros)
    }
    return frozenset(digests | {"0" * digits for digits in _DIGEST_DIGITS})


DIGESTS_OF_NOTHING: Final = _digests_of_nothing()
"""Digests that are nobody's."""


def trim(value: str) -> str:
    """Strip every blank from both ends: white space of any script, zero-width characters and byte order marks."""
    return value.strip(_BLANKS)


def _lower_email(value: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", value).lower())


def _lower_unless_all_upper(value: str) -> str:
    return value if value.isupper() else value.lower()


def _refuse_email(value: str) -> Remark | None:
    """Refuse what is not a mailbox: dot-atom (RFC 5322) or non-ASCII local part, at least two domain labels."""
    if len(value) > MAX_EMAIL:
        return Remark.NOT_AN_EMAIL
    if value.isascii():
        return None if _is_ascii_email(value) or _is_carrier_email(value) else Remark.NOT_AN_EMAIL
    if not _any_email().fullmatch(value) or any(unicodedata.category(c)[0] in "CZ" for c in value):
        return Remark.NOT_AN_EMAIL
    return None


def _note_email(value: str) -> Remark | None:
    """Note an address that cannot exist. Its digest stays what it is: others may hash it by the same mistake."""
    host = value.rpartition("@")[2]
    if value.isascii():
        return None if _is_host(host) else Remark.CANNOT_MATCH
    # A letter that is only another form of others is folded by whoever registers an address. The dot above stays behind
    # when a Turkish capital I is lowered.
    if unicodedata.normalize("NFKC", value) != value or "i\u0307" in value:
        return Remark.CANNOT_MATCH
    are_short = all(len(_in_dns(label)) <= _LONGEST_LABEL for label in host.split("."))
    return None if are_short and _is_host(_non_ascii.sub("a", host)) else Remark.CANNOT_MATCH


def _in_dns(label: str) -> str:
    """Return a label of a domain as it is looked up."""
    return label if label.isascii() else "xn--" + label.encode("punycode").decode()


def _note_mobile_id(value: str) -> Remark | None:
    return Remark.LOOKS_LIKE_IDFA if value.isupper() else None


def _refuse_device_id(value: str) -> Remark | None:
    if _UUID(value):
        return None
    return Remark.UUID_WITHOUT_DASHES if len(value) == _MD5_DIGITS and _HEX(value) else Remark.NOT_A_UUID


def _refuse_opaque_id(value: str) -> Remark | None:
    # isprintable() is false for every character of Unicode category C or Z but the ASCII space.
    good = value.isprintable() and not any(c in value for c in ", @") and not _UUID(value)
    return None if good else Remark.NOT_AN_OPAQUE_ID


def _refuse_undigested(value: str) -> Remark | None:
    return None if is_digest(value) else Remark.NOT_A_DIGEST


def is_digest(value: str) -> bool:
    """Tell whether the whole value is an MD5, SHA-1 or SHA-256 digest in hex, in either case."""
    return len(value) in _DIGEST_DIGITS and _HEX(value) is not None


def _nothing_to_note(value: str) -> Remark | None:  # noqa: ARG001 - the others look at it
    return None


@dataclass(frozen=True, slots=True)
class IdentityType:
    """One row of the table: how values of this type are found, normalised, checked and hashed."""

    name: str
    list_type: ListType
    default_columns: tuple[str, ...]
    normalise: Callable[[str], str]
    """From a trimmed value to the form that is hashed."""
    refuse: Callable[[str], Remark | None]
    """What is wrong with a normalised value; None if nothing is."""
    hash_rule: HashRule
    md5_is_ambiguous: bool = False
    """Whether 32 hex digits could be a plain value of this type, so that only `hashing: prehashed` settles it."""
    takes_integers: bool = False
    note: Callable[[str], Remark | None] = _nothing_to_note
    """What is worth counting about a normalised value that is hashed here."""


def _unchanged(value: str) -> str:
    return value


_ROWS: Final = (
    IdentityType(
        "EMAIL", ListType.EMAIL, ("email", "email_address", "hashed_email", "email_hash", "email_sha256"),
        _lower_email, _refuse_email, HashRule.HASH, note=_note_email,
    ),
    # Pinterest's help pages: IDFAs must be upper-case, Android ids lower-case, before they are hashed.
    IdentityType(
        "IDFA", ListType.IDFA, ("idfa",),
        str.upper, _refuse_device_id, HashRule.HASH, md5_is_ambiguous=True,
    ),
    IdentityType(
        "GAID", ListType.MAID, ("gaid", "aaid", "google_advertising_id"),
        str.lower, _refuse_device_id, HashRule.HASH, md5_is_ambiguous=True,
    ),
    IdentityType(
        "MAID", ListType.MAID, ("maid", "mobile_ad_id"),
        _lower_unless_all_upper, _refuse_device_id, HashRule.HASH, md5_is_ambiguous=True, note=_note_mobile_id,
    ),
    IdentityType(
        "LR_ID", ListType.LR_ID, ("lr_id", "liveramp_id", "ramp_id"),
        _unchanged, _refuse_opaque_id, HashRule.OPAQUE, takes_integers=True,
    ),
    IdentityType(
        "DLX_ID", ListType.DLX_ID, ("dlx_id",),
        _unchanged, _refuse_opaque_id, HashRule.OPAQUE, takes_integers=True,
    ),
    IdentityType(
        "HASHED_PINNER_ID", ListType.HASHED_PINNER_ID, ("hashed_pinner_id", "pinner_id_hash"),
        str.lower, _refuse_undigested, HashRule.DIGEST_ONLY,
    ),
)  # fmt: skip

IDENTITY_TYPES: Final[Mapping[str, IdentityType]] = MappingProxyType({row.name: row for row in _ROWS})

DEFAULT_COLUMNS: Final[Mapping[str, IdentityType]] = MappingProxyType(
    {column: row for row in _ROWS for column in row.default_columns}
)
"""Column name in lower case → the type that it holds when `identity_columns` is not set."""


def identify(value: object, kind: IdentityType, hashing: Hashing, algorithm: HashAlgorithm) -> Identified:
    """Turn one raw value into the identity that Pinterest gets.

    Args:
        value: what the record holds in the column; text, or an integer for opaque ids.
        kind: the type that the column holds.
        hashing: whether plain values are hashed or refused.
        algorithm: the digest for values that are hashed here.

    Returns:
        The identity, or the reason why there is none. Never raises for any JSON value.
    """
    if value is None:
        return _EMPTY
    if not isinstance(value, str):
        if not kind.takes_integers or not isinstance(value, int) or isinstance(value, bool):
            return _rejected(Remark.NOT_UTF8 if isinstance(value, bytes) else Remark.NOT_TEXT)
        value = str(value)
    value = trim(value)
    if not value:
        return _EMPTY
    if value == _ZERO_UUID or (kind.md5_is_ambiguous and value.strip("{}").replace("-", "") == _ZERO_DIGITS):
        return Identified(None, Remark.OPTED_OUT)
    if kind.hash_rule is not HashRule.OPAQUE and is_digest(value):
        return _identify_digest(value.lower(), kind, hashing)
    value = _normalise(value, kind)
    remark = kind.refuse(value)
    if remark is not None:
        return _rejected(remark)
    if kind.hash_rule is HashRule.OPAQUE:
        return Identified(value, None)
    if hashing is Hashing.PREHASHED:
        return _rejected(Remark.PLAIN_BUT_PREHASHED)
    digest = hashlib.new(algorithm.value, value.encode(), usedforsecurity=False).hexdigest()
    return Identified(digest, kind.note(value))


def _normalise(value: str, kind: IdentityType) -> str:
    return kind.normalise(value) if len(value) <= _MOST_CHARACTERS else value


def _identify_digest(value: str, kind: IdentityType, hashing: Hashing) -> Identified:
    if value in DIGESTS_OF_NOTHING:
        return _rejected(Remark.DIGEST_OF_NOTHING)
    if kind.md5_is_ambiguous and len(value) == _MD5_DIGITS and hashing is Hashing.AUTO:
        return _rejected(Remark.UUID_WITHOUT_DASHES)
    return Identified(value, Remark.WAS_DIGEST if kind.hash_rule is HashRule.HASH else None)


_EMPTY: Final = Identified(None, Remark.EMPTY)


def _rejected(remark: Remark) -> Identified:
    return Identified(None, remark)
