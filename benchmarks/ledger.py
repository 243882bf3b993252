"""What the ledger costs: a first load, the same rows again, and a small change, each as a share of the floor.

`make benchmark` runs it for 10 million members, which takes a quarter of an hour; for a glance there is
`python -m benchmarks.ledger --members 300000`. Every figure is of a whole process, start-up included, and is set
against `floor.py` in the same run, just before and just after it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Measured:
    """One process, from its start to its end."""

    seconds: float
    peak_mb: float
    writes: int


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder for streams and a ledger, and a server to write to."""

    folder: Path
    url: str

    def stream(self, first: int, count: int, step: int = 1, percent: int = 0) -> Path:
        """Return the file of a stream; see `stream.py`."""
        path = self.folder / f"{first}-{count}-{step}-{percent}.singer"
        if not path.exists():
            arguments = [str(argument) for argument in (first, count, step, percent)]
            with path.open("wb") as file:
                subprocess.run([sys.executable, _HERE / "stream.py", *arguments], stdout=file, check=True)
        return path

    def floor(self, stream: Path) -> Measured:
        """Send a stream's addresses with nothing around."""
        return self._measure([sys.executable, str(_HERE / "floor.py"), self.url], stream)

    def target(self, stream: Path, **settings: Any) -> Measured:
        """Run the target over a stream."""
        config = {
            "ad_account_id": "549755885175", "access_token": "token", "api_url": self.url,
            "ledger_url": f"sqlite:///{self.folder / 'ledger.db'}", **settings,
        }  # fmt: skip
        path = self.folder / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return self._measure([sys.executable, "-m", "target_pinterest_audience", "--config", str(path)], stream)

    def _measure(self, command: list[str], stream: Path) -> Measured:
        self._writes()
        with stream.open("rb") as source, (self.folder / "stderr").open("wb") as errors:
            started = time.perf_counter()
            process = subprocess.Popen(command, stdin=source, stdout=subprocess.DEVNULL, stderr=errors)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        if process.returncode:
            sys.exit((self.folder / "stderr").read_text(encoding="utf-8")[-2_000:])
        return Measured(seconds, usage.ru_maxrss / 1024, self._writes())

    def _writes(self) -> int:
        with urllib.request.urlopen(self.url.removesuffix("/v5") + "/writes") as answer:
            return int(json.load(answer)["writes"])


@contextmanager
def bench() -> Iterator[Bench]:
    """Start a server, and make a folder that goes when the block ends."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        server = subprocess.Popen([sys.executable, _HERE / "server.py"], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            yield Bench(Path(folder), server.stdout.readline().strip())
        finally:
            server.terminate()
            server.wait()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="What the ledger costs, as a share of the floor.")
    parser.add_argument("--members", type=int, default=10_000_000, help="of the ledger (10,000,000)")
    parser.add_argument("--records", type=int, default=1_000_000, help="of a later run (1,000,000)")
    options = parser.parse_args()
    records = min(options.records, options.members)
    step = options.members // records
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with bench() as place:
        load, again = place.stream(1, options.members), place.stream(1, records, step)
        changed = place.stream(1, records, step, percent=1)
        floors = Floors(place, again, records)
        floors.tell("first load", options.members, lambda: place.target(load))
        size = (place.folder / "ledger.db").stat().st_size / 1e6
        print(f"the ledger then has {options.members:,} members and {size:,.0f} MB")
        floors.tell("unchanged", records, lambda: place.target(again))
        floors.tell("unchanged, overwrite", records, lambda: place.target(again, load_method="overwrite"))
        floors.tell("1 % changed", records, lambda: place.target(changed))
    print(f"the floor: {min(floors.rates):,.0f} to {max(floors.rates):,.0f} records/s")


class Floors:
    """Sets each measurement against the floor just before and just after it: a machine's speed varies with time."""

    def __init__(self, place: Bench, stream: Path, records: int) -> None:
        """Take the first floor.

        Args:
            place: where to measure.
            stream: what the floor is measured over.
            records: how many records it has.
        """
        self._place = place
        self._stream = stream
        self._records = records
        self.rates = [self._take()]

    def _take(self) -> float:
        return self._records / self._place.floor(self._stream).seconds

    def tell(self, name: str, records: int, measure: Callable[[], Measured]) -> None:
        """Measure, take the floor again, and print a line."""
        # What was written before is not to be paid for by this line.
        os.sync()
        measured = measure()
        self.rates.append(self._take())
        floor = sum(self.rates[-2:]) / 2
        rate = records / measured.seconds
        print(
            f"{name:22} {records:>11,} records  {rate:>9,.0f} records/s  {rate / floor:5.2f} x the floor  "
            f"peak {measured.peak_mb:,.0f} MB  {measured.writes:,} writes",
            flush=True,
        )


if __name__ == "__main__":
    main()
