"""The runs that a ledger remembers: their settings, how they ended, and what they read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from target_pinterest_audience.ledger.catalogue.meta import next_number
from target_pinterest_audience.ledger.query import AccountTables

OPEN: Final = "open"
CLEAN: Final = "clean"
EMPTY: Final = "empty"
"""The run read neither a row nor a STATE, as if the tap had died before its first row: neither success nor failure."""

RejectCounts = Mapping[tuple[str, str, str], int]
"""Stream, column and reason → how many values a run rejected."""


class RunFeed(NamedTuple):
    """What one run read for one list from one source."""

    list_number: int
    source: int
    rows: int
    incremental: bool
    """Whether the source showed signs of an incremental read."""
    overwrites: bool
    """Whether the run marked the rows that it read, so that the others can be pruned."""
    mark: int
    """The mark."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run in the ledger."""

    number: int
    started: float
    ended: float | None
    outcome: str
    pruned: bool
    settings: Mapping[str, str]
    """Setting → the digest of its value."""
    rejects: RejectCounts


class Runs(AccountTables):
    """The runs on one ad account."""

    def begin(self, configuration: str, settings: Mapping[str, str], started: float) -> int:
        """Record that a run began, and return its number.

        Args:
            configuration: the digest of its settings.
            settings: setting → the digest of its value.
            started: Unix time in seconds.
        """
        number = next_number(self._query)
        self._query(
            "INSERT INTO runs (run, realm, configuration, started, outcome, pruned, settings) "
            "VALUES (?, ?, ?, ?, ?, 0, ?)",
            number, self._realm, configuration, started, OPEN, msgspec.json.encode(settings).decode(),
        )  # fmt: skip
        return number

    def end(self, run: int, outcome: str, ended: float, feeds: Iterable[RunFeed]) -> None:
        """Record how a run ended, and what it read.

        Args:
            run: its number.
            outcome: how it ended.
            ended: Unix time in seconds.
            feeds: what it read.
        """
        self._query("UPDATE runs SET outcome = ?, ended = ? WHERE run = ?", outcome, ended, run)
        for feed in feeds:
            self._query(
                "INSERT INTO run_feeds (run, list, source, row_count, incremental, overwrites, mark) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                run, feed.list_number, feed.source, feed.rows, int(feed.incremental), int(feed.overwrites), feed.mark,
            )  # fmt: skip

    def note_rejects(self, run: int, rejects: RejectCounts) -> None:
        """Record which values a run rejected."""
        # Names from taps may hold characters that a database refuses. This JSON escapes them.
        counts = json.dumps([(*where, count) for where, count in rejects.items()])
        self._query("UPDATE runs SET rejects = ? WHERE run = ?", counts, run)

    def newest(
        self, configuration: str, before: int | None = None, *, clean: bool = False, ended_by: float | None = None
    ) -> RunRecord | None:
        """Return the newest run of a configuration.

        Args:
            configuration: the digest of its settings.
            before: only runs before this one; None: all.
            clean: whether only runs count that ended cleanly.
            ended_by: only runs that ended by then, as Unix time in seconds; None: all.
        """
        latest = float("inf") if ended_by is None else ended_by
        found = self._query(
            "SELECT run, started, ended, outcome, pruned, settings, rejects FROM runs "
            "WHERE realm = ? AND configuration = ? AND (? = 0 OR run < ?) AND (? = 0 OR outcome = ?) "
            "AND COALESCE(ended, 0) <= ? ORDER BY run DESC LIMIT 1",
            self._realm, configuration, before or 0, before or 0, int(clean), CLEAN, latest,
        )  # fmt: skip
        return next(map(_run_record, found), None)

    def configurations(self, since: int) -> dict[int, str]:
        """Return run → the digest of its settings.

        Args:
            since: the first run.
        """
        found = self._query("SELECT run, configuration FROM runs WHERE realm = ? AND run >= ?", self._realm, since)
        return dict(found)

    def last_successes(self) -> dict[int, float]:
        """Return list → when the newest run ended that read what feeds it, and ended cleanly; Unix time in seconds."""
        found = self._query(
            "SELECT list, MAX(ended) FROM run_feeds JOIN runs USING (run) WHERE realm = ? AND outcome = ? "
            "GROUP BY list",
            self._realm, CLEAN,
        )  # fmt: skip
        return dict(found)

    def recent(self, limit: int) -> list[RunRecord]:
        """Return the newest runs of all configurations, newest first."""
        found = self._query(
            "SELECT run, started, ended, outcome, pruned, settings, rejects FROM runs "
            "WHERE realm = ? ORDER BY run DESC LIMIT ?",
            self._realm, limit,
        )  # fmt: skip
        return list(map(_run_record, found))

    def feeds(self, run: int) -> list[RunFeed]:
        """Return what a run read."""
        found = self._query(
            "SELECT list, source, row_count, incremental, overwrites, mark FROM run_feeds WHERE run = ?", run
        )
        return [
            RunFeed(number, source, rows, bool(incremental), bool(overwrites), mark)
            for number, source, rows, incremental, overwrites, mark in found
        ]

    def clean_marks(
        self, up_to: int, list_number: int, source: int, limit: int, *, incremental: bool = False
    ) -> list[int]:
        """Return the marks of runs in `overwrite` that ended cleanly and read a source for a list, newest first.

        Args:
            up_to: the newest run that counts; only runs of its configuration do.
            list_number: the list.
            source: the source.
            limit: how many runs at most.
            incremental: whether runs count, too, that showed signs of an incremental read.
        """
        found = self._query(
            "SELECT mark FROM run_feeds JOIN runs USING (run) WHERE list = ? AND source = ? AND outcome = ? "
            "AND overwrites = 1 AND row_count > 0 AND incremental <= ? AND run <= ? AND configuration = "
            "(SELECT configuration FROM runs WHERE run = ?) ORDER BY run DESC LIMIT ?",
            list_number, source, CLEAN, int(incremental), up_to, up_to, limit,
        )  # fmt: skip
        return [int(mark) for (mark,) in found]

    def mark_pruned(self, run: int) -> None:
        """Record that `prune` followed a run, which happens once."""
        self._query("UPDATE runs SET pruned = 1 WHERE run = ?", run)

    def expire(self, before: float) -> int:
        """Delete old runs, except the newest of each configuration and the newest of those that ended cleanly.

        Args:
            before: runs that began before this are deleted; Unix time in seconds.

        Returns:
            How many runs were deleted.
        """
        found = self._query(
            "SELECT run FROM runs WHERE realm = ? AND started < ? AND run NOT IN "
            "(SELECT MAX(run) FROM runs GROUP BY realm, configuration, outcome)",
            self._realm, before,
        )  # fmt: skip
        for (run,) in found:
            self._query("DELETE FROM run_feeds WHERE run = ?", run)
            self._query("DELETE FROM runs WHERE run = ?", run)
        return len(found)


def _run_record(row: tuple[Any, ...]) -> RunRecord:
    number, started, ended, outcome, pruned, settings, rejects = row
    decoded = msgspec.json.decode(settings, type=dict[str, str])
    counts = {(stream, column, reason): count for stream, column, reason, count in json.loads(rejects or "[]")}
    return RunRecord(number, started, ended, outcome, bool(pruned), decoded, counts)
