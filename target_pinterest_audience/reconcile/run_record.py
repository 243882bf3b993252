"""The record of one run in the ledger: its beginning and end, the settings that changed, and its history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.identities.hashing import HashAlgorithm
from target_pinterest_audience.ledger.catalogue.runs import CLEAN, EMPTY, RejectCounts, RunFeed, RunRecord
from target_pinterest_audience.ledger.history import RUN
from target_pinterest_audience.reconcile.run_history import RunHistory

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.settings import Settings

_RUNS_BACK: Final = 1_000
"""How many runs to search for one that ended cleanly."""


class RunRecorder:
    """Records in the ledger how a run, or a command that removes people, begins and ends.

    Attributes:
        configuration: the digest of the settings that choose which rows go to which lists.
        history: the entry in the history for people.
        rows_before: the number of rows that the last clean run of these settings read; 0 if unknown.
        rejects_before: the values that this run rejected.
    """

    def __init__(self, ledger: Ledger, settings: Settings, now: Callable[[], float]) -> None:
        """Prepare without a record.

        Args:
            ledger: the ledger.
            settings: the settings.
            now: returns the Unix time.
        """
        self.configuration = ledger.digester.configuration(settings)
        self.history = RunHistory(ledger, now)
        self.rows_before = 0
        self.rejects_before: RejectCounts = {}
        self._ledger = ledger
        self._settings = settings
        self._now = now
        self._run = 0
        self._changed_settings: list[str] = []

    def begin_run(self, *, in_history: bool = True) -> int:
        """Record that a run has begun, and return its number.

        Args:
            in_history: whether to enter the run in the history for people.
        """
        catalogue = self._ledger.catalogue
        digests = {name: self._ledger.digester.setting(name, value) for name, value in self._settings.effects.items()}

        def begin() -> RunRecord | None:
            before = catalogue.runs.newest(self.configuration, clean=True)
            self._run = catalogue.runs.begin(self.configuration, digests, self._now())
            if in_history:
                self.history.begin(RUN, self._run)
            if before is not None:
                # A row that goes to several lists was read once.
                feeds = sorted((feed.source, feed.rows) for feed in catalogue.runs.feeds(before.number))
                self.rows_before = sum(dict(feeds).values())
                self.rejects_before = before.rejects
            return before

        before = self._ledger.transact(begin)
        self.note_changed_settings(before.settings if before is not None else digests, digests)
        return self._run

    def begin_command(self, kind: str, *, acted_on: int | None = None) -> None:
        """Enter a command that is no run in the history.

        Args:
            kind: what the command does; see `HistoryEntry.kind`.
            acted_on: the number of the run that a prune follows.
        """
        self._ledger.transact(partial(self.history.begin, kind, acted_on=acted_on))

    def end_run(self, feeds: list[RunFeed], lists: Iterable[int], *, empty: bool) -> None:
        """Record that the run ended cleanly. A run without this record did not.

        Args:
            feeds: what the run read.
            lists: the lists that it fed, for the count of their removals.
            empty: whether neither a row nor a STATE came. Such a run is no success and restarts no count of removals.
        """
        outcome, restarted = (EMPTY, ()) if empty else (CLEAN, tuple(lists))

        def end() -> None:
            self._ledger.catalogue.runs.end(self._run, outcome, self._now(), feeds)
            self._ledger.catalogue.removal_counts.close(restarted)

        self._ledger.transact(end)

    def note_rejects(self, rejects: RejectCounts) -> None:
        """Record which values the run rejected, within a transaction of the caller."""
        self._ledger.catalogue.runs.note_rejects(self._run, rejects)

    def note_changed_settings(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """Remember which settings changed between two runs, for `explain`.

        Args:
            before: setting → the digest of its value in the earlier run.
            after: the same for the later run.
        """
        names = before.keys() | after.keys()
        self._changed_settings = sorted(name for name in names if before.get(name) != after.get(name))

    def explain(self, number: int) -> tuple[str, str]:
        """Return the name of a list, and a sentence about the settings that changed since the last run, if any did."""
        changed = ", ".join(f"`{name}`" for name in self._changed_settings)
        suspicion = f"Since the last run {changed} changed, which may be why. " if changed else ""
        entry = self._ledger.catalogue.lists.entry(number)
        name = f'"{entry.name}" (id {entry.customer_list_id})' if entry.name else entry.customer_list_id
        return f"customer list {name}", suspicion

    def last_algorithm(self) -> str | None:
        """Return the hash algorithm of the last clean run before this one; None if there is none.

        The ledger stores only digests of settings, so each algorithm is tried. A run that did not end cleanly may have
        failed because of its algorithm.
        """
        name = "hash_algorithm"
        digests = {self._ledger.digester.setting(name, each.value): each.value for each in HashAlgorithm}
        runs = [each for each in self._ledger.catalogue.runs.recent(_RUNS_BACK) if each.number != self._run]
        clean = [each for each in runs if each.outcome == CLEAN]
        last = clean[:1] or runs[-1:]
        return digests.get(last[0].settings.get(name, "")) if last else None
