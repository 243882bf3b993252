"""Near names: what a misspelt name was probably meant to be. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_LIKENESS: Final = 0.6
"""How much of a name must be right, from 0 to 1."""


def nearest(name: str, known: Iterable[str], likeness: float = _LIKENESS) -> str | None:
    """Return the known name that a name resembles most, without regard to case; None if none is near.

    Args:
        name: the name.
        known: the names that exist.
        likeness: how much of the name must be right, from 0 to 1.
    """
    folded = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), folded, 1, likeness)
    return folded[near[0]] if near else None


def nearest_or_longer(name: str, known: Iterable[str]) -> str | None:
    """Return what `nearest` returns, or else the only known name that contains the name."""
    known = list(known)
    containing = [each for each in known if name and name.casefold() in each.casefold()]
    return nearest(name, known) or (containing[0] if len(containing) == 1 else None)
