"""Measures runs with a ledger: a first load, the same rows again, and a small change."""

from __future__ import annotations

from benchmarks.bench import ROUNDS, Bench, Curve, Floors, Line


def measure(place: Bench, floors: Floors, members: int, records: int) -> Curve:
    """Measure the first load of a ledger with so many members, and then runs with so many records."""
    again = {size: _load(place, floors, size, min(size, records)) for size in (members // 100, members // 10, members)}
    rows, changed = (place.stream(1, records, members // records, percent) for percent in (0, 1))
    of, url = f"against {members:,} members", _ledger(place, members)
    overwrite = {"load_method": "overwrite", "ledger_url": url}
    # From the second round on, each also does away with the marks of the one before.
    floors.measure(f"overwrite, unchanged, {of}", records, lambda: place.target(rows, **overwrite), ROUNDS)
    floors.measure(f"upsert, 1 % changed, {of}", records, lambda: place.target(changed, ledger_url=url))
    size = (place.folder / f"{members}.db").stat().st_size
    print(f"the ledger of {members:,} members has {size / 1e6:,.0f} MB")
    return Curve("upsert, unchanged", "members in the ledger", again)


def _load(place: Bench, floors: Floors, members: int, records: int) -> Line:
    """Load a new ledger, and send some of its rows again."""
    load, again = place.stream(1, members), place.stream(1, records, members // records)
    url = _ledger(place, members)
    floors.measure("upsert, first load", members, lambda: place.target(load, ledger_url=url))
    name = f"upsert, unchanged, against {members:,} members"
    return floors.measure(name, records, lambda: place.target(again, ledger_url=url), ROUNDS)


def _ledger(place: Bench, members: int) -> str:
    return f"sqlite:///{place.folder / f'{members}.db'}"
