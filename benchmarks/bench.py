"""What all measurements share: runs a whole process with a stream, against a server on the loopback interface."""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROUNDS: Final = 3
"""How often to repeat a measurement that takes seconds, if it can be repeated."""

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Measured:
    """One process, from its start to its end."""

    seconds: float
    processor_seconds: float
    """Processor time of all its threads, on all cores."""
    peak_mb: float
    writes: int


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder for streams and ledgers, and a server to write to."""

    folder: Path
    url: str
    """The API address of a server that answers without delay."""

    def stream(
        self, first: int, count: int, step: int = 1, percent: int = 0, lists: int = 0, columns: str = "email"
    ) -> Path:
        """Return the file of a stream that `stream.py` writes with these arguments."""
        arguments = [str(argument) for argument in (first, count, step, percent, lists, columns)]
        path = self.folder / f"{'-'.join(arguments)}.singer"
        if not path.exists():
            with path.open("wb") as file:
                subprocess.run([sys.executable, _HERE / "stream.py", *arguments], stdout=file, check=True)
        return path

    def reshaped(self, stream: Path, shape: str) -> Path:
        """Return the file of a stream that `reshape.py` makes of another stream."""
        path = stream.with_suffix(f".{shape}")
        if not path.exists():
            with stream.open("rb") as source, path.open("wb") as file:
                subprocess.run([sys.executable, _HERE / "reshape.py", shape], stdin=source, stdout=file, check=True)
        return path

    def in_files(self, stream: Path, kind: str = "parquet") -> Path:
        """Return the file of a stream that names files with the records of another one; see `in_files.py`."""
        path = stream.with_suffix(f"{stream.suffix}.{kind}-files")
        # In a process of its own, because memory of this process would count as peak memory of those that it starts.
        with stream.open("rb") as source, path.open("wb") as file:
            subprocess.run(
                [sys.executable, _HERE / "in_files.py", self.folder, kind], stdin=source, stdout=file, check=True
            )
        return path

    def floor(self, stream: Path) -> Measured:
        """Send the addresses of a stream with the least possible work."""
        return self._measure([sys.executable, str(_HERE / "floor.py"), self.url], stream)

    def stock(self, stream: Path) -> Measured:
        """Run a target from the SDK's template."""
        config = self.folder / "stock.json"
        config.write_text(json.dumps({"api_url": self.url}), encoding="utf-8")
        return self._measure([sys.executable, str(_HERE / "stock.py"), "--config", str(config)], stream)

    def append(self, stream: Path, **settings: Any) -> Measured:
        """Run the target with a stream, without a ledger."""
        return self.target(stream, load_method="append-only", ledger_url=f"sqlite:///{self.folder}/none.db", **settings)

    def target(self, stream: Path, **settings: Any) -> Measured:
        """Run the target with a stream."""
        path = write_config(self.folder, api_url=self.url, **settings)
        return self._measure([sys.executable, "-m", "target_pinterest_audience", "--config", str(path)], stream)

    def _measure(self, command: list[str], stream: Path) -> Measured:
        before = self._writes()
        with stream.open("rb") as source, (self.folder / "stderr").open("wb") as errors:
            started = time.perf_counter()
            process = subprocess.Popen(command, stdin=source, stdout=subprocess.DEVNULL, stderr=errors)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        if process.returncode:
            sys.exit((self.folder / "stderr").read_text(encoding="utf-8")[-2_000:])
        busy = usage.ru_utime + usage.ru_stime
        return Measured(seconds, busy, usage.ru_maxrss / 1024, self._writes() - before)

    def _writes(self) -> int:
        with urllib.request.urlopen(self.url.removesuffix("/v5") + "/writes") as answer:
            return int(json.load(answer)["writes"])


def write_config(folder: Path, **settings: Any) -> Path:
    """Write the settings of the target to a file, with an ad account and a token, and return its path."""
    path = folder / "config.json"
    config = {"ad_account_id": "549755885175", "access_token": "token", **settings}
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


@contextmanager
def bench() -> Iterator[Bench]:
    """Start a server, and create a folder that is deleted when the block ends."""
    # As pip does. Otherwise each start would compile the package, if Python must not write bytecode.
    compileall.compile_dir(_HERE.parent / "target_pinterest_audience", quiet=1)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, server() as url:
        yield Bench(Path(folder), url)


@contextmanager
def server(latency_ms: int = 0, lists: int = 0) -> Iterator[str]:
    """Run a server until the block ends, and yield its API address.

    Args:
        latency_ms: the duration of each write.
        lists: how many of the lists exist that `stream.py` names.
    """
    command = [sys.executable, str(_HERE / "server.py"), str(latency_ms), str(lists)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    Attributes:
        name: the work.
        records: how many records the stream had.
        rate: records per second.
        floor: the rate as a share of the floor's rate.
        measured: the measurement of the process.
    """

    name: str
    records: int
    rate: float
    floor: float
    measured: Measured

    def __str__(self) -> str:
        """Return it as a row of a Markdown table."""
        peak, writes = self.measured.peak_mb, self.measured.writes
        return f"| {self.name} | {self.records:,} | {self.rate:,.0f} | {self.floor:.2f} | {peak:,.0f} MB | {writes:,} |"


@dataclass(frozen=True, slots=True)
class Curve:
    """A measurement that was repeated with different values of one parameter.

    Attributes:
        name: the work.
        depends_on: the parameter, with its unit.
        lines: value of the parameter → line of the table.
        logarithmic: whether to draw the parameter on a logarithmic axis.
    """

    name: str
    depends_on: str
    lines: Mapping[int, Line]
    logarithmic: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return it in the format that `plot.py` reads."""
        lines = self.lines.values()
        return {
            "name": self.name, "depends_on": self.depends_on, "logarithmic": self.logarithmic,
            "values": list(self.lines), "rates": [line.rate for line in lines],
            "floors": [line.rate / line.floor for line in lines],
        }  # fmt: skip


HEAD: Final = "| work | records | records/s | of the floor | peak memory | writes |\n|---|--:|--:|--:|--:|--:|"


class Floors:
    """Compares each measurement with the floor just before and just after it, because a machine's speed varies."""

    def __init__(self, place: Bench, records: int) -> None:
        """Measure the first floor.

        Args:
            place: where to measure.
            records: how many records the stream of the floor has.
        """
        self._place = place
        self._stream = place.stream(1, records)
        self._records = records
        self.rates = [self._take()]

    def _take(self) -> float:
        return self._records / self._place.floor(self._stream).seconds

    def measure(self, name: str, records: int, measure: Callable[[], Measured], rounds: int = 1) -> Line:
        """Measure, measure the floor again, and print a line.

        Args:
            name: the work.
            records: how many records its stream has.
            measure: runs the process.
            rounds: how often to measure, each time with the floor after it; the line is the median.
        """
        lines = sorted((self._measure_once(name, records, measure) for _ in range(rounds)), key=lambda line: line.floor)
        line = lines[rounds // 2]
        print(line, flush=True)
        return line

    def _measure_once(self, name: str, records: int, measure: Callable[[], Measured]) -> Line:
        # Earlier writes must reach the disk now, not during this measurement.
        os.sync()
        measured = measure()
        self.rates.append(self._take())
        rate = records / measured.seconds
        return Line(name, records, rate, rate / (sum(self.rates[-2:]) / 2), measured)
