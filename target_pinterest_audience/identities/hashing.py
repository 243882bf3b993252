"""Digests: which algorithms there are, how to recognise a digest, and which digests mean nothing. Pure."""

from __future__ import annotations

import hashlib
import re
from enum import Enum
from typing import Final


class Hashing(str, Enum):
    """What happens to a value that is not a digest already: it is hashed, or it is rejected."""

    AUTO = "auto"
    PREHASHED = "prehashed"


class HashAlgorithm(str, Enum):
    """The digests that Pinterest accepts (API description 5.23)."""

    SHA256 = "sha256"
    SHA1 = "sha1"
    MD5 = "md5"


MD5_DIGITS: Final = 32
_DIGEST_DIGITS: Final = frozenset({MD5_DIGITS, 40, 64})
is_hex: Final = re.compile(r"[0-9a-fA-F]+").fullmatch


def is_digest(value: str) -> bool:
    """Return whether the whole value is an MD5, SHA-1 or SHA-256 digest in hex, in either case."""
    return len(value) in _DIGEST_DIGITS and is_hex(value) is not None


def hex_digest(value: str, algorithm: HashAlgorithm) -> str:
    """Return the digest of a value in lower-case hex."""
    return hashlib.new(algorithm.value, value.encode(), usedforsecurity=False).hexdigest()


ZERO_UUID: Final = "00000000-0000-0000-0000-000000000000"
"""The device id of a person who opted out of tracking."""
ZERO_DIGITS: Final = ZERO_UUID.replace("-", "")
"""The same without dashes."""

_WORDS_FOR_NOTHING: Final = ("null", "nil", "none", "nan", "undefined", "na", "n/a", "nat", "<na>", "unknown", "empty")
_SIGNS_FOR_NOTHING: Final = ("", " ", "\n", "\0", r"\N", "-", "0", "0.0", "false", "False", "[]", "{}", '""', "''")
_NAMES_FOR_NOTHING: Final = ("NaN", "NaT")


def _digests_of_nothing() -> frozenset[str]:
    """Return the digests of what systems write for a missing value, under each algorithm; and digests of zeros only."""
    words = {form for word in _WORDS_FOR_NOTHING for form in (word, word.upper(), word.capitalize())}
    zeros = (ZERO_UUID, ZERO_DIGITS, f"{{{ZERO_UUID}}}", f"{{{ZERO_DIGITS}}}")
    digests = {
        hex_digest(text, algorithm)
        for algorithm in HashAlgorithm
        for text in (*words, *_SIGNS_FOR_NOTHING, *_NAMES_FOR_NOTHING, *zeros)
    }
    return frozenset(digests | {"0" * digits for digits in _DIGEST_DIGITS})


DIGESTS_OF_NOTHING: Final = _digests_of_nothing()
"""Digests that belong to nobody."""
