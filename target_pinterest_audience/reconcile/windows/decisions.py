"""Decisions: which identities to add to a list or remove from it, as a window of events demands."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class ListDecisions:
    """What to send to one list.

    Attributes:
        additions: identity → the first line of the stream that its addition follows from.
        removals: identity → why it is removed.
    """

    additions: dict[bytes, int] = field(default_factory=dict)
    removals: dict[bytes, Removal] = field(default_factory=dict)

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
