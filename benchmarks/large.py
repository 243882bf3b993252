"""Measures ledgers that may be larger than memory: the rate of each tenth of a first load, later runs, and a prune.

`make benchmark-large` loads a hundred million customers into SQLite and into PostgreSQL, which takes hours and 60 GB of
disk. For a look at the shape, run `python -m benchmarks.large --rows 20000000 --memory-mb 512 --ledgers sqlite`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import server, write_config
from benchmarks.memory_limit import memory_limit
from target_pinterest_audience.system.memory import memory_bytes
from tests.support.postgres import Database, find_binaries, run_server

_HERE = Path(__file__).parent
_EVERY: Final = 20
"""Which rows come again in the run that changes nothing."""
_TENTHS: Final = 10
_LEAST_IN_TENTHS: Final = 5_000_000
"""A tenth must have several windows."""
_STATES: Final = 200
"""How many STATEs a stream has."""
_POSTGRES: Final = {
    "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on",
    "shared_buffers": f"{memory_bytes() // 2 >> 20}MB",
    "max_wal_size": "32GB", "checkpoint_timeout": "30min", "wal_compression": "lz4",
}  # fmt: skip
"""The ledger must be as safe as in SQLite, and the server set up as the guide to the first load has it. It uses huge
pages if the system has set some aside."""
_SIZE_SQL: Final = "SELECT pg_database_size(current_database())"
HEAD: Final = """\
| ledger | keys | work | rows | seconds | rows/s | peak memory | ledger | log |
|---|---|---|--:|--:|--:|--:|--:|--:|"""


@dataclass(frozen=True, slots=True)
class Place:
    """A ledger, and where to measure.

    Attributes:
        name: the database.
        url: its `ledger_url`.
        folder: for files.
        api_url: a server that answers at once.
        memory_mb: the limit for the memory and page cache of the target; 0 for none.
        file: the file of the ledger, if it is one.
        database: the database of the ledger, if it is in PostgreSQL.
    """

    name: str
    url: str
    folder: Path
    api_url: str
    memory_mb: int
    file: Path | None = None
    database: Database | None = None

    def size(self) -> int:
        """Return the size of the ledger in bytes."""
        if self.file is not None:
            return self.file.stat().st_size
        return int(self.database.execute(_SIZE_SQL)) if self.database is not None else 0

    def config(self, **settings: Any) -> Path:
        """Write the settings of a run."""
        return write_config(self.folder, api_url=self.api_url, ledger_url=self.url, **settings)


@dataclass(slots=True)
class Watch:
    """How far a run is, and how long the write-ahead log of a SQLite ledger has been."""

    log: Path | None
    marks: list[tuple[int, float]] = field(default_factory=list)
    log_bytes: int = 0
    _done: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Look at the log several times a second."""
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _look(self) -> None:
        while self.log is not None and not self._done.wait(0.2):
            with contextlib.suppress(OSError):
                self.log_bytes = max(self.log_bytes, self.log.stat().st_size)

    def rates(self) -> list[float]:
        """Return the rows per second in each tenth of the rows, from the times at which their STATEs came."""
        total = self.marks[-1][0]
        ends = [
            next(mark for mark in self.marks if mark[0] * _TENTHS >= total * tenth) for tenth in range(1, _TENTHS + 1)
        ]
        starts = [self.marks[0], *ends]
        return [(end[0] - start[0]) / (end[1] - start[1]) for start, end in zip(starts, ends, strict=False)]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000_000, help="customers to load (100,000,000)")
    parser.add_argument("--keys", nargs="+", choices=["uuid", "integer"], default=["uuid"], help="their keys (uuid)")
    parser.add_argument("--ledgers", nargs="+", choices=["sqlite", "postgres"], default=["sqlite", "postgres"])
    parser.add_argument("--memory-mb", type=int, default=0, help="limit for the target and its page cache (none)")
    parser.add_argument("--folder", type=Path, help="where the ledgers are written (the folder for temporary files)")
    parser.add_argument("--load-only", action="store_true", help="neither `overwrite` nor `prune`")
    options = parser.parse_args()
    print(HEAD, flush=True)
    for ledger in options.ledgers:
        for keys in options.keys:
            with _place(ledger, options.folder, options.memory_mb) as place:
                _measure(place, keys, options.rows, load_only=options.load_only)


