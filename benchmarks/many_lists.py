"""Measures how the cost of a record grows with the number of lists, if a column names the list (`list_name_column`).

Consecutive records belong to different lists, which is the worst order: with many lists, hardly two records of a block
share a list. The target creates each list with a call of its own, which cannot be avoided. So that these calls do not
count, each figure is the difference of two runs that create the same lists: one with all records, and one with a single
record for each list. It is processor time of the target, without that of the server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeAlias

from benchmarks.bench import ROUNDS, Bench, Measured, server

_FEW: Final = 100
_MANY: Final = 10_000
_WANTED: Final = 1.3
_SETTINGS: Final[dict[str, Any]] = {"list_name_column": "segment", "create_audience": False}

_Work: TypeAlias = Callable[[Bench, int, int], Measured]


def measure(place: Bench, records: int) -> None:
    """Measure with this many records for few and for many lists."""
    many = min(_MANY, records // 10)
    works: dict[str, _Work] = {"append": _append, "upsert, unchanged": _upsert_again}
    for name, work in works.items():
        few_us, many_us = (_cost_of_record(place, work, records, lists) for lists in (_FEW, many))
        print(
            f"{name}, {records:,} records: {few_us:.2f} µs of processor time per record with {_FEW} lists, "
            f"{many_us:.2f} µs with {many:,} lists: {many_us / few_us:.2f} x (wanted: at most {_WANTED} x)",
            flush=True,
        )


def _cost_of_record(place: Bench, work: _Work, records: int, lists: int) -> float:
    """Return the processor time of one record in microseconds, without the calls that each list needs."""
    all_records, one_for_each_list = work(place, records, lists), work(place, lists, lists)
    if all_records.writes != one_for_each_list.writes:
        print(f"{all_records.writes:,} calls with all records, {one_for_each_list.writes:,} with one for each list")
    seconds = all_records.processor_seconds - one_for_each_list.processor_seconds
    return seconds / (records - lists) * 1e6


def _append(place: Bench, records: int, lists: int) -> Measured:
    stream = place.stream(1, records, lists=lists)

    def once() -> Measured:
        # A new server, which does not have the lists yet.
        with server() as url:
            return replace(place, url=url).append(stream, **_SETTINGS)

    return _best(once)


def _upsert_again(place: Bench, records: int, lists: int) -> Measured:
    """Load a new ledger, and measure later runs, which change nothing."""
    stream, path = place.stream(1, records, lists=lists), place.folder / "lists.db"
    for each in place.folder.glob("lists.db*"):
        each.unlink()
    with server() as url:
        here = replace(place, url=url)
        here.target(stream, ledger_url=f"sqlite:///{path}", **_SETTINGS)
        return _best(lambda: here.target(stream, ledger_url=f"sqlite:///{path}", **_SETTINGS))


def _best(measure: Callable[[], Measured]) -> Measured:
    return min((measure() for _ in range(ROUNDS)), key=lambda each: each.processor_seconds)
