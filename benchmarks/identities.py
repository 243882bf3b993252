"""Measures first loads of rows with one, two and three identities: the speed, and the size of the ledger.

The estimates of `pinterest-audience check --rows` use the sizes (`target_pinterest_audience/run/estimate/figures.py`).
"""

from __future__ import annotations

from functools import partial
from typing import Final

from benchmarks.bench import Bench, Floors
from tests.support.postgres import Database, find_binaries, run_server

_COLUMNS: Final = ("email", "email,idfa", "email,idfa,gaid")


def measure(place: Bench, floors: Floors, records: int) -> None:
    """Measure with this many records."""
    for columns in _COLUMNS:
        stream = place.stream(1, records, columns=columns)
        floors.measure(f"append, {columns}", records, partial(place.append, stream))
    for columns in _COLUMNS:
        ledger = place.folder / f"{columns}.db"
        _load(place, floors, records, columns, f"sqlite:///{ledger}")
        _tell(columns, "SQLite", ledger.stat().st_size / records)
    binaries = find_binaries()
    if binaries is None:
        print("Nothing was measured with PostgreSQL, because its server is not installed: apt-get install postgresql")
        return
    for columns in _COLUMNS:
        with run_server(binaries) as server, server.database() as database:
            _load(place, floors, records, columns, _url(database))
            size = int(database.execute("SELECT pg_database_size(current_database())"))
            _tell(columns, "PostgreSQL", size / records)


def _load(place: Bench, floors: Floors, records: int, columns: str, url: str) -> None:
    stream = place.stream(1, records, columns=columns)
    floors.measure(f"upsert, first load, {columns}", records, partial(place.target, stream, ledger_url=url))


def _tell(columns: str, database: str, size: float) -> None:
    print(f"the ledger takes {size:.0f} bytes for a row with {columns} in {database}", flush=True)


def _url(database: Database) -> str:
    return f"postgresql://{database.user}:{database.password}@{database.host}:{database.port}/{database.name}"
