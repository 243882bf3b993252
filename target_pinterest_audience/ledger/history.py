"""What runs leave in a ledger for people: how lists grew and shrank, and why whoever was removed was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from target_pinterest_audience.ledger.query import next_number

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query

RUN: Final = "run"
PRUNE: Final = "prune"
CLEAR: Final = "clear"
FORGET: Final = "forget"

NO_ENTRY: Final = 0
"""Stands for the entry of what nobody has entered."""

SEVERAL_LISTS: Final = 0
"""Stands for the list of what comes from a column that feeds several."""


class ListFigures(NamedTuple):
    """What one run did to one list.

    Attributes:
        list_number: the list; `SEVERAL_LISTS` for values that were rejected in a column which feeds more than one.
        members: how many identities belonged on it at the end; None if that was not noted.
        matched: how many people Pinterest had found among them, if the run came to know.
        added: identities that Pinterest took.
        removed: identities that Pinterest removed.
        refused: identities that Pinterest refused one by one.
        rejected: the name of a reason → how many values were rejected for it.
    """

    list_number: int
    members: int | None
    matched: int | None
    added: int
    removed: int
    refused: int
    rejected: Mapping[str, int]


class Ending(NamedTuple):
    """How a run ended.

    Attributes:
        at: when, in seconds since 1970.
        exit_code: the process's.
        calls: requests to Pinterest, each attempt counted.
        limited_seconds: how long requests waited for Pinterest's rate limits, those of several lists added up.
        empty: whether neither a row nor a STATE came to a run, so that it is no success.
    """

    at: float
    exit_code: int
    calls: int
    limited_seconds: float
    empty: bool = False


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A run, or a prune.

    Attributes:
        number: its number.
        kind: `RUN`, `PRUNE`, `CLEAR` or `FORGET`.
        started: when, in seconds since 1970.
        ending: how it ended; None if it goes on, or was killed.
        lists: what it did; without the lists of which all was as it was noted last.
    """

    number: int
    kind: str
    started: float
    ending: Ending | None
    lists: tuple[ListFigures, ...]


class RemovalEntry(NamedTuple):
    """A request that removed identities from a list.

    Attributes:
        entry: the number of what removed them in the history.
        list_number: the list.
        accepted: when Pinterest accepted it, in seconds since 1970.
        causes: the name of a cause → how many identities were removed for it.
        request_id: Pinterest's id of the request, which its support asks for.
    """

    entry: int
    list_number: int
    accepted: float
    causes: Mapping[str, int]
    request_id: str | None


class History:
    """The history of one ad account; a year of hourly runs on one list takes a megabyte."""

    def __init__(self, query: Query, realm: int) -> None:
        """Bind it to a ledger.

        Args:
            query: runs statements; called within a transaction whenever a method writes.
            realm: the ledger's number for the ad account.
        """
        self._query = query
        self._realm = realm

    def begin(self, kind: str, started: float, run: int | None = None) -> int:
        """Enter something that has begun.

        Args:
            kind: what it is; see `HistoryEntry.kind`.
            started: when, in seconds since 1970.
            run: the number of the run, which is the entry's too; None for what is no run.

        Returns:
            The number of the entry.
        """
        number = next_number(self._query) if run is None else run
        self._query(
            "INSERT INTO history (entry, realm, kind, started) VALUES (?, ?, ?, ?)", number, self._realm, kind, started
        )
        return number

    def end(self, entry: int, ending: Ending, lists: Iterable[ListFigures]) -> None:
        """Note how something ended, and what it did; lists of which all is as it was noted last are left out."""
        self._query(
            "UPDATE history SET ended = ?, exit_code = ?, calls = ?, limited_seconds = ?, empty = ? WHERE entry = ?",
            *ending[:-1], int(ending.empty), entry,
        )  # fmt: skip
        for each in lists:
            if self._is_news(each):
                self._query(
                    "INSERT INTO history_lists (entry, list, members, matched, added, removed, refused, rejected) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    entry, *each[:-1], _encode(each.rejected),
                )  # fmt: skip

    def _is_news(self, figures: ListFigures) -> bool:
        if figures.added or figures.removed or figures.refused or figures.rejected:
            return True
        found = self._query(
            "SELECT members, matched FROM history_lists WHERE list = ? ORDER BY entry DESC LIMIT 1", figures.list_number
        )
        return not found or found[0] != (figures.members, figures.matched)

    def note_removal(self, removal: RemovalEntry) -> None:
        """Enter a request that removed somebody."""
        (top,) = self._query("SELECT COALESCE(MAX(removal), 0) FROM removals")[0]
        self._query(
            "INSERT INTO removals (removal, realm, entry, list, accepted, causes, request_id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            top + 1, self._realm, *removal[:-2], _encode(removal.causes), removal.request_id,
        )  # fmt: skip

    def entries(self, limit: int) -> list[HistoryEntry]:
        """Return the newest entries, the newest first."""
        found = self._query(
            "SELECT entry, kind, started, ended, exit_code, calls, limited_seconds, empty FROM history WHERE realm = ? "
            "ORDER BY entry DESC LIMIT ?",
            self._realm, limit,
        )  # fmt: skip
        oldest = found[-1][0] if found else 0
        figures: dict[int, list[ListFigures]] = {}
        for entry, *counts, rejected in self._query(
            "SELECT entry, list, members, matched, added, removed, refused, rejected FROM history_lists "
            "JOIN history USING (entry) WHERE realm = ? AND entry >= ? ORDER BY list",
            self._realm, oldest,
        ):  # fmt: skip
            figures.setdefault(entry, []).append(ListFigures._make([*counts, _decode(rejected)]))
        return [
            HistoryEntry(
                entry,
                kind,
                started,
                None if at is None else Ending(at, exit_code, calls, limited, bool(empty)),
                tuple(figures.get(entry, ())),
            )
            for entry, kind, started, at, exit_code, calls, limited, empty in found
        ]

    def sizes_before(self, started: float) -> dict[int, int]:
        """Return list number → its members when they were noted last by what began before a moment.

        Args:
            started: in seconds since 1970.
        """
        found = self._query(
            "SELECT list, members FROM history_lists AS newest WHERE members IS NOT NULL AND entry = "
            "(SELECT MAX(entry) FROM history_lists JOIN history USING (entry) WHERE realm = ? AND started < ? "
            "AND history_lists.list = newest.list AND history_lists.members IS NOT NULL)",
            self._realm, started,
        )  # fmt: skip
        return dict(found)

    def removals(self, since: float, limit: int) -> list[RemovalEntry]:
        """Return the newest requests that removed somebody, the newest first.

        Args:
            since: only those that were accepted from then on, in seconds since 1970.
            limit: how many at most.
        """
        found = self._query(
            "SELECT entry, list, accepted, causes, request_id FROM removals WHERE realm = ? AND accepted >= ? "
            "ORDER BY removal DESC LIMIT ?",
            self._realm, since, limit,
        )  # fmt: skip
        return [RemovalEntry._make([*where, _decode(causes), request]) for *where, causes, request in found]

    def expire(self, before: float) -> int:
        """Forget what began, or was removed, before a moment.

        Args:
            before: in seconds since 1970.

        Returns:
            How many entries are forgotten.
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
