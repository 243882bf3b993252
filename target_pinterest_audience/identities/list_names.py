"""Names of customer lists: names from rows (`list_name_column`), and names that are easily mistaken. Pure."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final

from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing
from target_pinterest_audience.identities.identify import identify, trim
from target_pinterest_audience.identities.phones import shows_a_phone
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.records.paths import MISPLACED

NO_LIST: Final = ""
"""The name that stands for no list."""

_PERSONAL: Final = ("EMAIL", "IDFA", "HASHED_PINNER_ID")
"""The types that together recognise addresses, device ids and digests. Phone numbers have a rule of their own."""
_NAMES: Final = 100_000
"""How many names to remember. Rows often name their lists in turn: with one list more, no name would be found."""
_RULES: Final = (Hashing.AUTO, HashAlgorithm.SHA256)
_words: Final = re.compile(r"""[^\s,;:<>()\[\]"'/|=]+""").findall


def named_list(record: Mapping[str, Any], column: str | None) -> tuple[str | None, Remark | None]:
    """Return the list that a record names.

    Args:
        record: the record.
        column: the column that holds the name; None if the settings choose the list.

    Returns:
        The name, `NO_LIST` if the record names none, or None if the settings choose; and a remark if the row is bad.
    """
    if column is None:
        return None, None
    if column not in record:
        return NO_LIST, Remark.LIST_NAME_IS_MISSING
    value = record[column]
    if value is None:
        return NO_LIST, None
    if isinstance(value, str):
        return list_name(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value), None
    return NO_LIST, Remark.LIST_NAME_IS_UNREADABLE if value is MISPLACED else Remark.LIST_NAME_IS_NO_NAME


@functools.lru_cache(maxsize=_NAMES)
def list_name(value: str) -> tuple[str, Remark | None]:
    """Return a name without blanks around it; or `NO_LIST` and a remark if it must not be used.

    Everybody who uses the ad account sees the names of its lists, so no identity may become one.
    """
    name = trim(value)
    if not name.isprintable():
        return NO_LIST, Remark.LIST_NAME_IS_NO_NAME
    for kind in _PERSONAL:
        if identify(name, IDENTITY_TYPES[kind], *_RULES).identity is not None:
            return NO_LIST, Remark.LIST_NAME_IS_AN_IDENTITY
    # Without the sign, it could be the number of a segment.
    if shows_a_phone(name):
        return NO_LIST, Remark.LIST_NAME_IS_AN_IDENTITY
    if any(identify(word, IDENTITY_TYPES["EMAIL"], *_RULES).identity is not None for word in _words(name)):
        return NO_LIST, Remark.LIST_NAME_IS_AN_IDENTITY
    return name, None


class UsableNames(dict[object, str]):
    """Text in a record → the list name in it, for text that can be one; `NO_LIST` for other text, which is not stored.

    With thousands of lists, a look-up in the cache of `list_name` takes several times as long. The number of entries is
    limited, too, because the column may hold something else.
    """

    def __missing__(self, value: object) -> str:
        """Return the name, and store it if it can be used."""
        name, _ = list_name(value) if isinstance(value, str) else (NO_LIST, None)
        if name != NO_LIST and len(self) < _NAMES:
            self[value] = name
        return name


@functools.lru_cache(maxsize=_NAMES)
def likeness(name: str) -> str:
    """Return a key that is the same for names that people may mistake for each other.

    It ignores case, blanks, invisible characters, and different forms of a character (NFC or NFD, width).
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(each for each in folded if not each.isspace() and unicodedata.category(each) != "Cf")


def difference(name: str, other: str) -> str:
    """Return how two different names of the same likeness differ, in words."""
    for words, form in _DIFFERENCES:
        if form(name) == form(other):
            return words
    return "in case, blanks or forms of the same characters"


_DIFFERENCES: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("in how its accents are encoded (Unicode NFC or NFD)", functools.partial(unicodedata.normalize, "NFC")),
    ("in case", str.casefold),
    ("in blanks", lambda name: "".join(name.split())),
    ("in width or other forms of the same characters", functools.partial(unicodedata.normalize, "NFKC")),
)
