"""Decisions: which identities to add to a list or remove from it, as a window of events demands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from target_pinterest_audience.vocabulary import Cause


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


Decisions = dict[int, ListDecisions]
"""List number → what to send to the list."""
