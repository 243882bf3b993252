"""Measures paths into objects and arrays, compared with a column of the same addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from benchmarks.bench import ROUNDS, Bench, Floors, Line

_PATHS: Final = {"object": "customer.email", "array": "emails[].value"}


def measure(place: Bench, floors: Floors, records: int) -> None:
    """Measure `append-only` with this many records, from the stream and from Parquet files."""
    flat = place.stream(1, records)
    for where in ("", " from Parquet files"):
        column = _append(place, floors, records, flat, "append", where, {})
        for shape, path in _PATHS.items():
            settings, stream = {"identity_columns": {path: "EMAIL"}}, place.reshaped(flat, shape)
            nested = _append(place, floors, records, stream, f"append, `{path}`", where, settings)
            busy = nested.measured.processor_seconds / column.measured.processor_seconds
            print(
                f"`{path}`{where} takes {column.rate / nested.rate:.2f} x the time of a column, {busy:.2f} x its work"
            )


def _append(
    place: Bench, floors: Floors, records: int, stream: Path, name: str, where: str, settings: dict[str, Any]
) -> Line:
    stream = place.in_files(stream) if where else stream
    return floors.measure(f"{name}{where}", records, lambda: place.append(stream, **settings), ROUNDS)
