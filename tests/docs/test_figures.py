"""The figures in the pages and those behind estimates are the same."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from docgen.about import PAGES
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.run.estimate import figures
from target_pinterest_audience.run.estimate.first_load import Source, estimate
from target_pinterest_audience.run.estimate.words import duration
from target_pinterest_audience.settings.load import resolve_settings
from tests.support.account import ACCOUNT

BENCHMARKS = (PAGES / "benchmarks.md").read_text(encoding="utf-8")
FIRST_LOAD = (PAGES / "guides" / "first-load.md").read_text(encoding="utf-8")
SCALE = (PAGES / "scale.md").read_text(encoding="utf-8")


def cells(page: str, columns: int) -> Iterator[list[str]]:
    """Yield the rows of the tables with so many columns, without thousands separators and units."""
    for line in page.splitlines():
        found = [each.strip().replace(",", "").removesuffix(" MB") for each in line.strip("| ").split(" | ")]
        if line.startswith("| ") and len(found) == columns:
            yield found


def benchmark(work: str, records: int) -> tuple[int, int]:
    """Return the records a second and the peak memory in MB of a line in the table of benchmarks."""
    name = work.replace(",", "")
    ((_, _, rate, _, peak, _),) = [each for each in cells(BENCHMARKS, 6) if each[:2] == [name, str(records)]]
    return int(rate), int(peak)


@pytest.mark.parametrize(
    ("engine", "work", "records"),
    [
        (figures.SQLITE, "upsert, first load", 10_000_000),
        (figures.APPEND, "append", 1_000_000),
    ],
)
def test_estimates_use_the_speed_that_was_measured(engine: figures.Engine, work: str, records: int) -> None:
    assert engine.rows_a_second == benchmark(work, records)[0], "after a new measurement, change `figures.py`, too"


def test_estimates_use_the_most_memory_that_was_measured() -> None:
    # Beyond them the filter takes more, which is counted by itself.
    loads = [benchmark("upsert, first load", records)[1] for records in (100_000, 1_000_000)]
    assert figures.SQLITE.peak_mb == max(loads)
    assert figures.APPEND.peak_mb == benchmark("append", 10_000_000)[1]


def test_estimates_for_postgresql_use_the_large_loads_that_were_measured() -> None:
    loads = [row for row in cells(SCALE, 6) if row[0] == "first load"]
    rates, peaks = [int(row[3]) for row in loads], [int(row[4]) for row in loads]
    assert figures.POSTGRESQL.rows_a_second == max(rates) <= figures.SLOW_DAY * min(rates)
    assert figures.POSTGRESQL.peak_mb == max(peaks) >= benchmark("upsert, first load, in PostgreSQL", 1_000_000)[1]


def test_estimates_use_the_speed_of_the_tap_that_was_measured() -> None:
    (rate,) = re.findall(r"tap-postgres reads ([\d,]+) rows a second", " ".join(BENCHMARKS.split()))
    assert int(rate.replace(",", "")) == figures.TAP_ROWS_A_SECOND


@pytest.mark.parametrize(("engine", "column"), [(figures.SQLITE, 3), (figures.POSTGRESQL, 4)])
def test_rooms_in_the_ledger_are_those_that_were_measured(engine: figures.Engine, column: int) -> None:
    rooms = {int(row[0]): int(row[column]) for row in cells(BENCHMARKS, 7) if row[0].isdigit()}
    assert sorted(rooms) == [1, 2, 3]
    for identities, measured in rooms.items():
        assert measured <= engine.row_bytes + identities * engine.identity_bytes <= 1.05 * measured


@pytest.mark.parametrize("column", [2, 5, 6])
def test_the_time_of_further_identities_is_that_which_was_measured(column: int) -> None:
    rates = {int(row[0]): int(row[column]) for row in cells(BENCHMARKS, 7) if row[0].isdigit()}
    for identities in (2, 3):
        measured = (rates[1] / rates[identities] - 1) / (identities - 1)
        assert measured == pytest.approx(figures.FURTHER_IDENTITY, abs=0.08)


def test_the_table_of_first_loads_is_what_is_estimated() -> None:
    settings, _ = resolve_settings({"ad_account_id": ACCOUNT, "access_token": "t", "ledger_url": "sqlite:////l.db"})
    rows = [row for row in cells(FIRST_LOAD, 4) if row[0].isdigit()]
    assert [row[0] for row in rows] == [str(10**n) for n in (5, 6, 7)] + ["20000000", "100000000", "1000000000"]
    for people, writes, standard, trial in rows:
        found = estimate(settings, [Source("customers", int(people), [IDENTITY_TYPES["EMAIL"]])])
        days = f"{found.trial_days:,} day{'s' if found.trial_days > 1 else ''}"
        longest = duration(max(found.standard_seconds, found.one_list_seconds))
        assert (writes, standard, trial) == (str(found.writes), longest, days)


def test_pinterests_limits_are_told_as_they_are_estimated_with() -> None:
    told = " ".join(FIRST_LOAD.split())
    assert f"may write {figures.TRIAL_WRITES_A_DAY} times a day" in told
    assert f"it is {figures.STANDARD_WRITES_A_MINUTE} times a minute" in told
    assert f"answers in {figures.REQUEST_SECONDS} s" in told
    assert f"{figures.STANDARD_WRITES_A_MINUTE} writes a minute" in SCALE.replace("\n", " ")
    assert f"{figures.SQLITE.log_mb} MB" in SCALE
