"""Many values of one identity column at once: the same verdicts as `identify` gives one by one, several times faster.

Values that look as they should are checked together, by one search over all of them; only the others are judged one by
one. Everything here is pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Final, Generic, TypeVar

from target_pinterest_audience.identities import (
    EMAIL_PATTERN,
    MAX_EMAIL,
    UUID_PATTERN,
    HashAlgorithm,
    Hashing,
    IdentityType,
    Remark,
    identify,
)

_TOGETHER: Final = 64
"""How many values are checked together: one odd value has as many judged one by one."""

_NOT_ZERO: Final = "(?![0-]+ *$)"

# Each finds the values in a text of one normalised value a line, if they are plain and need no second look.
_FINDERS: Final[Mapping[str, Callable[[str], list[str]]]] = {
    "EMAIL": re.compile(rf"^ *({EMAIL_PATTERN}) *$", re.MULTILINE).findall,
    "IDFA": re.compile(rf"^ *({_NOT_ZERO}{UUID_PATTERN}) *$", re.MULTILINE).findall,
    "GAID": re.compile(rf"^ *({_NOT_ZERO}{UUID_PATTERN}) *$", re.MULTILINE).findall,
}


T = TypeVar("T", str, bytes)


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """In which form the identities of a column are wanted.

    Attributes:
        of_digest: returns it for a digest that was made here.
        of_text: returns it for an identity as Pinterest gets it.
    """

    of_digest: Callable[[hashlib._Hash], T]
    of_text: Callable[[str], T]


TEXT: Final[Form[str]] = Form(methodcaller("hexdigest"), str)
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
    begun = hashlib.new(algorithm.value, usedforsecurity=False)
    for start in range(0, len(given), _TOGETHER):
        some = given[start : start + _TOGETHER]
        plain = _find_plain(some, kind, find) if find is not None else None
        if plain is not None:
            identities += map(form.of_digest, _digests(plain, begun))
            continue
        for offset, value in enumerate(some):
            identity, remark = identify(value, kind, hashing, algorithm)
            identities.append(form.of_text(identity) if identity is not None else None)
            if remark is not None and remark is not Remark.EMPTY:
                remarks.append((start + offset, remark))
    if len(given) == len(values):
        return identities, remarks
    return _spread(values, identities, remarks)


def _find_plain(values: Sequence[object], kind: IdentityType, find: Callable[[str], list[str]]) -> list[str] | None:
    """Return all values in the form that is hashed; None if one of them needs a closer look."""
    try:
        text = "\n".join(values)  # type: ignore[arg-type]
    except TypeError:
        return None
    lines = text.count("\n") + 1
    if lines != len(values) or not text.isascii() or max(map(len, values)) > MAX_EMAIL:  # type: ignore[arg-type]
        return None
    # A whole text is normalised like each of its lines, as long as it is ASCII.
    found = find(kind.normalise(text))
    return found if len(found) == lines else None


def _digests(values: list[str], begun: hashlib._Hash) -> Iterator[hashlib._Hash]:
    for value in values:
        digest = begun.copy()
        digest.update(value.encode())
        yield digest


def _spread(values: Sequence[object], identities: list[T | None], remarks: Remarks) -> tuple[list[T | None], Remarks]:
    """Put the verdicts on the values that are given to their places among all."""
    places = [place for place, value in enumerate(values) if value is not None]
    spread: list[T | None] = [None] * len(values)
    for place, identity in zip(places, identities, strict=True):
        spread[place] = identity
    return spread, [(places[at], remark) for at, remark in remarks]
