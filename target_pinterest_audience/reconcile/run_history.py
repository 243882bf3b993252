"""The history of runs in the ledger, for people: figures of each run, and the counts and causes of removals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from target_pinterest_audience.ledger.history import NO_ENTRY, SEVERAL_LISTS, Ending, ListFigures, RemovalEntry
from target_pinterest_audience.routing.orders import AcceptedRemoval
from target_pinterest_audience.text.redaction import redact
from target_pinterest_audience.text.safe_text import one_line
from target_pinterest_audience.vocabulary import by_name

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.pinterest.request import Traffic
    from target_pinterest_audience.routing.orders import ListReport


class RunHistory:
    """The history entry of one run, or of one command that removes people."""

    def __init__(self, ledger: Ledger, now: Callable[[], float]) -> None:
        """Prepare without an entry.

        Args:
            ledger: the ledger.
            now: returns the Unix time.
        """
        self._ledger = ledger
        self._now = now
        self._entry: int | None = None
        self._removals: list[tuple[int, AcceptedRemoval]] = []

    def begin(self, kind: str, run: int | None = None, *, acted_on: int | None = None) -> None:
        """Write the entry, within a transaction of the caller.

        Args:
            kind: what has begun; see `HistoryEntry.kind`.
            run: the number of the run; None for a command.
            acted_on: the number of the run that a prune follows.
        """
        self._entry = self._ledger.history.begin(kind, self._now(), run, acted_on=acted_on)

    def removed(self, number: int, removal: AcceptedRemoval) -> None:
        """Keep a removal until `write_removals`.

        Args:
            number: the ledger's number of the list.
            removal: what Pinterest accepted.
        """
        self._removals.append((number, removal))

    @property
    def has_removals(self) -> bool:
        """Whether removals wait for `write_removals`."""
        return bool(self._removals)

    def write_removals(self) -> None:
        """Write the removals that were kept, within a transaction of the caller; after it, `forget_removals`."""
        for number, (accepted, causes, request_id) in self._removals:
            entry = RemovalEntry(self._entry or NO_ENTRY, number, accepted, by_name(causes), request_id)
            self._ledger.history.note_removal(entry)

    def forget_removals(self) -> None:
        """Keep them no longer, once they are committed."""
        self._removals.clear()

    def end(
        self,
        exit_code: int,
        traffic: Traffic,
        lists: Iterable[ListFigures],
        *,
        empty: bool = False,
        held_out: int = 0,
        error: str | None = None,
    ) -> None:
        """Write the end of the entry, within a transaction of the caller; do nothing if there is no entry.

        After it, `forget_removals`.

        Args:
            exit_code: the exit code of the process.
            traffic: the requests to Pinterest.
            lists: what was done to lists.
            empty: whether this was a run to which neither a row nor a STATE came.
            held_out: how many rows the run held out.
            error: the error message, if it failed. It is stored as the log shows it.
        """
        if self._entry is None:
            return
        self.write_removals()
        error = one_line(redact(error)) if error is not None else None
        ending = Ending(self._now(), exit_code, traffic.calls, traffic.limited_seconds, empty, held_out, error)
        self._ledger.history.end(self._entry, ending, lists)


def figures_of(
    ledger: Ledger, reports: Mapping[int, ListReport], rejected: Mapping[int, Mapping[str, int]]
) -> list[ListFigures]:
    """Return what a run did to lists, as the history stores it.

    Args:
        ledger: the ledger.
        reports: list number → what was sent to the list.
        rejected: list number, or `SEVERAL_LISTS` → name of a reason → how many values were rejected.
    """
    figures = [
        ListFigures(
            number, entry.members, each.matched, each.added, each.removed, each.refused, rejected.get(number, {}),
            entry.contributing_rows,
        )
        for number, each in reports.items()
        for entry in [ledger.catalogue.lists.entry(number)]
    ]  # fmt: skip
    if SEVERAL_LISTS in rejected:
        figures.append(ListFigures(SEVERAL_LISTS, None, None, 0, 0, 0, rejected[SEVERAL_LISTS]))
    return figures
