"""Decisions: which identities to add to a list or remove from it, as a window of events demands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from target_pinterest_audience.vocabulary import Cause, Operation


class Removal(NamedTuple):
    """Why an identity is removed."""

    cause: Cause
    line: int
    """The first line of the stream that the removal follows from."""
    was_member: bool = True
    """Whether the identity belonged on the list. A deleted row can name one that never did."""


@dataclass(slots=True)
class ListDecisions:
    """What to send to one list.

    Attributes:
        additions: identity → the first line of the stream that its addition follows from.
        removals: identity → why it is removed.
        let_in: how many identities no row refuses any more; see `Movement`.
    """

    additions: dict[bytes, int] = field(default_factory=dict)
    removals: dict[bytes, Removal] = field(default_factory=dict)
    let_in: int = 0

    def note(self, operation: Operation | None, identity: bytes, removal: Removal) -> None:
        """Note what to send for an identity.

        Args:
            operation: whether to add or to remove it; None to send nothing.
            identity: the identity.
            removal: why it is removed, if it is, and the line that either follows from.
        """
        if operation is Operation.ADD:
            self.additions[identity] = removal.line
        elif operation is Operation.REMOVE:
            self.removals[identity] = removal


Decisions = dict[int, ListDecisions]
"""List number → what to send to the list."""


class Movement(NamedTuple):
    """How many identities join and leave one list.

    Attributes:
        added: identities that join.
        derived: members whose removal the ledger derives: their rows changed, or are missing from the stream.
        deleted: members whose rows were marked as deleted.
        refused: members that a row refuses.
        let_in: identities that no row refuses any more, because rows with `operation: remove` were marked as deleted.
    """

    added: int
    derived: int
    deleted: int
    refused: int
    let_in: int = 0


def movements(decisions: Decisions) -> dict[int, Movement]:
    """Return list number → how many join and leave, for the lists that change.

    The removal of an identity that was no member, which a deleted row can request, does not count.
    """
    found = {}
    for number, decided in decisions.items():
        if decided.additions and not decided.removals:
            found[number] = Movement(len(decided.additions), 0, 0, 0, decided.let_in)
        elif decided.removals or decided.let_in:
            left = Counter(removal.cause for removal in decided.removals.values() if removal.was_member)
            derived = sum(count for cause, count in left.items() if not cause.explicit)
            found[number] = Movement(
                len(decided.additions), derived, left[Cause.DELETE], left[Cause.REFUSAL], decided.let_in
            )
    return found
