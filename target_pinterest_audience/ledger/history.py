"""The history of runs and commands, for people: how lists grew and shrank, and why people were removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from target_pinterest_audience.ledger.catalogue.meta import next_number
from target_pinterest_audience.ledger.query import AccountTables

RUN: Final = "run"
PRUNE: Final = "prune"
CLEAR: Final = "clear"
FORGET: Final = "forget"

NO_ENTRY: Final = 0
"""The entry of removals by a command that is not in the history."""

SEVERAL_LISTS: Final = 0
"""The list of values from a column that feeds several lists."""


class ListFigures(NamedTuple):
    """What one run or command did to one list.

    Attributes:
        list_number: the list; `SEVERAL_LISTS` for rejected values of a column that feeds several.
        members: how many identities belonged on it at the end; None if that was not recorded.
        matched: how many of them Pinterest had matched; None if the run did not ask.
        added: how many identities Pinterest added.
        removed: how many identities Pinterest removed.
        refused: how many identities Pinterest refused one by one.
        rejected: the name of a reason → how many values were rejected for it.
        contributing_rows: how many rows contributed to it at the end; None if that was not recorded.
    """

    list_number: int
    members: int | None
    matched: int | None
    added: int
    removed: int
    refused: int
    rejected: Mapping[str, int]
    contributing_rows: int | None = None


class MatchFigures(NamedTuple):
    """What the match rate of a list was made of at some time.

    Attributes:
        contributing_rows: how many rows contributed to the list.
        matched: how many people Pinterest had matched; None if it had not said.
    """

    contributing_rows: int
    matched: int | None


class Ending(NamedTuple):
    """How a run or command ended.

    Attributes:
        at: when; Unix time in seconds.
        exit_code: the exit code of its process.
        calls: how many requests it sent to Pinterest; each attempt counts.
        limited_seconds: how long requests waited for rate limits, added up over all lists.
        empty: whether a run read neither a row nor a STATE, so that it is no success.
        held_out: how many rows a run held out.
        error: the error message; None if it succeeded.
    """

    at: float
    exit_code: int
    calls: int
    limited_seconds: float
    empty: bool = False
    held_out: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A run or command in the history.

    Attributes:
        number: its number.
        kind: `RUN`, `PRUNE`, `CLEAR` or `FORGET`.
        started: when it began; Unix time in seconds.
        ending: how it ended; None if it still runs, or was killed.
        lists: what it did to each list; lists without any change are left out.
        acted_on: the number of the run that a prune followed; None for anything else.
    """

    number: int
    kind: str
    started: float
    ending: Ending | None
    lists: tuple[ListFigures, ...]
    acted_on: int | None = None


class RemovalEntry(NamedTuple):
    """A request that removed identities from a list.

    Attributes:
        entry: the number of the run or command that sent it.
        list_number: the list.
        accepted: when Pinterest accepted it; Unix time in seconds.
        causes: the name of a cause → how many identities were removed for it.
        request_id: the id that Pinterest gave the request, and that its support asks for.
    """

    entry: int
    list_number: int
    accepted: float
    causes: Mapping[str, int]
    request_id: str | None


