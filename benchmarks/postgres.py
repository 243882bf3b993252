"""Measures with PostgreSQL: a ledger in it, and a real tap that reads from it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bench import ROUNDS, Bench, Floors
from tests.support.postgres import Database, find_binaries, run_server

_ROWS_SQL = """
CREATE TABLE customers (id bigint PRIMARY KEY, email text, first_name text, last_name text, updated_at timestamptz);
INSERT INTO customers SELECT n, 'customer.' || n || '@example.com', 'Alexandra', 'Kowalski-' || n,
    timestamptz '2026-01-01' + n * interval '1 second' FROM generate_series(1, {rows}) AS n
"""


def measure(place: Bench, floors: Floors, records: int) -> None:
    """Measure with this many records, and with a tenth of them for the tap, because it is slow."""
    binaries, tap = find_binaries(), shutil.which("tap-postgres")
    if binaries is None:
        print("Nothing was measured with PostgreSQL, because its server is not installed: apt-get install postgresql")
        return
    stream = place.stream(1, records)
    with run_server(binaries) as server:
        with server.database() as database:
            file = place.folder / "beside-postgres.db"
            urls = {
                "SQLite": f"sqlite:///{file}",
                "PostgreSQL": f"postgresql://{database.user}:{database.password}@{database.host}:{database.port}/{database.name}",
            }
            shares = []
            for what in ("first load", "unchanged"):
                rates = {}
                for where, url in urls.items():
                    run = partial(place.target, stream, ledger_url=url)
                    rates[where] = floors.measure(f"upsert, {what}, in {where}", records, run).rate
                shares.append(f"{what}: {rates['PostgreSQL'] / rates['SQLite']:.2f} x the rate of SQLite")
            # The server does this by itself, but not within seconds: it frees the room of notes that were sent.
            database.execute("VACUUM target_pinterest_audience.unsettled")
            size = int(database.execute("SELECT pg_database_size(current_database())"))
            shares.append(f"{size / 1e6:,.0f} MB for {records:,} members, {size / file.stat().st_size:.2f} x SQLite")
            print(f"PostgreSQL beside SQLite: {'; '.join(shares)}")
            for where, url in urls.items():
                run = partial(place.target, stream, ledger_url=url, load_method="overwrite")
                floors.measure(f"overwrite, unchanged, in {where}", records, run, ROUNDS)
        if tap is None:
            print("The tap was not measured: tap-postgres is not on the PATH (pip install meltanolabs-tap-postgres)")
            return
        with server.database() as database:
            rows = records // 10
            database.execute(_ROWS_SQL.format(rows=rows))
            rate = rows / _read(place, tap, database)
            print(f"tap-postgres alone reads {rate:,.0f} rows/s: {rate / floors.rates[-1]:.3f} of the floor")


def _read(place: Bench, tap: str, database: Database) -> float:
    """Let the tap read the table, and return how many seconds it took, including start-up."""
    config = {name: getattr(database, name) for name in ("host", "port", "user", "password")}
    path = _written(place, "tap.json", {**config, "database": database.name, "filter_schemas": ["public"]})
    discovered = subprocess.run([tap, "--config", path, "--discover"], check=True, capture_output=True)
    catalog = json.loads(discovered.stdout)
    for stream in catalog["streams"]:
        root = next(entry["metadata"] for entry in stream["metadata"] if not entry["breadcrumb"])
        root["selected"] = True
        root["replication-method"] = "FULL_TABLE"
    command: list[str | Path] = [tap, "--config", path, "--catalog", _written(place, "catalog.json", catalog)]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def _written(place: Bench, name: str, content: Any) -> Path:
    path = place.folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
