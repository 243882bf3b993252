"""Measures with PostgreSQL: a ledger in it, and a real tap that reads from it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import ROUNDS, Bench, Floors
from tests.support.postgres import Database, PostgresServer, find_binaries, run_server

_AWAY_MS: Final = 5
"""How long a request to a distant server and its answer are on the way."""

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
        _measure_distant(place, floors, server, records)
        if tap is None:
            print("The tap was not measured: tap-postgres is not on the PATH (pip install meltanolabs-tap-postgres)")
            return
        with server.database() as database:
            rows = records // 10
            database.execute(_ROWS_SQL.format(rows=rows))
            rate = rows / _read(place, tap, database)
            print(f"tap-postgres alone reads {rate:,.0f} rows/s: {rate / floors.rates[-1]:.3f} of the floor")


def _measure_distant(place: Bench, floors: Floors, server: PostgresServer, records: int) -> None:
    """Measure with a server that is some milliseconds away, beside the same server without a delay."""
    stream, rates = place.stream(1, records), {}
    for delay in (0, _AWAY_MS):
        # Both through the process that delays, because it needs a core, too.
        with server.database() as database, _delayed(database.host, database.port, delay) as port:
            url = f"postgresql://{database.user}:{database.password}@127.0.0.1:{port}/{database.name}"
            for what in ("first load", "unchanged"):
                name = f"upsert, {what}, in PostgreSQL, {delay} ms away"
                rates[what, delay] = floors.measure(name, records, partial(place.target, stream, ledger_url=url)).rate
    shares = [f"{what}: {rates[what, 0] / rates[what, _AWAY_MS]:.2f} x" for what in ("first load", "unchanged")]
    print(f"The time with PostgreSQL {_AWAY_MS} ms away, beside the time without that delay: {'; '.join(shares)}")


@contextmanager
def _delayed(host: str, port: int, delay_ms: float) -> Iterator[int]:
    """Yield a port of this machine that leads to a server, each way in half of the delay."""
    command = [sys.executable, str(Path(__file__).parent / "delay.py"), host, str(port), str(delay_ms / 2)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


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
