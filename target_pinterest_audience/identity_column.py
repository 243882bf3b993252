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
from typing import Final, Generic, Protocol, TypeVar

from target_pinterest_audience.identities import HashAlgorithm, Hashing, IdentityType, Remark, identify

_TOGETHER: Final = 64
"""How many values are checked together: one odd value has as many judged one by one."""

# What `identities` takes for an address, as long as no two dots follow each other. The bounds keep it shorter than the
# longest that is taken there, and are for nobody's address: what is longer is judged by itself.
_emails: Final = re.compile(
    rb"^ *([a-z0-9!#$%&'*+/=?^_`{|}~-][a-z0-9!#$%&'*+/=?^_`{|}~.-]{0,99}(?<!\.)@"
    rb"[a-z0-9_-][a-z0-9_.-]{0,99}\.[a-z0-9_-]{0,20}[a-z_-][a-z0-9_-]{0,20}) *$",
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

_FINDERS: Final[Mapping[str, Callable[[bytes], list[bytes]]]] = {
    "EMAIL": _find_emails,
    "IDFA": lambda text: _upper_uuids(text.upper()),
    "GAID": lambda text: _lower_uuids(text.lower()),
    "MAID": _lower_uuids,
}
"""Type → what finds its values in an ASCII text of one a line, in the form that is hashed, unless they need a second
look."""


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
        of_text: returns it for an identity as Pinterest gets it.
    """

    of_plain: Callable[[Hash, Sequence[bytes]], list[T]]
    of_text: Callable[[str], T]


def _hexdigests(new: Hash, values: Sequence[bytes]) -> list[str]:
    return [new(value).hexdigest() for value in values]


TEXT: Final[Form[str]] = Form(_hexdigests, str)
"""As Pinterest gets them."""

Remarks = list[tuple[int, Remark]]
"""Position and what there is to say of the value, unless it is empty."""


def identify_column(
    values: Sequence[object], kind: IdentityType, hashing: Hashing, algorithm: HashAlgorithm, form: Form[T]
) -> tuple[list[T | None], Remarks]:
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
    given = [value for value in values if value is not None]
    identities: list[T | None] = []
    remarks: Remarks = []
    find = _FINDERS.get(kind.name) if hashing is Hashing.AUTO else None
    for start in range(0, len(given), _TOGETHER):
        some = given[start : start + _TOGETHER]
        plain = _find_plain(some, find) if find is not None else None
        if plain is not None:
            identities += form.of_plain(_HASHES[algorithm], plain)
            continue
        for offset, value in enumerate(some):
            identity, remark = identify(value, kind, hashing, algorithm)
            identities.append(form.of_text(identity) if identity is not None else None)
            if remark is not None and remark is not Remark.EMPTY:
                remarks.append((start + offset, remark))
    if len(given) == len(values):
        return identities, remarks
    return _spread(values, identities, remarks)


def _find_plain(values: Sequence[object], find: Callable[[bytes], list[bytes]]) -> list[bytes] | None:
    """Return all values in the form that is hashed; None if one of them needs a closer look."""
    try:
        text = "\n".join(values)  # type: ignore[arg-type]
    except TypeError:
        return None
    if not text.isascii():
        return None
    found = find(text.encode())
    # A value of several lines could pass for several values, and make up for one that is not found.
    return found if len(found) == len(values) == text.count("\n") + 1 else None


def _spread(values: Sequence[object], identities: list[T | None], remarks: Remarks) -> tuple[list[T | None], Remarks]:
    """Put the verdicts on the values that are given to their places among all."""
    places = [place for place, value in enumerate(values) if value is not None]
    spread: list[T | None] = [None] * len(values)
    for place, identity in zip(places, identities, strict=True):
        spread[place] = identity
    return spread, [(places[at], remark) for at, remark in remarks]
