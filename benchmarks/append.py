"""What reading, checking, hashing and sending cost, without a ledger."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.bench import Bench, Floors, server

LATENCY_MS = 200
_STOCK_RECORDS = 50_000
"""It is that slow."""


def measure(place: Bench, floors: Floors, records: int) -> None:
    """Measure over so many records, and over ten times as many."""
    stream, tenfold = place.stream(1, records), place.stream(1, 10 * records)
    few = min(records, _STOCK_RECORDS)
    stock_stream = place.stream(1, few)
    files = place.in_files(stream)
    stock = floors.tell("a stock SDK target", few, lambda: place.stock(stock_stream))
    append = floors.tell("append", records, lambda: place.append(stream))
    more = floors.tell("append, ten times as many", 10 * records, lambda: place.append(tenfold))
    floors.tell("append from Parquet files", records, lambda: place.append(files))
    with server(LATENCY_MS) as url:
        far = replace(place, url=url)
        slow = floors.tell(f"append, {LATENCY_MS} ms a request", records, lambda: far.append(stream))
    longer = max(append.measured.seconds, append.measured.writes * LATENCY_MS / 1000)
    print(f"append is {append.rate / stock.rate:.1f} x the stock target")
    print(f"ten times as many records take {more.measured.peak_mb / append.measured.peak_mb:.2f} x the memory")
    print(f"with {LATENCY_MS} ms a request: {slow.measured.seconds / longer:.2f} x the longer of reading and uploading")


def start_up(place: Bench) -> None:
    """Tell how long an empty stream takes, next to a target of the SDK's that does nothing either."""
    empty = place.folder / "empty"
    empty.touch()
    ours, stock = (min(run(empty).seconds for _ in range(5)) for run in (place.append, place.stock))
    print(f"start-up: {ours:.2f} s, the stock target's {stock:.2f} s: {ours / stock:.2f} x")
