"""What the ledger costs: a first load, the same rows again, and a small change."""

from __future__ import annotations

from benchmarks.bench import Bench, Floors


def measure(place: Bench, floors: Floors, members: int, records: int) -> None:
    """Measure against a ledger of so many members that starts empty, over so many records once it is full."""
    step = members // records
    load, again = place.stream(1, members), place.stream(1, records, step)
    changed = place.stream(1, records, step, percent=1)
    of = f"against {members:,} members"
    floors.tell("upsert, first load", members, lambda: place.target(load))
    floors.tell(f"upsert, unchanged, {of}", records, lambda: place.target(again))
    floors.tell(f"overwrite, unchanged, {of}", records, lambda: place.target(again, load_method="overwrite"))
    floors.tell(f"upsert, 1 % changed, {of}", records, lambda: place.target(changed))
    print(f"the ledger of {members:,} members has {(place.folder / 'ledger.db').stat().st_size / 1e6:,.0f} MB")
