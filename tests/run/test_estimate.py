"""The estimate of a first load, held against values that were worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.run.estimate import figures
from target_pinterest_audience.run.estimate.first_load import Estimate, Limit, Source, estimate
from target_pinterest_audience.run.estimate.words import Known, Line, duration, lines, size, span
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.settings.load import resolve_settings
from tests.support.account import ACCOUNT

MEGABYTE = 1_000_000


def settings_of(**config: Any) -> Settings:
    given = {"ad_account_id": ACCOUNT, "access_token": "t", "ledger_url": "sqlite:////tmp/ledger.db", **config}
    return resolve_settings(given)[0]


def source(rows: int, *kinds: str, stream: str = "customers", lists: int = 1) -> Source:
    return Source(stream, rows, [IDENTITY_TYPES[kind] for kind in kinds or ("EMAIL",)], lists)


def load(rows: int, *kinds: str, lists: int = 1, **config: Any) -> Estimate:
    return estimate(settings_of(**config), [source(rows, *kinds, lists=lists)])


def told(found: Estimate, known: Known | None = None, **config: Any) -> dict[str, Line]:
    return {line.name: line for line in lines(found, settings_of(**config), known or Known())}


@pytest.mark.parametrize(
    ("rows", "requests", "days"),
    [
        (1, 1, 1),
        (10_000, 1, 1),
        (10_001, 2, 1),
        (2_990_000, 299, 1),  # and the audience: 300 writes
        (2_990_001, 300, 2),
        (20_000_000, 2_000, 7),
        (100_000_000, 10_000, 34),
    ],
)
def test_rows_of_one_address_take_a_request_for_each_ten_thousand(rows: int, requests: int, days: int) -> None:
    found = load(rows)
    assert (found.identities, found.requests, found.audiences, found.writes) == (rows, requests, 1, requests + 1)
    assert (found.reads, found.trial_days) == (2, days)


def test_a_hundred_million_people_take_as_long_as_they_are_written_and_read() -> None:
    found = load(100_000_000)
    assert found.standard_seconds == pytest.approx(10_001 / 400 * 60)
    # One list takes one request at a time, which takes longer here than 400 a minute.
    assert found.one_list_seconds == pytest.approx(2_000)
    assert found.target_seconds == pytest.approx(100_000_000 / figures.SQLITE.rows_a_second)
    assert found.ledger_bytes == 100_000_000 * (figures.SQLITE.row_bytes + figures.SQLITE.identity_bytes)


def test_identities_that_are_sent_differently_do_not_share_requests() -> None:
    together, apart = load(15_000, "EMAIL", "IDFA"), load(15_000, "EMAIL", "PHONE")
    assert (together.lists, together.identities, together.requests) == (1, 30_000, 3)
    assert (apart.lists, apart.identities, apart.requests) == (1, 30_000, 4)


def test_types_that_have_lists_of_their_own_take_requests_and_audiences_of_their_own() -> None:
    found = load(15_000, "EMAIL", "IDFA", "LR_ID")
    assert (found.lists, found.requests, found.audiences) == (2, 3 + 2, 2)
    split = load(15_000, "EMAIL", "IDFA", "LR_ID", one_list_per_type=True)
    assert (split.lists, split.requests, split.audiences) == (3, 6, 3)
    assert split.one_list_seconds == pytest.approx(2 * figures.REQUEST_SECONDS)


def test_several_columns_of_one_type_count_several_times() -> None:
    assert load(15_000, "EMAIL", "EMAIL").requests == 3


def test_streams_that_feed_one_list_share_its_requests() -> None:
    config = {"streams": {"a": {}, "b": {}}, "customer_list_name": "All"}
    sources = [source(5_000, stream="a"), source(5_000, stream="b")]
    found = estimate(settings_of(**config), sources)
    assert (found.rows, found.lists, found.requests, found.audiences) == (10_000, 1, 1, 1)
    apart = estimate(settings_of(streams={"a": {}, "b": {}}), sources)
    assert (apart.lists, apart.requests, apart.audiences, apart.reads) == (2, 2, 2, 2)


def test_additions_and_removals_do_not_share_requests() -> None:
    config = {"streams": {"a": {}, "b": {"operation": "remove"}}, "customer_list_name": "All"}
    found = estimate(settings_of(**config), [source(1, stream="a"), source(1, stream="b")])
    assert (found.lists, found.requests, found.audiences) == (1, 2, 1)


def test_lists_that_rows_name_take_a_request_each_at_least() -> None:
    found = load(1_000, lists=300, list_name_column="segment")
    assert (found.lists, found.requests, found.audiences, found.trial_days) == (300, 300, 300, 2)
    assert load(2, lists=300, list_name_column="segment").lists == 2
    assert load(1_000, lists=300).lists == 1


def test_very_many_lists_share_the_room_for_identities_that_wait() -> None:
    (found,) = load(1_500_000, lists=400, list_name_column="segment").loads
    # A run with 1,500,000 rows for 400 lists wrote 1,103 times, and 1,080 times with a ledger.
    (largest,) = found.largest.values()
    assert largest == (1_750, Limit.ROOM)
    assert found.requests == 3


def test_a_request_ends_at_the_limit_that_is_reached_first() -> None:
    (by_rows,) = load(1_000_000, batch_size_rows=500).loads[0].largest.values()
    (by_bytes,) = load(1_000_000, batch_size_rows=50_000).loads[0].largest.values()
    assert by_rows == (500, Limit.ROWS)
    # 1,000,000 bytes without the envelope and the list's name; 64 digits and a comma each.
    assert by_bytes == ((1_000_000 - 200 - len('"customers"')) // 65, Limit.BYTES)
    (short,) = load(1_000_000, batch_size_rows=50_000, hash_algorithm="md5").loads[0].largest.values()
    assert short.identities > 1.9 * by_bytes.identities
    (tiny,) = load(10, max_request_bytes=1_000, customer_list_name="n" * 900).loads[0].largest.values()
    assert tiny.identities == 1


@pytest.mark.parametrize(
    ("choice", "reads"),
    [({"customer_list_id": "1"}, 2), ({"audience_id": "1"}, 3), ({"customer_list_name": "All"}, 2)],
)
def test_a_list_is_looked_up_as_it_is_chosen(choice: dict[str, Any], reads: int) -> None:
    assert load(1, **choice).reads == reads


@pytest.mark.parametrize("config", [{"create_audience": False}, {"audience_id": "1"}, {"operation": "remove"}])
def test_no_audience_is_created_unless_one_is_wanted(config: dict[str, Any]) -> None:
    assert load(1, **config).writes == 1


def test_types_of_several_lists_are_refused_for_one_list_by_id() -> None:
    with pytest.raises(ConfigurationError, match="`customer_list_id` names one list"):
        load(1, "EMAIL", "LR_ID", customer_list_id="1")


def test_held_out_people_are_not_sent() -> None:
    assert load(1_000, holdout_percent=10).identities == 900


def test_the_ledger_decides_about_time_room_and_memory() -> None:
    sqlite, append = load(1_000_000), load(1_000_000, load_method="append-only")
    postgresql = load(1_000_000, ledger_url="postgresql://u@db/ledger")
    assert append.ledger_bytes == 0 < sqlite.ledger_bytes < postgresql.ledger_bytes
    assert append.target_seconds < sqlite.target_seconds < postgresql.target_seconds
    assert append.memory_bytes < postgresql.memory_bytes < sqlite.memory_bytes
    where = "Its server was set up as the guide"
    assert [where in told(each)["target"].detail for each in (append, sqlite, postgresql)] == [False, False, True]
    two = load(1_000_000, "EMAIL", "IDFA")
    assert two.target_seconds == pytest.approx(sqlite.target_seconds * (1 + figures.FURTHER_IDENTITY))
    assert two.ledger_bytes == 1_000_000 * (figures.SQLITE.row_bytes + 2 * figures.SQLITE.identity_bytes)


def test_rows_that_refuse_take_more_room_and_time() -> None:
    adds, removes = load(1_000), load(1_000, operation="remove")
    of_row = figures.SQLITE.row_bytes + figures.REFUSED_ROOM * figures.SQLITE.identity_bytes
    assert removes.ledger_bytes == pytest.approx(1_000 * of_row)
    assert removes.target_seconds == pytest.approx(6 * adds.target_seconds)
    appended = [load(1_000, load_method="append-only", operation=each).target_seconds for each in ("add", "remove")]
    assert appended[0] == appended[1]


def test_identities_that_wait_take_memory_up_to_a_bound() -> None:
    few, many = load(1), load(400_000, lists=10_000, list_name_column="segment")
    assert few.memory_bytes == figures.SQLITE.peak_mb * MEGABYTE + figures.WAITING_IDENTITY_BYTES
    assert many.memory_bytes == (figures.SQLITE.peak_mb + 90) * MEGABYTE


def test_a_filter_takes_memory_for_each_row_of_a_large_sqlite_ledger_and_for_its_identities() -> None:
    large, appended = load(20_000_000, "EMAIL", "IDFA"), load(20_000_000, load_method="append-only")
    assert large.filter_bytes == 180 * MEGABYTE
    assert "180 MB of it tell new rows from known ones" in told(large)["memory"].detail
    assert load(400_000).filter_bytes == appended.filter_bytes == 0
    assert "It does not grow with the rows." in told(load(400_000))["memory"].detail


def test_the_slowest_part_decides_and_is_named() -> None:
    assert told(load(20_000_000))["run"].detail.endswith("the slowest decides, here the tap.")
    many = told(load(1_000_000, batch_size_rows=100))
    assert many["run"].detail.endswith("here Pinterest.")
    assert many["run"].value == many["Standard access"].value == pytest.approx(2_000)


def test_trial_access_is_a_warning_if_a_day_is_not_enough() -> None:
    enough, more = told(load(10_000))["Trial access"], told(load(10_000_000))["Trial access"]
    assert (enough.value, enough.warning) == (1, False)
    assert (more.value, more.warning) == (4, True)
    assert "exit code 4" in more.detail
    assert "append-only" not in more.detail
    appended = told(load(10_000_000, load_method="append-only"))["Trial access"]
    assert "each day sends the same people again. Use `upsert`." in appended.detail


def test_a_disk_that_is_too_small_is_a_warning() -> None:
    found = load(10_000_000)
    needed = found.ledger_bytes + 200 * MEGABYTE
    assert told(found, Known(free_bytes=needed))["ledger"].detail.endswith("Its disk has room for that.")
    short = told(found, Known(free_bytes=needed - 1))["ledger"]
    assert (short.warning, short.detail.endswith(f"Its disk has only {size(needed - 1)} free.")) == (True, True)


def test_prune_needs_room_of_its_own() -> None:
    assert "`prune` takes up to 104 MB more" in told(load(1_000_000, load_method="overwrite"))["ledger"].detail
    assert "prune" not in told(load(1_000_000))["ledger"].detail


def test_what_is_assumed_is_told() -> None:
    assumed = told(load(1, list_name_column="segment"), Known(assumed_types=True, assumed_lists=True))
    assert "one e-mail address in each row is assumed" in assumed["identities"].detail
    assert (assumed["lists"].warning, "--lists" in assumed["lists"].detail) == (True, True)
    assert "--" not in told(load(1))["lists"].detail + told(load(1))["identities"].detail


def test_validation_is_told_to_be_slow() -> None:
    assert told(load(1), None, validate_records=True)["target"].warning


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "under a minute"), (60, "1 minute"), (150, "2 minutes"), (5_400, "1.5 hours"), (200_000, "2.3 days")],
)
def test_durations_are_rounded(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_range_names_its_unit_once() -> None:
    assert span(120, 360) == "2 to 6 minutes"
    assert span(30, 90) == "under a minute to 2 minutes"
    assert span(60, 120) == "1 to 2 minutes"
    assert span(3_000, 9_000) == "50 minutes to 2.5 hours"
    assert span(1, 3) == "under a minute"
    assert (size(10), size(98_300_000), size(2_700_000_000)) == ("under 1 MB", "98 MB", "2.7 GB")
