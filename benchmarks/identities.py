"""Measures first loads of rows with one, two and three identities: the speed, and the size of the ledger.

The estimates of `pinterest-audience check --rows` use the results: see `run/estimate/figures.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from benchmarks.bench import ROUNDS, Bench, Floors, Measured
from tests.support.postgres import Database, find_binaries, run_server

_COLUMNS: Final = ("email", "email,idfa", "email,idfa,gaid")


def measure(place: Bench, floors: Floors, records: int) -> None:
    """Measure with this many records."""
    for columns in _COLUMNS:
        stream = place.stream(1, records, columns=columns)
        floors.measure(f"append, {columns}", records, partial(place.append, stream), ROUNDS)
    for columns in _COLUMNS:
        load = partial(_load_sqlite, place, records, columns)
        floors.measure(f"upsert, first load, {columns}", records, load, ROUNDS)
        _tell(columns, "SQLite", (place.folder / f"{columns}.db").stat().st_size / records)
    binaries = find_binaries()
    if binaries is None:
        print("Nothing was measured with PostgreSQL, because its server is not installed: apt-get install postgresql")
        return
    for columns in _COLUMNS:
        with run_server(binaries) as server, server.database() as database:
            stream = place.stream(1, records, columns=columns)
            load = partial(place.target, stream, ledger_url=_url(database))
            floors.measure(f"upsert, first load, {columns}, in PostgreSQL", records, load)
            size = int(database.execute("SELECT pg_database_size(current_database())"))
            _tell(columns, "PostgreSQL", size / records)


def _load_sqlite(place: Bench, records: int, columns: str) -> Measured:
    """Load a new ledger."""
    ledger = place.folder / f"{columns}.db"
    ledger.unlink(missing_ok=True)
    return place.target(place.stream(1, records, columns=columns), ledger_url=f"sqlite:///{ledger}")


def _tell(columns: str, database: str, size: float) -> None:
    print(f"the ledger takes {size:.0f} bytes for a row with {columns} in {database}", flush=True)


def _url(database: Database) -> str:
    return f"postgresql://{database.user}:{database.password}@{database.host}:{database.port}/{database.name}"
