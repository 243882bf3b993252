"""The lists that rows name themselves (`list_name_column`)."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final

from target_pinterest_audience.identities import IDENTITY_TYPES, HashAlgorithm, Hashing, Remark, identify, trim

NO_LIST: Final = ""
"""What a row names as its list if it is to be on none."""

_PERSONAL: Final = ("EMAIL", "IDFA", "HASHED_PINNER_ID")
"""The types of identity that together know what is an address, a device id or a digest."""
_RULES: Final = (Hashing.AUTO, HashAlgorithm.SHA256)
_words: Final = re.compile(r"""[^\s,;:<>()\[\]"'/|=]+""").findall


def named_list(record: Mapping[str, Any], column: str | None) -> tuple[str | None, Remark | None]:
    """Return the list that a record names.

    Args:
        record: the record.
        column: the column that holds the name; None if the settings choose the list.

    Returns:
        The name, `NO_LIST` if there is none, None if the settings choose; and why the row is bad if it is.
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
    return NO_LIST, Remark.LIST_NAME_IS_NO_NAME


@functools.lru_cache(maxsize=10_000)
def list_name(value: str) -> tuple[str, Remark | None]:
    """Return a name as the list gets it, and why it is none if it is not.

    Everybody who uses the ad account sees the names of its lists, so that no identity may become one.
    """
    name = trim(value)
    if not name.isprintable():
        return NO_LIST, Remark.LIST_NAME_IS_NO_NAME
    for kind in _PERSONAL:
        if identify(name, IDENTITY_TYPES[kind], *_RULES).identity is not None:
            return NO_LIST, Remark.LIST_NAME_IS_AN_IDENTITY
    if any(identify(word, IDENTITY_TYPES["EMAIL"], *_RULES).identity is not None for word in _words(name)):
        return NO_LIST, Remark.LIST_NAME_IS_AN_IDENTITY
    return name, None
