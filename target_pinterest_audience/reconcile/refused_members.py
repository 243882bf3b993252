"""Mass refusals: lists that many members left by refusals in one run, as a person reads of them."""

from __future__ import annotations

from typing import NamedTuple


class RefusedMembers(NamedTuple):
    """A list that so many members left by refusals in one run that a person should look at it.

    Attributes:
        list_id: its id at Pinterest; empty if it is not created yet.
        label: the list, for people.
        members: how many members it had when the run began.
        refused: how many of them left by refusals.
    """

    list_id: str
    label: str
    members: int
    refused: int

    def told(self, *, dry: bool = False) -> str:
        """Return sentences for people: what happened, and what to check.

        Args:
            dry: whether this was a dry run, in which nobody left.
        """
        return (
            f"{self.refused:,} of the {self.members:,} members of {self.label} {'would leave' if dry else 'left'} in "
            "this run because rows refuse them (`consent_column`, or a stream with `operation: remove`). Refusals have "
            "no ceiling. Check that column and that stream. People who were refused by mistake return when the same "
            "row consents again, or when their row in the stream with `operation: remove` is deleted."
        )
