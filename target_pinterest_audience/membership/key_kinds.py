"""Key kinds: which kinds of values a key property has held. A changed type is noticed before it doubles rows. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from target_pinterest_audience.membership.key_forms import FIRST_RULES, NUMBER_FORMAT, is_number_text, is_uuid_text
from target_pinterest_audience.records.arrow_column import MomentText, UuidBytes

NUMBER: Final = "number"
ROUNDED: Final = "rounded"
"""A number of 16 or 17 digits that a double holds: what remains of a longer one when a tap reads floats."""
PRECISE: Final = "precise"
"""A number with more digits than a double holds."""
DIGITS: Final = "digits"
"""Text that is an integer, written as JSON writes it."""
ODD_NUMBER: Final = "odd_number"
"""Text that is a number in another notation, such as `01` or `1.0`, in a column of text."""
TEXT: Final = "text"
UUID_TEXT: Final = "uuid_text"
UUID_VALUE: Final = "uuid"
MOMENT: Final = "moment"
BOOLEAN: Final = "boolean"
OTHER: Final = "other"

WORDS: Final[Mapping[str, str]] = {
    NUMBER: "numbers",
    ROUNDED: "numbers rounded to what a floating-point number holds",
    PRECISE: "numbers with more digits than a floating-point number holds",
    DIGITS: "the digits of integers as text",
    ODD_NUMBER: "numbers as text",
    TEXT: "text",
    UUID_TEXT: "the text of UUIDs",
    UUID_VALUE: "UUIDs",
    MOMENT: "dates or times",
    BOOLEAN: "booleans",
    OTHER: "arrays or objects",
}

_DOUBLE_DIGITS: Final = 15
"""A double holds every number with so many digits exactly."""

_TEXTS: Final = frozenset({TEXT, UUID_TEXT, ODD_NUMBER})

_FOLLOWS: Final[Mapping[str, frozenset[str]]] = {
    NUMBER: frozenset({DIGITS}),
    DIGITS: frozenset({NUMBER}) | _TEXTS,
    ODD_NUMBER: frozenset({DIGITS}) | _TEXTS,
    TEXT: frozenset({DIGITS}) | _TEXTS,
    UUID_TEXT: frozenset({DIGITS, UUID_VALUE}) | _TEXTS,
    UUID_VALUE: frozenset({UUID_TEXT}),
}
"""Kind → the former kinds that it may follow: a key has the same canonical form in both."""

_NEVER_FOLLOWS: Final[Mapping[str, frozenset[str]]] = {
    NUMBER: _TEXTS,
    ODD_NUMBER: frozenset({NUMBER}),
    ROUNDED: frozenset({PRECISE}),
    PRECISE: frozenset({ROUNDED}),
}
"""Kind → the former kinds that it may never follow, whatever other kinds there were."""

_is_like_a_moment = re.compile(rb"-?infinity|-?\d{4,}-\d\d-\d\d.*", re.IGNORECASE | re.DOTALL).fullmatch
"""Matches values in a column of moments that Python cannot read: zero dates, distant years, nanoseconds."""


def clash(former: Collection[str], new: Iterable[str], rules: int) -> str | None:
    """Return a new kind of values that would make other rows of known keys; None if all new kinds are compatible.

    Args:
        former: the kinds that the key property held before; if there are none, every kind is compatible.
        new: further kinds that it holds now.
        rules: the rules of the source.
    """
    if not former:
        return None
    accepted, left = set(former), sorted(set(new) - set(former))
    while True:
        fitting = [kind for kind in left if _may_follow(kind, accepted, rules)]
        if not fitting:
            return left[0] if left else None
        accepted.update(fitting)
        left = [kind for kind in left if kind not in accepted]


def _may_follow(kind: str, former: Collection[str], rules: int) -> bool:
    if not _NEVER_FOLLOWS.get(kind, frozenset()).isdisjoint(former):
        return False
    if kind in {ROUNDED, PRECISE}:
        # These values are numbers, too, and that kind is checked by itself.
        return True
    return rules > FIRST_RULES and not _FOLLOWS.get(kind, frozenset()).isdisjoint(former)


def kinds_of_texts(
    texts: Sequence[bytes], are_integers: Sequence[bool] | None, former: Collection[str], rules: int
) -> set[str]:
    """Return the kinds of texts in a column whose schema declares plain text.

    The first text decides whether they are UUIDs: a column of UUIDs holds nothing else.

    Args:
        texts: the texts.
        are_integers: whether each is an integer; None if none is.
        former: the kinds that are known.
        rules: the rules of the source.
    """
    if rules == FIRST_RULES:
        return {TEXT}
    kinds = set()
    if are_integers is not None:
        others = [text for text, is_integer in zip(texts, are_integers, strict=True) if not is_integer]
        if len(others) < len(texts):
            kinds.add(DIGITS)
        if any(map(bytes.isdigit, others)):
            kinds.add(ODD_NUMBER)
        texts = others
    if texts:
        kinds.add(UUID_TEXT if is_uuid_text(texts[0]) else TEXT)
    # Searched only where such numbers do harm, since the search is slow.
    if NUMBER in former and ODD_NUMBER not in former and any(map(is_number_text, texts)):
        kinds.add(ODD_NUMBER)
    return kinds


def kinds_of(
    values: Sequence[Any], forms: Sequence[bytes], text_format: str | None, former: Collection[str], rules: int
) -> set[str]:
    """Return the kinds of any values.

    Args:
        values: the values.
        forms: their canonical forms.
        text_format: the format of the column's text; see `key_forms.formats_of`.
        former: the kinds that are known.
        rules: the rules of the source.
    """
    kinds: set[str] = set()
    are_texts = False
    for of_type, letter in set(zip(map(type, values), [form[:1] for form in forms], strict=True)):
        if letter == b"t":
            kinds.add(MOMENT)
        elif letter == b"b":
            kinds.add(BOOLEAN)
        elif issubclass(of_type, (UUID, UuidBytes)):
            kinds.add(UUID_VALUE)
        elif issubclass(of_type, MomentText):
            kinds.add(MOMENT)
        elif issubclass(of_type, (str, bytes)):
            are_texts = True
        elif letter == b"n":
            kinds.add(NUMBER)
            if of_type is not int:
                kinds |= _lengths(form for value, form in zip(values, forms, strict=True) if type(value) is of_type)
        else:
            kinds.add(OTHER)
    if are_texts:
        kinds |= _kinds_of_some_texts(values, forms, text_format, former, rules)
    return kinds


def _kinds_of_some_texts(
    values: Sequence[Any], forms: Sequence[bytes], text_format: str | None, former: Collection[str], rules: int
) -> set[str]:
    """Return the kinds of the values that are texts and no moments. The arguments are those of `kinds_of`."""
    texts, are_integers, numbers = [], [], []
    for value, form in zip(values, forms, strict=True):
        is_text = isinstance(value, (str, bytes)) and not isinstance(value, (UuidBytes, MomentText))
        if is_text and form[:1] != b"t":
            text = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
            is_integer = form == b"n" + text
            if form[:1] == b"n" and not is_integer:
                numbers.append(form)
            elif text_format in {None, NUMBER_FORMAT} or not _is_like_a_moment(text):
                texts.append(text)
                are_integers.append(is_integer)
    kinds = kinds_of_texts(texts, are_integers, former, rules) if texts else set()
    return kinds | {NUMBER} | _lengths(numbers) if numbers else kinds


def _lengths(forms: Iterable[bytes]) -> set[str]:
    """Return `ROUNDED` or `PRECISE` for each number with as many digits as a double holds, or with more."""
    kinds = set()
    for form in forms:
        if len(form) > _DOUBLE_DIGITS:
            digits = form[1:].partition(b"e")[0].lstrip(b"-").rstrip(b"0")
            if len(digits) > _DOUBLE_DIGITS and digits.isdigit():
                number = Decimal(form[1:].decode())
                kinds.add(ROUNDED if Decimal(repr(float(number))) == number else PRECISE)
    return kinds
