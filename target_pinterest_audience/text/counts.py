"""Counts with their nouns, singular or plural."""

from __future__ import annotations


def several(count: int, one: str, many: str) -> str:
    """Return a count with its noun, such as `1 identity` or `2,000 identities`."""
    return f"{count:,} {one if count == 1 else many}"


def identities(count: int) -> str:
    """Return a count of identities."""
    return several(count, "identity", "identities")