class History(AccountTables):
    """The history of one ad account. A year of hourly runs on one list takes a megabyte."""

    def begin(self, kind: str, started: float, run: int | None = None, *, acted_on: int | None = None) -> int:
        """Add an entry for a run or command that begins, and return its number.

        Args:
            kind: its kind; see `HistoryEntry.kind`.
            started: when it began; Unix time in seconds.
            run: the number of the run, which becomes the number of the entry; None for a command.
            acted_on: the number of the run that a prune follows.
        """
        number = next_number(self._query) if run is None else run
        self._query(
            "INSERT INTO history (entry, realm, kind, started, acted_on) VALUES (?, ?, ?, ?, ?)",
            number, self._realm, kind, started, acted_on,
        )  # fmt: skip
        return number

    def end(self, entry: int, ending: Ending, lists: Iterable[ListFigures]) -> None:
        """Record how a run or command ended, and what it did. Lists without any change are left out."""
        self._query(
            "UPDATE history SET ended = ?, exit_code = ?, calls = ?, limited_seconds = ?, empty = ?, held_out = ?, "
            "error = ? WHERE entry = ?",
            *ending[:4], int(ending.empty), ending.held_out, ending.error, entry,
        )  # fmt: skip
        for each in lists:
            if self._is_change(each):
                self._query(
                    "INSERT INTO history_lists "
                    "(entry, list, members, matched, added, removed, refused, rejected, contributing_rows) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    entry, *each._replace(rejected=_encode(each.rejected)),  # type: ignore[arg-type] # as it is stored
                )  # fmt: skip

    def _is_change(self, figures: ListFigures) -> bool:
        if figures.added or figures.removed or figures.refused or figures.rejected:
            return True
        number = figures.list_number
        found = self._query(
            "SELECT members, contributing_rows FROM history_lists WHERE list = ? ORDER BY entry DESC LIMIT 1", number
        )
        if not found or found[0] != (figures.members, figures.contributing_rows):
            return True
        # Commands do not ask how many people are matched, which is no news about them.
        return figures.matched is not None and figures.matched != self._last_matched(number)

    def _last_matched(self, number: int) -> int | None:
        found = self._query(
            "SELECT matched FROM history_lists WHERE list = ? AND matched IS NOT NULL ORDER BY entry DESC LIMIT 1",
            number,
        )
        return found[0][0] if found else None

    def note_removal(self, removal: RemovalEntry) -> None:
        """Add a request that removed people."""
        (top,) = self._query("SELECT COALESCE(MAX(removal), 0) FROM removals")[0]
        self._query(
            "INSERT INTO removals (removal, realm, entry, list, accepted, causes, request_id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            top + 1, self._realm, *removal[:-2], _encode(removal.causes), removal.request_id,
        )  # fmt: skip

    def entries(self, limit: int) -> list[HistoryEntry]:
        """Return the newest entries, newest first."""
        found = self._query(
            "SELECT entry, kind, started, ended, exit_code, calls, limited_seconds, empty, held_out, error, acted_on "
            "FROM history WHERE realm = ? ORDER BY entry DESC LIMIT ?",
            self._realm, limit,
        )  # fmt: skip
        oldest = found[-1][0] if found else 0
        figures: dict[int, list[ListFigures]] = {}
        for entry, *counts, rejected, rows in self._query(
            "SELECT entry, list, members, matched, added, removed, refused, rejected, contributing_rows "
            "FROM history_lists JOIN history USING (entry) WHERE realm = ? AND entry >= ? ORDER BY list",
            self._realm, oldest,
        ):  # fmt: skip
            figures.setdefault(entry, []).append(ListFigures._make([*counts, _decode(rejected), rows]))
        return [
            HistoryEntry(
                entry,
                kind,
                started,
                None if at is None else Ending(at, exit_code, calls, limited, bool(empty), held_out, error),
                tuple(figures.get(entry, ())),
                acted_on,
            )
            for entry, kind, started, at, exit_code, calls, limited, empty, held_out, error, acted_on in found
        ]

    def sizes_before(self, started: float) -> dict[int, int]:
        """Return list → its members at the end of the last run or command that recorded them.

        Args:
            started: only runs and commands that began before this; Unix time in seconds.
        """
        found = self._query(
            "SELECT list, members FROM history_lists AS newest WHERE members IS NOT NULL AND entry = "
            "(SELECT MAX(entry) FROM history_lists JOIN history USING (entry) WHERE realm = ? AND started < ? "
            "AND history_lists.list = newest.list AND history_lists.members IS NOT NULL)",
            self._realm, started,
        )  # fmt: skip
        return dict(found)

    def matches_before(self, started: float) -> dict[int, MatchFigures]:
        """Return list → its rows and matched people at the end of the last run that recorded its rows.

        A command such as `prune` records rows, too, but does not ask for matched people; they are then those of the
        last run that did.

        Args:
            started: only runs and commands that began before this; Unix time in seconds.
        """
        found = self._query(
            "SELECT newest.list, contributing_rows, "
            "(SELECT matched FROM history_lists AS asked WHERE asked.list = newest.list "
            "AND asked.entry <= newest.entry AND asked.matched IS NOT NULL ORDER BY asked.entry DESC LIMIT 1) "
            "FROM history_lists AS newest JOIN (SELECT list, MAX(entry) AS entry FROM history_lists "
            "JOIN history USING (entry) WHERE realm = ? AND started < ? AND contributing_rows IS NOT NULL "
            "GROUP BY list) AS last USING (list, entry)",
            self._realm, started,
        )  # fmt: skip
        return {number: MatchFigures(rows, matched) for number, rows, matched in found}

    def removals(self, since: float, limit: int) -> list[RemovalEntry]:
        """Return the newest requests that removed people, newest first.

        Args:
            since: only requests that Pinterest accepted from then on; Unix time in seconds.
            limit: how many requests at most.
        """
        found = self._query(
            "SELECT entry, list, accepted, causes, request_id FROM removals WHERE realm = ? AND accepted >= ? "
            "ORDER BY removal DESC LIMIT ?",
            self._realm, since, limit,
        )  # fmt: skip
        return [RemovalEntry._make([*where, _decode(causes), request]) for *where, causes, request in found]

    def expire(self, before: float) -> int:
        """Delete old entries and removals.

        Args:
            before: entries that began, and removals that were accepted, before this; Unix time in seconds.

        Returns:
            How many were deleted.
        """
        ((count,),) = self._query(
            "SELECT (SELECT COUNT(*) FROM history WHERE realm = ? AND started < ?) "
            "+ (SELECT COUNT(*) FROM removals WHERE realm = ? AND accepted < ?)",
            self._realm, before, self._realm, before,
        )  # fmt: skip
        self._query(
            "DELETE FROM history_lists WHERE entry IN (SELECT entry FROM history WHERE realm = ? AND started < ?)",
            self._realm, before,
        )  # fmt: skip
        self._query("DELETE FROM history WHERE realm = ? AND started < ?", self._realm, before)
        self._query("DELETE FROM removals WHERE realm = ? AND accepted < ?", self._realm, before)
        return int(count)


def _encode(counts: Mapping[str, int]) -> str:
    return msgspec.json.encode(counts, order="sorted").decode()


def _decode(counts: str) -> dict[str, int]:
    return msgspec.json.decode(counts, type=dict[str, int])
