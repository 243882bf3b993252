"""Which STATEs show that a tap read only what is new. The bookmarks are those of real taps."""

from __future__ import annotations

import json

import pytest

from target_pinterest_audience.run.incremental import UNKNOWN, incremental_streams


def streams(bookmarks: str) -> list[str]:
    return sorted(incremental_streams({"bookmarks": json.loads(bookmarks)}))


@pytest.mark.parametrize(
    "bookmark",
    [
        # meltanolabs tap-postgres, FULL_TABLE
        "{}",
        # pipelinewise taps, FULL_TABLE, done and under way
        '{"last_replication_method": "FULL_TABLE", "version": 1767225600000, "xmin": null}',
        '{"last_replication_method": "FULL_TABLE", "version": 1767225600000, "xmin": "745"}',
        '{"version": 1767225600000, "initial_full_table_complete": true}',
        # the method under its shorter name
        '{"replication_method": "FULL_TABLE", "version": 1767225600000, "xmin": "745"}',
        # the SDK, with a replication key that had no value yet
        '{"replication_key": "updated_at", "starting_replication_value": null}',
        '{"replication_key": null, "replication_key_value": null}',
        "null",
    ],
)
def test_a_full_table_has_no_position(bookmark: str) -> None:
    assert streams(f'{{"public-small": {bookmark}}}') == []


@pytest.mark.parametrize(
    "bookmark",
    [
        # meltanolabs tap-postgres, INCREMENTAL, under way and done
        (
            '{"replication_key_signpost": "2026-11-21T21:19:23.507000+00:00", "starting_replication_value": null, '
            '"replication_key": "updated_at", "replication_key_value": "2026-01-01T05:33:20.000000+00:00"}'
        ),
        '{"replication_key": "updated_at", "replication_key_value": "2026-01-01T05:33:20.000000+00:00"}',
        # and LOG_BASED
        '{"replication_key": null, "replication_key_value": 64890616}',
        # pipelinewise taps
        '{"last_replication_method": "INCREMENTAL", "replication_key": "id", "version": 1, "replication_key_value": 0}',
        '{"last_replication_method": "LOG_BASED", "lsn": 108197216, "version": 1767225600000, "xmin": null}',
        '{"log_file": "mysql-bin.000003", "log_pos": 3244, "version": 1}',
        # taps that write the position itself
        '{"updated_at": "2026-01-01T00:00:00Z"}',
        '"2026-01-01T00:00:00Z"',
        "1767225600",
        # partitions of the SDK
        '{"partitions": [{"context": {"shop": 1}, "replication_key": "at", "replication_key_value": "2026"}]}',
        # of which one has rows
        (
            '{"partitions": [{"context": {"shop": 1}}, '
            '{"context": {"shop": 2}, "replication_key": "at", "replication_key_value": "2026"}]}'
        ),
    ],
)
def test_a_position_shows_an_incremental_read(bookmark: str) -> None:
    assert streams(f'{{"public-small": {bookmark}, "other": {{}}}}') == ["public-small"]


@pytest.mark.parametrize(
    "state", ["{}", "[]", "null", '{"bookmarks": []}', '{"bookmarks": null}', '{"currently_syncing": "customers"}']
)
def test_an_empty_state_shows_nothing(state: str) -> None:
    assert list(incremental_streams(json.loads(state))) == []


@pytest.mark.parametrize(
    "state",
    [
        '{"customers": "2026-01-01"}', '{"customers": {"updated_at": "2026-01-01"}}', "1", '"x"',
        '{"value": {"bookmarks": {"customers": {}}}}', '{"bookmarks": [{"stream": "customers", "version": 3}]}',
    ],
)  # fmt: skip
def test_a_position_of_an_unknown_stream_counts_for_any(state: str) -> None:
    assert list(incremental_streams(json.loads(state))) == [UNKNOWN]
