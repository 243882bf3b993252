"""Measures how the cost of a record grows with the number of lists, if a column names the list (`list_name_column`).

Consecutive records belong to different lists, which is the worst order: with many lists, hardly two records of a block
share a list. Each figure is processor time of the target, without that of the server. Two things do not count:

- what a run does once for each list, such as looking it up. So each figure is the difference of two runs that use the
  same lists: one with all records, and one with a single record for each list.
- requests. A list needs at least one, and a request takes as much time as hundreds of records. So the runs that would
  send any have `dry_run`: they read, look up, write to the ledger and cut batches as usual, but send nothing, and the
  ledger is rolled back. One run that does send them, to load the ledger for the unchanged records, has its own line.

There are few enough records that none of their batches leave half full: with more, the identities that may wait would
not suffice, and a list would need several requests.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks.bench import Bench, Measured, server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_RECORDS: Final = 300_000
_FEW: Final = 100
_MANY: Final = 10_000
_WANTED: Final = 1.3
_ROUNDS: Final = 2
_SETTINGS: Final[dict[str, Any]] = {"list_name_column": "segment", "create_audience": False}


class _Lists:
    """Runs over so many lists, which exist at a server."""

    def __init__(self, place: Bench, records: int, lists: int) -> None:
        """Write the streams.

        Args:
            place: where to measure, with the server that has the lists.
            records: how many records they have.
            lists: how many lists the records name.
        """
        self.lists = lists
        self.all_records, self.one_for_each_list = (place.stream(1, count, lists=lists) for count in (records, lists))
        self._place = place
        self._records = records
        self._ledger = place.folder / f"lists-{lists}.db"

    def append(self, stream: Path) -> Measured:
        """Do everything but send the requests."""
        return self._place.append(stream, dry_run=True, **_SETTINGS)

    def first_load(self, stream: Path) -> Measured:
        """Do the same with a new ledger, which stays empty."""
        ledger = self._ledger.with_suffix(".dry")
        return self._place.target(stream, ledger_url=f"sqlite:///{ledger}", dry_run=True, **_SETTINGS)

    def load(self) -> Measured:
        """Send all records, for `unchanged`."""
        return self.unchanged(self.all_records)

    def unchanged(self, stream: Path) -> Measured:
        """Read records again."""
        return self._place.target(stream, ledger_url=f"sqlite:///{self._ledger}", **_SETTINGS)

    def cost(self, run: Callable[[Path], Measured]) -> _Cost:
        """Measure the cost of a record."""
        base, full = (
            min((run(stream) for _ in range(_ROUNDS)), key=lambda each: each.processor_seconds)
            for stream in (self.one_for_each_list, self.all_records)
        )
        seconds = full.processor_seconds - base.processor_seconds
        per_list = base.processor_seconds / self.lists
        return _Cost(seconds / (self._records - self.lists) * 1e6, per_list * 1e6, full.peak_mb)


class _Cost(NamedTuple):
    """What one kind of work costs.

    Attributes:
        record_us: processor time of one record, in microseconds.
        list_us: processor time of one list with its only record, in microseconds.
        peak_mb: the peak memory of the run with all records.
    """

    record_us: float
    list_us: float
    peak_mb: float


def measure(place: Bench, records: int) -> None:
    """Measure for few and for many lists, with at most 300,000 records."""
    records = min(records, _RECORDS)
    many_lists = min(_MANY, records // 10)
    with server(lists=_FEW) as one, server(lists=many_lists) as other:
        few = _Lists(replace(place, url=one), records, _FEW)
        many = _Lists(replace(place, url=other), records, many_lists)
        _compare("append", few.cost(few.append), many.cost(many.append), many_lists)
        _compare("upsert, first load", few.cost(few.first_load), many.cost(many.first_load), many_lists)
        for each in (few, many):
            loaded = each.load()
            print(
                f"first load of {records:,} records for {each.lists:,} lists: {loaded.writes:,} requests, "
                f"{loaded.seconds:.1f} s, {loaded.processor_seconds:.1f} s of processor time, peak memory "
                f"{loaded.peak_mb:,.0f} MB",
                flush=True,
            )
        _compare("upsert, unchanged", few.cost(few.unchanged), many.cost(many.unchanged), many_lists)


def _compare(name: str, few: _Cost, many: _Cost, many_lists: int) -> None:
    print(
        f"{name}: {few.record_us:.2f} µs of processor time per record with {_FEW} lists, {many.record_us:.2f} µs with "
        f"{many_lists:,}: {many.record_us / few.record_us:.2f} x (wanted: at most {_WANTED} x); per list "
        f"{many.list_us:,.0f} µs; peak memory {few.peak_mb:,.0f} MB and {many.peak_mb:,.0f} MB",
        flush=True,
    )
