"""Runs all measurements: each is a whole process, compared with the floor (`floor.py`) of the same run.

`make benchmark` runs them with a ledger of ten million members, which takes about half an hour, and draws
`docs/benchmarks.svg`. For a quick look, run `python -m benchmarks --members 300000 --records 100000`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

from benchmarks import append, identities, ledger, many_lists, paths, postgres, shapes
from benchmarks.bench import HEAD, Curve, Floors, bench


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--members", type=int, default=10_000_000, help="members of the ledger (10,000,000)")
    parser.add_argument("--records", type=int, default=1_000_000, help="records of a run (1,000,000)")
    parser.add_argument("--curves", type=Path, help="file to write for `plot.py`")
    parts = ["append", "identities", "ledger", "lists", "paths", "postgres", "shapes"]
    parser.add_argument("--only", choices=parts, help="run only these")
    options = parser.parse_args()
    records = min(options.records, options.members)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with bench() as place:
        floors = Floors(place, records)
        print(HEAD, flush=True)
        curves: list[Curve] = []
        if options.only in {None, "append"}:
            curves += append.measure(place, floors, records)
            append.start_up(place)
        if options.only in {None, "ledger"}:
            curves.append(ledger.measure(place, floors, options.members, records))
        if options.only in {None, "lists"}:
            many_lists.measure(place, records)
        if options.only in {None, "identities"}:
            identities.measure(place, floors, records)
        if options.only in {None, "paths"}:
            paths.measure(place, floors, records)
        if options.only in {None, "shapes"}:
            shapes.measure(place, floors, records)
        if options.only in {None, "postgres"}:
            postgres.measure(place, floors, records)
    if options.curves is not None:
        options.curves.write_text(json.dumps([curve.as_json() for curve in curves]), encoding="utf-8")
    print(f"the floor: {min(floors.rates):,.0f} to {max(floors.rates):,.0f} records/s")


if __name__ == "__main__":
    main()
