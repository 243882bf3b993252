"""What a row costs, against the least that must happen to it: shares of processor time, so that no clock decides.

The processor time of the floor and of the target's processes is taken in turns, and the best of each counts. The limits
are twice what was measured, since machines differ; `make benchmark` measures properly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from benchmarks.bench import Bench, Measured, bench

pytestmark = pytest.mark.slow

RECORDS: Final = 300_000
ROUNDS: Final = 3


@pytest.fixture(scope="module")
def place() -> Iterator[Bench]:
    with bench() as place:
        yield place


@pytest.fixture(scope="module")
def stream(place: Bench) -> Path:
    return place.stream(1, RECORDS)


def share(place: Bench, stream: Path, run: Callable[[Path], Measured]) -> float:
    """The processor time of a run as a multiple of the floor's, what an empty stream takes left out of both."""
    empty = place.folder / "empty"
    empty.touch()
    costs = []
    for measure in (place.floor, run):
        idle = min(measure(empty).processor_seconds for _ in range(ROUNDS))
        costs.append(min(measure(stream).processor_seconds for _ in range(ROUNDS)) - idle)
    return costs[1] / costs[0]


def test_an_empty_stream_costs_about_as_much_as_with_an_empty_target(place: Bench) -> None:
    empty = place.folder / "empty"
    empty.touch()
    ours, stock = (min(run(empty).processor_seconds for _ in range(ROUNDS)) for run in (place.append, place.stock))
    assert ours < 1.7 * stock


@pytest.mark.timeout(600)
def test_appending_costs_little_more_than_the_floor(place: Bench, stream: Path) -> None:
    assert share(place, stream, place.append) < 2.2


@pytest.mark.timeout(600)
def test_a_first_load_costs_a_few_times_the_floor(place: Bench, stream: Path) -> None:
    loads = iter(range(100))

    def load(rows: Path) -> Measured:
        return place.target(rows, ledger_url=f"sqlite:///{place.folder}/first-{next(loads)}.db")

    assert share(place, stream, load) < 15


@pytest.mark.timeout(600)
def test_unchanged_rows_cost_little_and_send_nothing(place: Bench, stream: Path) -> None:
    url = f"sqlite:///{place.folder}/again.db"
    place.target(stream, ledger_url=url)
    assert place.target(stream, ledger_url=url).writes == 0
    assert share(place, stream, lambda rows: place.target(rows, ledger_url=url)) < 7


@pytest.mark.timeout(600)
def test_memory_does_not_grow_with_the_stream(place: Bench, stream: Path) -> None:
    few, many = place.append(stream), place.append(place.stream(1, 4 * RECORDS))
    assert many.peak_mb < 1.1 * few.peak_mb


@pytest.mark.timeout(600)
def test_one_percent_of_changes_is_sent_in_two_requests(place: Bench, stream: Path) -> None:
    url = f"sqlite:///{place.folder}/changed.db"
    place.target(stream, ledger_url=url)
    changed = place.target(place.stream(1, RECORDS, 1, 1), ledger_url=url)
    assert changed.writes <= 2