@contextlib.contextmanager
def _place(ledger: str, folder: Path | None, memory_mb: int) -> Iterator[Place]:
    with contextlib.ExitStack() as stack:
        here = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-", dir=folder)))
        url = stack.enter_context(server())
        if ledger == "sqlite":
            file = here / "ledger.db"
            yield Place("SQLite", f"sqlite:///{file}", here, url, memory_mb, file=file)
            return
        binaries = find_binaries()
        if binaries is None:
            sys.exit("PostgreSQL's server is not installed: apt-get install postgresql")
        database = stack.enter_context(stack.enter_context(run_server(binaries, _POSTGRES)).database())
        at = f"{database.user}:{database.password}@{database.host}:{database.port}/{database.name}"
        yield Place("PostgreSQL", f"postgresql://{at}", here, url, memory_mb, database=database)


def _measure(place: Place, keys: str, rows: int, *, load_only: bool) -> None:
    again, hundredth = rows // _EVERY, rows // 100
    _run(place, keys, "first load", rows, [1, rows, 1, 0])
    _run(place, keys, f"every {_EVERY}th row again", again, [1, again, _EVERY, 0])
    if not load_only:
        most = rows - hundredth
        _run(place, keys, "overwrite, 1 % changed, 1 % missing", most, [1, most, 1, 1], load_method="overwrite")
        _prune(place, keys, hundredth)
    _run(place, keys, "1 % more, all new", hundredth, [rows + 1, hundredth, 1, 0])


def _run(place: Place, keys: str, work: str, rows: int, stream: Sequence[int], **settings: Any) -> None:
    """Run the target with a stream of `stream.py`, and print a line."""
    states = max(1, rows // _STATES)
    first, count, step, percent = stream
    arguments = [first, count, step, percent, 0, "email", keys, states]
    source = [sys.executable, str(_HERE / "stream.py"), *map(str, arguments)]
    config = place.config(**settings)
    watch = Watch(place.file.with_name(place.file.name + "-wal") if place.file else None)
    errors = place.folder / "stderr"
    with memory_limit(place.memory_mb) as prefix, errors.open("wb") as stderr, watch.watching():
        command = [*prefix, sys.executable, "-m", "target_pinterest_audience", "--config", str(config)]
        started = time.perf_counter()
        watch.marks.append((0, started))
        with (
            subprocess.Popen(source, stdout=subprocess.PIPE) as tap,
            subprocess.Popen(command, stdin=tap.stdout, stdout=subprocess.PIPE, stderr=stderr) as target,
        ):
            assert tap.stdout is not None
            assert target.stdout is not None
            tap.stdout.close()
            for line in target.stdout:
                watch.marks.append((int(json.loads(line)["rows"]), time.perf_counter()))
            _, status, usage = os.wait4(target.pid, 0)
            target.returncode = os.waitstatus_to_exitcode(status)
    if target.returncode:
        sys.exit(errors.read_text(encoding="utf-8")[-2_000:])
    seconds = time.perf_counter() - started
    _print(place, keys, work, rows, seconds, usage.ru_maxrss / 1024, watch.log_bytes)
    if rows >= _LEAST_IN_TENTHS:
        print(f"  per tenth: {', '.join(f'{rate:,.0f}' for rate in watch.rates())} rows/s", flush=True)


def _prune(place: Place, keys: str, rows: int) -> None:
    program = "from target_pinterest_audience.companion.main import main; main()"
    config = place.config(load_method="overwrite")
    # Its STATEs look like the positions of an incremental sync.
    command = [sys.executable, "-c", program, "prune", "--full-table", "--config", str(config)]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        said = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or f"({rows:,} pruned)" not in said:
        sys.exit(said)
    _print(place, keys, "prune of 1 %", rows, time.perf_counter() - started, usage.ru_maxrss / 1024, 0)


def _print(place: Place, keys: str, work: str, rows: int, seconds: float, peak_mb: float, log_bytes: int) -> None:
    print(
        f"| {place.name} | {keys} | {work} | {rows:,} | {seconds:,.0f} | {rows / seconds:,.0f} | {peak_mb:,.0f} MB "
        f"| {place.size() / 1e6:,.0f} MB | {log_bytes / 1e6:,.0f} MB |",
        flush=True,
    )


if __name__ == "__main__":
    main()
