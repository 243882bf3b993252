"""`load_method: overwrite` removes nobody; `pinterest-audience prune` removes whom a complete run did not name."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import Sent, Write, members
from tests.support.messages import address, deleted, digests, people, record, schema, state
from tests.support.processes import Companion, Prune, Run, Target, feed, lines, running
from tests.support.waiting import wait_until

EMAIL = schema("email")
VERSION = {"type": "ACTIVATE_VERSION", "stream": "customers", "version": 1}
ALL = frozenset(digests(range(12)))


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "load_method": "overwrite"}


def refused(run: Run, words: str) -> None:
    assert run.code == 2, run.stderr
    assert words in run.stderr
    assert "No one was removed" in run.stderr


def test_prune_removes_the_people_the_run_did_not_see_and_only_once(
    emulator: Emulator, run_target: Target, run_prune: Prune, sent: Sent
) -> None:
    run_target([EMAIL, *people(range(12))])
    run_target([EMAIL, *people(range(10)), *people([20])])
    assert members(emulator) == ALL | digests([20])
    sent()
    pruned = run_prune()
    assert pruned.code == 0, pruned.stderr
    assert sent() == [Write("REMOVE", digests([10, 11]))]
    assert "2 to remove" in pruned.stdout
    refused(run_prune(), "was pruned already")
    run_target([EMAIL, *people(range(10)), *people([20])])
    again = run_prune()
    assert (again.code, sent()) == (0, [])


def test_overwrite_alone_removes_nobody_whatever_activate_version_says(
    emulator: Emulator, run_target: Target, sent: Sent
) -> None:
    run_target([EMAIL, *people(range(12))])
    sent()
    for stream in ([VERSION, *people([1])], [*people([2]), VERSION], [VERSION, *people([3]), VERSION], people([4])):
        assert run_target([EMAIL, *stream]).code == 0
    assert sent() == []
    assert members(emulator) == ALL


def test_prune_without_a_ledger_names_the_place_of_the_ledger(run_prune: Prune, tmp_path: Path) -> None:
    refused(run_prune(), f"no ledger at {tmp_path}/ledger.db")
    assert not (tmp_path / "ledger.db").exists()


@pytest.mark.parametrize(
    ("stream", "settings", "code", "words"),
    [
        (lines([EMAIL, *people(range(6))]) + b'{"type": "RECORD", "str', {}, 8, "did not end cleanly"),
        (lines([EMAIL]), {}, 0, "was empty"),
        (b"", {}, 0, "No one was removed"),
        (lines([EMAIL, *people([20])]), {"load_method": "upsert"}, 0, "not read with `load_method: overwrite`"),
        (lines([EMAIL, *people([20])]), {"max_retries": 0}, 4, "did not end cleanly"),
        (lines([{**EMAIL, "bookmark_properties": ["at"]}, *people([1])]), {}, 0, "incremental sync"),
        (lines([EMAIL, *people([1]), state(1)]).replace(b'"at": 1', b'"customers": {"replication_key_value": 1}'), {},
         0, "incremental sync"),
    ],
    ids=["half a line", "no rows", "nothing", "upsert", "failed batch", "bookmark_properties", "STATE"],
)  # fmt: skip
def test_prune_does_not_act_after_a_run_that_was_not_clean(
    emulator: Emulator, run_target: Target, run_prune: Prune, stream: bytes, settings: dict[str, Any], code: int,
    words: str,
) -> None:  # fmt: skip
    run_target([EMAIL, *people(range(12))])
    if code == 4:
        emulator.backend.inject(Fault(method="PATCH", status=500))
    assert run_target(stream, **settings).code == code
    refused(run_prune(), words)
    assert members(emulator) >= ALL


def test_prune_does_not_act_after_a_run_that_was_terminated(
    emulator: Emulator, run_target: Target, run_prune: Prune, config: dict[str, Any], tmp_path: Path
) -> None:
    run_target([EMAIL, *people(range(12))])
    with running(config, tmp_path, batch_size_rows=5) as process:
        feed(process, [EMAIL, *people(range(20, 25))])
        wait_until(lambda: len(emulator.backend.writes()) == 2)
        process.terminate()
        assert process.wait(10) == 143
    refused(run_prune(), "did not end cleanly")
    assert members(emulator) >= ALL


def test_full_table_confirms_that_a_read_was_complete(emulator: Emulator, run_target: Target, run_prune: Prune) -> None:
    run_target([EMAIL, *people(range(12))])
    run_target([{**EMAIL, "bookmark_properties": ["at"]}, *people(range(10))])
    refused(run_prune(), "--full-table")
    assert run_prune("--full-table").code == 0
    assert members(emulator) == digests(range(10))


def test_a_position_that_a_tap_keeps_for_a_full_table_is_not_an_incremental_read(
    run_target: Target, run_prune: Prune
) -> None:
    full = json.loads('{"type": "STATE", "value": {"bookmarks": {"customers": {}, "other": {"lsn": 5}}}}')
    other = {**EMAIL, "stream": "other", "schema": {"properties": {"id": {}}}}
    run_target([EMAIL, other, *people(range(12)), full])
    assert run_prune().code == 0


def test_a_position_of_an_unknown_stream_counts_for_all_streams(run_target: Target, run_prune: Prune) -> None:
    strange = json.loads('{"type": "STATE", "value": {"bookmarks": {"public-customers": {"lsn": 5}}}}')
    run_target([EMAIL, *people(range(12)), strange])
    assert run_prune().code == 2
    assert run_prune("--full-table").code == 0


def test_bad_rows_without_a_key_are_marked_by_their_identities(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    keyless = schema("email", "consent", key=())
    rows = [record(email=address(n), consent="yes") for n in range(8)]
    run_target([keyless, *rows], consent_column="consent")
    run_target([keyless, *[record(email=address(n)) for n in range(8)]], consent_column="consent")
    assert run_prune(consent_column="consent").code == 0
    assert members(emulator) == digests(range(8))


def test_prune_ignores_a_run_of_another_configuration_on_the_same_list(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    run_target([EMAIL, *people(range(12))])
    (by_id,) = [each.id for each in emulator.backend.customer_lists()]
    run_target([EMAIL, *people(range(6))], customer_list_id=by_id)
    assert run_prune().code == 0
    assert members(emulator) == digests(range(12))


def test_pruning_one_list_keeps_the_marks_of_rows_on_another(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    first, second = {"customer_list_name": "first"}, {"customer_list_name": "second"}
    run_target([EMAIL, *people(range(12))], **first)
    run_target([EMAIL, *people(range(12))], **second)
    run_target([EMAIL, *people(range(9))], **first)
    assert run_prune(**first).code == 0
    assert run_prune(**second).code == 0
    assert (members(emulator, "first"), members(emulator, "second")) == (digests(range(9)), digests(range(12)))


def test_prune_does_not_act_on_a_run_that_had_only_deleted_rows(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    consenting = schema("email", "consent", "_sdc_deleted_at")
    rows = [record(id=n, email=address(n), consent="yes") for n in range(8)]
    run_target([consenting, *rows], consent_column="consent")
    run_target([consenting, deleted(77, consent="no")], consent_column="consent")
    assert run_prune(consent_column="consent").code == 2
    assert members(emulator) == digests(range(8))


def test_a_run_that_ended_in_the_future_is_not_acted_on(
    config: dict[str, Any], run_target: Target, run_prune: Prune
) -> None:
    run_target([EMAIL, *people(range(12))])
    with closing(sqlite3.connect(config["ledger_url"].removeprefix("sqlite:///"))) as ledger:
        ledger.execute("UPDATE runs SET ended = ended + 3600")
        ledger.commit()
    refused = run_prune()
    assert (refused.code, "in the future" in refused.stderr) == (2, True)


def test_prune_does_not_act_after_an_incremental_run(emulator: Emulator, run_target: Target, run_prune: Prune) -> None:
    run_target([EMAIL, *people(range(12))])
    run_target([{**EMAIL, "bookmark_properties": ["at"]}, *people([1])])
    run_target([EMAIL, *people(range(11))])
    assert run_prune("--missing-runs", "2").code == 0
    assert members(emulator) == ALL
    run_target([EMAIL, *people(range(11))])
    assert run_prune("--missing-runs", "2").code == 0
    assert members(emulator) == digests(range(11))


def test_missing_runs_requires_absence_from_several_consecutive_runs(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    options = ("--missing-runs", "2")
    run_target([EMAIL, *people(range(12))])
    waiting = run_prune(*options)
    assert waiting.code == 0
    assert "1 clean run so far" in waiting.stderr
    run_target([EMAIL, *people(range(11))])
    run_prune(*options)
    assert members(emulator) == ALL
    run_target([EMAIL, *people(range(10))])
    assert run_prune(*options).code == 0
    assert members(emulator) == digests(range(11))


def test_each_configuration_has_its_own_newest_run(emulator: Emulator, run_target: Target, run_prune: Prune) -> None:
    other = {"customer_list_name": "other"}
    run_target([EMAIL, *people(range(12))])
    run_target([EMAIL, *people(range(10))])
    run_target([schema("email", stream="leads"), *people([1], "leads")], **other)
    refused(run_prune(customer_list_name="third"), "has no run with these settings")
    assert run_prune().code == 0
    assert members(emulator) == digests(range(10))
    assert run_prune(**other).code == 0
    assert members(emulator, "other") == digests([1])


def test_prune_keeps_to_the_sources_and_lists_that_the_run_saw(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    leads = schema("email", stream="leads")
    settings = {"customer_list_name": "L", "streams": {"leads": {}}}
    run_target([EMAIL, *people(range(12)), leads, *people(range(10, 20), "leads")], **settings)
    run_target([EMAIL, *people(range(9))], **settings)
    assert run_prune(**settings).code == 0
    assert members(emulator, "L") == digests([*range(9), *range(10, 20)])


def test_prune_ignores_a_dry_run_and_a_dry_prune_removes_nobody(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    run_target([EMAIL, *people(range(12))])
    assert run_prune().code == 0
    run_target([EMAIL, *people(range(10))], dry_run=True)
    refused(run_prune(), "was pruned already")
    run_target([EMAIL, *people(range(10))])
    dry = run_prune(dry_run=True)
    assert (dry.code, members(emulator)) == (0, ALL)
    assert "would send 0 identities to add, 2 to remove" in dry.stdout
    for_scripts = json.loads(run_prune("--json", dry_run=True).stdout)
    assert for_scripts["dry_run"]
    assert [(each["customer_list"], each["removed"]) for each in for_scripts["lists"]] == [("customers", 2)]
    assert run_prune().code == 0
    assert members(emulator) == digests(range(10))


def test_a_run_is_too_old_after_an_hour(
    emulator: Emulator, run_target: Target, run_prune: Prune, tmp_path: Path
) -> None:
    run_target([EMAIL, *people(range(12))])
    run_target([EMAIL, *people(range(10))])
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE runs SET ended = ended - 3660")
    refused(run_prune(), "more than 60 minutes ago")
    assert run_prune("--max-age-minutes", "90").code == 0
    assert members(emulator) == digests(range(10))


def test_a_drop_by_a_third_removes_nobody_until_a_person_allows_it(
    emulator: Emulator, run_target: Target, run_prune: Prune, sent: Sent
) -> None:
    run_target([EMAIL, *people(range(60))])
    run_target([EMAIL, *people(range(40))])
    sent()
    for options in ((), ("--allow-removal-percent", "33")):
        run = run_prune(*options)
        assert (run.code, sent()) == (6, [])
        assert '20 of the 60 members of customer list "customers"' in run.stderr
    assert members(emulator) == digests(range(60))
    assert run_prune("--allow-removal-percent", "34").code == 0
    assert members(emulator) == digests(range(40))


@pytest.mark.parametrize(("gone", "code"), [(10, 0), (11, 6)])
def test_ten_people_may_always_leave(run_target: Target, run_prune: Prune, gone: int, code: int) -> None:
    run_target([EMAIL, *people(range(20))])
    run_target([EMAIL, *people(range(20 - gone))])
    assert run_prune(max_removal_percent=0).code == code


def test_rows_that_changed_in_the_run_count_towards_the_ceiling(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    run_target([EMAIL, *people(range(60))])
    run_target([EMAIL, *[record(id=n, email=address(100 + n)) for n in range(8)], *people(range(8, 55))])
    run = run_prune()
    assert run.code == 6
    assert "13 of the 60" in run.stderr
    assert members(emulator) >= digests(range(8, 60))


def test_people_whom_another_row_names_or_refuses_stay_as_they_are(
    emulator: Emulator, run_target: Target, run_prune: Prune, sent: Sent
) -> None:
    message = schema("email", "consent", "_sdc_deleted_at")
    settings = {"consent_column": "consent"}
    run_target([message, *[record(id=n, email=address(n), consent=n != 3) for n in range(5)]], **settings)
    run_target([message, record(id=9, email=address(1), consent=1), deleted(0)], **settings)
    sent()
    assert run_prune(**settings).code == 0
    assert sent() == [Write("REMOVE", digests([2, 4]))]
    run_target([message, record(id=9, email=address(3), consent=1)], **settings)
    assert members(emulator) == frozenset()


def test_an_interrupted_prune_can_be_repeated(emulator: Emulator, run_target: Target, run_prune: Prune) -> None:
    run_target([EMAIL, *people(range(60))])
    run_target([EMAIL, *people(range(48))])
    emulator.backend.inject(Fault(method="PATCH", skip=1, status=500))
    assert run_prune(batch_size_rows=5, max_retries=0).code == 4
    assert len(members(emulator)) == 55
    assert run_prune(batch_size_rows=5, max_retries=0).code == 0
    assert members(emulator) == digests(range(48))
    refused(run_prune(), "already")


def test_an_interrupted_prune_is_finished_by_the_next_run(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    run_target([EMAIL, *people(range(12))])
    run_target([EMAIL, *people(range(10))])
    emulator.backend.inject(Fault(method="PATCH", status=500))
    assert run_prune(max_retries=0).code == 4
    assert run_target([EMAIL, *people([*range(10), 11])]).code == 0
    assert members(emulator) == digests([*range(10), 11])


def test_prune_also_removes_missing_people_of_streams_without_a_key(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    message = schema("email", key=())
    run_target([message, *[record(email=address(n)) for n in range(5)]])
    run_target([message, *[record(email=address(n)) for n in range(3)]])
    assert run_prune().code == 0
    assert members(emulator) == digests(range(3))


def test_a_rejected_row_counts_as_seen(emulator: Emulator, run_target: Target, run_prune: Prune) -> None:
    message = schema("email", "consent")
    settings = {"consent_column": "consent"}
    run_target([message, *[record(id=n, email=address(n), consent=1) for n in range(3)]], **settings)
    run_target([message, record(id=0, email=address(0)), record(id=1, email=address(1), consent=1)], **settings)
    assert run_prune(**settings).code == 0
    assert members(emulator) == digests([0, 1])


@pytest.mark.parametrize("is_read", [True, False])
def test_prune_removes_a_lost_column_from_its_own_list_if_its_stream_was_read(
    emulator: Emulator, run_target: Target, run_prune: Prune, *, is_read: bool
) -> None:
    both = schema("email", "lr_id", stream="loyal")
    loyal = [record("loyal", id=n, email=address(n), lr_id=f"XY{n}") for n in range(20, 23)]
    settings = {
        "streams": {"customers": {"source_name": "crm"}, "loyal": {"source_name": "crm"}},
        "customer_list_name": "customers",
    }
    run_target([EMAIL, *people(range(12)), both, *loyal], **settings)
    assert members(emulator, "customers - LR_ID") == {"XY20", "XY21", "XY22"}
    again = [schema("email", stream="loyal"), *people(range(20, 23), "loyal")] if is_read else []
    run_target([EMAIL, *people(range(12)), *again], **settings)
    pruned = run_prune("--allow-removal-percent", "100", **settings)
    assert pruned.code == 0, pruned.stderr
    assert members(emulator, "customers - LR_ID") == (set() if is_read else {"XY20", "XY21", "XY22"})


def test_prune_keeps_the_list_of_a_stream_that_was_not_read(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    settings = {
        "streams": {
            "customers": {"source_name": "crm", "customer_list_name": "customers"},
            "loyal": {"source_name": "crm", "customer_list_name": "loyal"},
        }
    }
    run_target(
        [EMAIL, *people(range(12)), schema("email", stream="loyal"), *people(range(20, 23), "loyal")], **settings
    )
    run_target([EMAIL, *people(range(12))], **settings)
    assert run_prune("--allow-removal-percent", "100", **settings).code == 0
    assert members(emulator, "loyal") == digests(range(20, 23))


def test_prune_requires_overwrite_of_all_streams_of_a_source(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    settings = {
        "customer_list_name": "L",
        "source_name": "S",
        "streams": {"slow": {"load_method": "upsert"}, "fast": {}},
    }
    schemas = [schema("email", stream=name) for name in ("slow", "fast")]
    run_target([*schemas, *people([1, 2], "slow"), *people([3, 4], "fast")], **settings)
    run_target([*schemas, *people([1], "slow"), *people([3], "fast")], **settings)
    refused(run_prune(**settings), "not read with `load_method: overwrite`")
    assert members(emulator, "L") == digests([1, 2, 3, 4])


def test_prune_fails_if_pinterest_refuses_and_the_next_run_tries_again(
    emulator: Emulator, run_target: Target, run_prune: Prune, run_companion: Companion
) -> None:
    settings = {"max_removal_percent": 100}
    run_target([EMAIL, *people(range(12))], **settings)
    run_target([EMAIL, *people(range(2))], **settings)
    emulator.backend.inject(Fault(method="PATCH", status=400, times=None))
    failed = run_prune(**settings)
    assert failed.code == 5, failed.stderr
    assert "No part of the batch counts as delivered" in failed.stderr
    told = json.loads(run_companion("report", "--json", **settings).stdout)
    assert [(run["command"], run["exit_code"]) for run in told["runs"][-1:]] == [("prune", 5)]
    emulator.backend.clear_faults()
    assert run_target([EMAIL, *people(range(2))], **settings).code == 0
    assert members(emulator) == digests(range(2))
