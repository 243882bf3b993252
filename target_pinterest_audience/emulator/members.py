"""What adding and removing values does to the members of a list. A row is `field:value`, with `&` between fields."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from target_pinterest_audience.emulator.settings import HalfRows

_DEVICE_ID: Final = re.compile(r"(.*:)?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})")


def without_case(value: str) -> str:
    """Return a device id in upper case, and any other value unchanged."""
    found = _DEVICE_ID.fullmatch(value)
    return f"{found[1] or ''}{found[2].upper()}" if found else value


def add(members: set[str], values: Iterable[str]) -> int:
    """Add values to the members of a list.

    Returns:
        How many members it has gained.
    """
    before = len(members)
    members.update(values)
    return len(members) - before


def remove(members: set[str], values: Iterable[str], half_rows: HalfRows) -> int:
    """Remove values from the members of a list.

    Args:
        members: the members.
        values: the values.
        half_rows: what happens to a row if a value names only some of its fields.

    Returns:
        How many of the values were found.
    """
    return sum(_remove_one(members, value, half_rows) for value in values)


def _remove_one(members: set[str], value: str, half_rows: HalfRows) -> bool:
    """Remove one value, and return whether it was found."""
    if value in members:
        members.remove(value)
        return True
    if half_rows == "kept":
        return False
    named = set(value.split("&"))
    rows = [(each, set(each.split("&"))) for each in members]
    met = [(each, fields) for each, fields in rows if fields & named]
    for each, fields in met:
        members.remove(each)
        if half_rows == "shortened" and fields - named:
            members.add("&".join(sorted(fields - named)))
    return bool(met)
