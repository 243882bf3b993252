"""Counts: how many statements contribute or refuse an identity, and what to send when that changes. Pure.

An identity belongs on a list if and only if at least one row contributes it and no row refuses it. A row that is held
out counts as one that refuses its identities, so that no other row puts them on the list.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from target_pinterest_audience.membership.statements import REFUSALS, Stance, Statement
from target_pinterest_audience.vocabulary import Operation


class Count(NamedTuple):
    """How many statements contribute an identity to a list, and how many refuse it or hold it out."""

    contributors: int
    refusers: int

    @property
    def on_list(self) -> bool:
        """Whether the identity belongs on the list."""
        return self.contributors > 0 and not self.refusers


_KEEP_OFF: Final = REFUSALS | {Stance.HOLDS_OUT}

NOBODY: Final = Count(0, 0)
"""The count of an identity that no row names."""


def change_of(statement: Statement) -> Count:
    """Return what a statement adds to the count of its identity."""
    return Count(int(statement.stance == Stance.CONTRIBUTES), int(statement.stance in _KEEP_OFF))


def decide(before: Count, after: Count, *, asked: bool) -> Operation | None:
    """Return the operation to send for an identity whose count changes; None if there is nothing to send.

    Args:
        before: the count in the ledger.
        after: the count after the events of a window.
        asked: whether an event requests the removal by name. Then an identity that the ledger has never seen on the
            list is removed too: it may have come to the list in another way.
    """
    if after.on_list:
        return None if before.on_list else Operation.ADD
    if before.on_list or asked:
        return Operation.REMOVE
    return None
