"""Terms that every stage uses: operations, types of lists, causes of removals."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Final


class Operation(str, Enum):
    """What a PATCH of a customer list does with its identities."""

    ADD = "ADD"
    REMOVE = "REMOVE"


class WireFormat(str, Enum):
    """The field of a request body that carries identities. A request has exactly one (API description 5.28)."""

    RECORDS = "records"
    """One text: the identities, separated by commas."""
    PHONES = "records_v2"
    """One row for each identity. The target sends only rows of one field, `hashed_phone_number`."""


class ListType(str, Enum):
    """What a customer list is created for.

    All but `PHONE` are the `list_type` values that Pinterest accepts (API description 5.23). No value of Pinterest's is
    known for lists of phone numbers (API description 5.28), so a request that creates one has no `list_type`.
    """

    EMAIL = "EMAIL"
    IDFA = "IDFA"
    MAID = "MAID"
    LR_ID = "LR_ID"
    DLX_ID = "DLX_ID"
    HASHED_PINNER_ID = "HASHED_PINNER_ID"
    PHONE = "PHONE"


class Cause(IntEnum):
    """Why an identity is removed. The greater of two causes explains a removal better. The ledger stores the number."""

    UNFINISHED = 0
    """An interrupted run was about to remove it, and its cause is no longer known."""
    PRUNE = 1
    CHANGE = 2
    DELETE = 3
    REFUSAL = 4
    CLEAR = 5
    FORGET = 6
    REPEATED = 7
    """It is removed once more: an older request without an answer may have added it again."""
    HOLDOUT = 8
    """The hold-out chose its person."""

    @property
    def explicit(self) -> bool:
        """Whether a person or the stream asked for the removal. The ledger derives the others, which have a ceiling."""
        return self not in {Cause.PRUNE, Cause.CHANGE, Cause.HOLDOUT}


_WORDS: Final[Mapping[str, str]] = {
    "delete": "deleted",
    "change": "changed",
    "refusal": "refused",
    "prune": "pruned",
    "clear": "cleared",
    "forget": "forgotten",
    "unfinished": "left by an interrupted run",
    "repeated": "removed once more",
    "holdout": "held out",
}


def by_name(causes: Mapping[Cause, int]) -> dict[str, int]:
    """Return counts by the names of their causes, as reports and the ledger show them, the greatest first."""
    in_order = sorted(causes.items(), key=lambda each: (-each[1], each[0]))
    return {cause.name.lower(): count for cause, count in in_order}


def describe_causes(causes: Mapping[str, int]) -> str:
    """Return counts from `by_name` as one clause, such as `3 deleted, 1 changed`."""
    return ", ".join(f"{count:,} {_WORDS.get(name, name)}" for name, count in causes.items())
