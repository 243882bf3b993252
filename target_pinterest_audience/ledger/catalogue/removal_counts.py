"""The removals from each list that ceilings are checked against: those of the current run, and those of one day."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query


class ListStart(NamedTuple):
    """The state of a list when one run began, and how many people that run removed from it.

    Attributes:
        members: how many identities belonged on the list at the start.
        removal_percent: the `max_removal_percent` of the run.
        deleted_percent: its `max_deleted_percent`.
        derived: how many identities it removed because the ledger derived the removal.
        deleted: how many it removed because their rows were marked as deleted.
    """

    members: int
    removal_percent: int
    deleted_percent: int
    derived: int = 0
    deleted: int = 0


class RemovalCounts:
    """The counts of removals from the lists of a ledger."""

    def __init__(self, query: Query) -> None:
        """Bind to a ledger.

        Args:
            query: runs statements; called within a transaction whenever a method writes.
        """
        self._query = query

    def begin(self, number: int, members: int | None = None) -> None:
        """Count removals from a list from zero, unless the previous run did not end cleanly: its removals still count.

        Args:
            number: the list.
            members: how many identities belonged on it at the start; None: as many as belong on it now.
        """
        self._query(
            "UPDATE lists SET base_members = COALESCE(?, members), derived = 0, closed = 0 "
            "WHERE list = ? AND closed = 1",
            members, number,
        )  # fmt: skip

    def begin_again(self, number: int, members: int) -> None:
        """Count removals from zero in the middle of a run.

        Args:
            number: the list.
            members: how many identities belong on it by now.
        """
        self._query("UPDATE lists SET base_members = ?, derived = 0 WHERE list = ?", members, number)

    def close(self, lists: Iterable[int]) -> None:
        """Let the next run count the removals from these lists from zero, because this one ended cleanly."""
        for number in lists:
            self._query("UPDATE lists SET closed = 1 WHERE list = ?", number)

    def reset(self, number: int) -> None:
        """Let the next run count from zero, and forget all starts: the former members of the list are not known."""
        self._query("UPDATE lists SET base_members = members, derived = 0, closed = 1 WHERE list = ?", number)
        self._query("DELETE FROM list_starts WHERE list = ?", number)

    def add_start(self, number: int, start: ListStart, now: float, since: float) -> None:
        """Record the state of a list at the start of a run, and delete the starts that no longer matter.

        Args:
            number: the list.
            start: its state; the run has not removed anybody yet.
            now: Unix time in seconds.
            since: starts whose last removal is older than this are deleted; Unix time in seconds.
        """
        # If a clock that was fast has been set right, such a start counts as one of now.
        self._query("UPDATE list_starts SET moment = ? WHERE list = ? AND moment > ?", now, number, now)
        # A start without removals adds nothing to a newer one that had at least as many members.
        self._query(
            "DELETE FROM list_starts WHERE list = ? AND (moment < ? OR (derived = 0 AND deleted = 0 AND members <= ?))",
            number, since, start.members,
        )  # fmt: skip
        ((top,),) = self._query("SELECT COALESCE(MAX(start), 0) FROM list_starts WHERE list = ?", number)
        self._query(
            "INSERT INTO list_starts (list, start, moment, members, removal_percent, deleted_percent, derived, "
            "deleted) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            number, top + 1, now, *start,
        )  # fmt: skip

    def starts(self, number: int) -> list[ListStart]:
        """Return the starts that `add_start` kept for a list, oldest first."""
        found = self._query(
            "SELECT members, removal_percent, deleted_percent, derived, deleted FROM list_starts WHERE list = ? "
            "ORDER BY start",
            number,
        )  # fmt: skip
        return [ListStart(*row) for row in found]

    def add(self, number: int, derived: int, deleted: int, now: float) -> None:
        """Count removals from a list, also for its newest start.

        Args:
            number: the list.
            derived: how many the ledger derived.
            deleted: how many follow from rows that were marked as deleted.
            now: Unix time in seconds.
        """
        self._query("UPDATE lists SET derived = derived + ? WHERE list = ?", derived, number)
        self._query(
            "UPDATE list_starts SET derived = derived + ?, deleted = deleted + ?, moment = ? WHERE list = ? "
            "AND start = (SELECT MAX(start) FROM list_starts WHERE list = ?)",
            derived, deleted, now, number, number,
        )  # fmt: skip
