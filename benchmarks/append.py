"""Measures reading, checking, hashing and sending, without a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.bench import ROUNDS, Bench, Curve, Floors, Line, server

LATENCY_MS = 200
_OTHER_LATENCIES_MS = (50, 100)
_STOCK_RECORDS = 50_000
"""Fewer records than the others have, because the stock target is slow."""


def measure(place: Bench, floors: Floors, records: int) -> Iterator[Curve]:
    """Measure with this many records, with ten times as many, and with fewer."""
    sizes = [records // 100, records // 10, records, 10 * records]
    few = min(records, _STOCK_RECORDS)
    stock_stream = place.stream(1, few)
    stock = floors.measure("a stock SDK target", few, lambda: place.stock(stock_stream))
    lines = {size: _append(place, floors, size, ROUNDS if size <= records else 1) for size in sizes}
    append, more = lines[records], lines[10 * records]
    phones = _append_phones(place, floors, records)
    files = _append_files(place, floors, records, ROUNDS), _append_files(place, floors, 10 * records, 1)
    delayed = {0: append, **{ms: _append_delayed(place, floors, records, ms) for ms in _OTHER_LATENCIES_MS}}
    slow = delayed[LATENCY_MS] = _append_delayed(place, floors, records, LATENCY_MS)
    longer = max(append.measured.seconds, append.measured.writes * LATENCY_MS / 1000)
    print(f"append is {append.rate / stock.rate:.1f} x the stock target")
    print(f"phone numbers: {phones.floor / append.floor:.2f} x the speed of addresses")
    print(f"ten times as many records take {_growth(append, more):.2f} x the memory, in files {_growth(*files):.2f} x")
    print(f"with {LATENCY_MS} ms a request: {slow.measured.seconds / longer:.2f} x the longer of reading and uploading")
    yield Curve("append", "records in the stream", lines)
    yield Curve(f"append, {records:,} records", "milliseconds a request", delayed, logarithmic=False)


def _append(place: Bench, floors: Floors, records: int, rounds: int) -> Line:
    stream = place.stream(1, records)
    return floors.measure("append", records, lambda: place.append(stream), rounds)


def _append_phones(place: Bench, floors: Floors, records: int) -> Line:
    stream = place.stream(1, records, columns="phone")
    return floors.measure("append phone numbers", records, lambda: place.append(stream), ROUNDS)


def _append_files(place: Bench, floors: Floors, records: int, rounds: int) -> Line:
    files = place.in_files(place.stream(1, records))
    return floors.measure("append from Parquet files", records, lambda: place.append(files), rounds)


def _growth(few: Line, many: Line) -> float:
    return many.measured.peak_mb / few.measured.peak_mb


def _append_delayed(place: Bench, floors: Floors, records: int, latency_ms: int) -> Line:
    stream = place.stream(1, records)
    with server(latency_ms) as url:
        far = replace(place, url=url)
        return floors.measure(f"append, {latency_ms} ms a request", records, lambda: far.append(stream))


def start_up(place: Bench) -> None:
    """Measure an empty stream, compared with a target from the SDK's template."""
    empty = place.folder / "empty"
    empty.touch()
    ours, stock = (min(run(empty).seconds for _ in range(5)) for run in (place.append, place.stock))
    print(f"start-up: {ours:.2f} s, the stock target's {stock:.2f} s: {ours / stock:.2f} x")
