"""Counts with their nouns, singular or plural, and the first of many names."""

from __future__ import annotations

from collections.abc import Sequence


def several(count: int, one: str, many: str) -> str:
    """Return a count with its noun, such as `1 identity` or `2,000 identities`."""
    return f"{count:,} {one if count == 1 else many}"


def identities(count: int) -> str:
    """Return a count of identities."""
    return several(count, "identity", "identities")


def first_of(names: Sequence[str], most: int, one: str, many: str) -> str:
    """Return names as a phrase: the first ones, and how many more of their kind there are.

    Args:
        names: the names.
        most: how many to name.
        one: what one more is called.
        many: what several more are called.
    """
    rest = len(names) - most
    more = f" and {several(rest, f'more {one}', f'more {many}')}" if rest > 0 else ""
    return ", ".join(names[:most]) + more
