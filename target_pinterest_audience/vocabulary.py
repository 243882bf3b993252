"""Words that every stage uses: what is done to an identity, what kinds of lists there are, why somebody is removed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Final


class Operation(str, Enum):
    """What a PATCH of a customer list does with its records."""

    ADD = "ADD"
    REMOVE = "REMOVE"


class ListType(str, Enum):
    """The `list_type` values that Pinterest takes when a customer list is created (API description 5.23)."""

    EMAIL = "EMAIL"
    IDFA = "IDFA"
    MAID = "MAID"
    LR_ID = "LR_ID"
    DLX_ID = "DLX_ID"
    HASHED_PINNER_ID = "HASHED_PINNER_ID"


class Cause(IntEnum):
    """Why an identity is removed. The greater of two explains a removal better. The numbers are stored."""

    UNFINISHED = 0
    """A run that was cut short was about to send it, and why is not known any more."""
    PRUNE = 1
    CHANGE = 2
    DELETE = 3
    REFUSAL = 4
    CLEAR = 5
    FORGET = 6
    REPEATED = 7
    """They were removed before, or should have been, and are again: an older request may have brought them back."""

    @property
    def explicit(self) -> bool:
        """Whether somebody asked for the removal, as against the ledger deriving it: those have a ceiling."""
        return self not in {Cause.PRUNE, Cause.CHANGE}


_WORDS: Final[Mapping[str, str]] = {
    "delete": "deleted",
    "change": "changed",
    "refusal": "refused",
    "prune": "pruned",
    "clear": "cleared",
    "forget": "forgotten",
    "unfinished": "left by a run that was cut short",
    "repeated": "removed once more",
}


def by_name(causes: Mapping[Cause, int]) -> dict[str, int]:
    """Return counts under the names by which reports and the ledger know causes, the greatest first."""
    in_order = sorted(causes.items(), key=lambda each: (-each[1], each[0]))
    return {cause.name.lower(): count for cause, count in in_order}


def told(causes: Mapping[str, int]) -> str:
    """Tell counts, as `by_name` returns them, as one clause."""
    return ", ".join(f"{count:,} {_WORDS.get(name, name)}" for name, count in causes.items())
