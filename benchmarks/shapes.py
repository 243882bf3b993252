"""Measures records in files and records of unusual sizes, compared with short RECORDs."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.bench import ROUNDS, Bench, Floors

_FILES: Final = {"jsonl": "JSONL files", "gzip": "JSONL files with gzip"}
_SIZES: Final = {"wide": "64 columns", "long": "2 kB"}
_SHARE: Final = 5
"""Large records are a fifth as many, because the stream has several times the bytes."""


def measure(place: Bench, floors: Floors, records: int) -> None:
    """Measure `append-only` with this many records."""
    plain = place.stream(1, records)
    base = floors.measure("append", records, lambda: place.append(plain), ROUNDS)
    for kind, name in _FILES.items():
        stream = place.in_files(plain, kind)
        line = floors.measure(f"append from {name}", records, lambda stream=stream: place.append(stream), ROUNDS)  # type: ignore[misc]
        print(f"{name} take {base.rate / line.rate:.2f} x the time of RECORDs")
    few = records // _SHARE
    short = place.stream(1, few)
    for shape, name in _SIZES.items():
        slowdown, of_floor = _slowdowns(place, short, place.reshaped(short, shape))
        print(
            f"records of {name}: append takes {slowdown:.2f} x the time of short ones, the floor {of_floor:.2f} x; "
            f"{slowdown / of_floor:.2f} x the floor's own slowdown"
        )


def _slowdowns(place: Bench, short: Path, large: Path) -> tuple[float, float]:
    """Return how many times as long large records take as short ones: in the target, and in the floor.

    Without start-up, which would hide the difference.
    """
    empty = place.folder / "no-records"
    empty.touch()
    slowdowns = []
    for run in (place.append, place.floor):
        nothing, some, more = (
            median(run(stream).processor_seconds for _ in range(ROUNDS)) for stream in (empty, short, large)
        )
        slowdowns.append((more - nothing) / (some - nothing))
    return slowdowns[0], slowdowns[1]
