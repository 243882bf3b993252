"""Bad rows, told so that a person can act on them, and what a run does about too many."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.run.refusals import Refusals
from tests.support.account import Sent, members
from tests.support.messages import address, deleted, digests, people, record, schema, sha256, state
from tests.support.processes import Target, feed, running
from tests.support.waiting import wait_until

METHODS = pytest.mark.parametrize("load_method", ["append-only", "upsert"])


def rejects(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@METHODS
@pytest.mark.parametrize("number", [3, 1234])
def test_one_refused_row_costs_one_row(
    emulator: Emulator, run_target: Target, tmp_path: Path, load_method: str, number: int
) -> None:
    poisoned = sha256(address(number))
    emulator.backend.inject(Fault(record_pattern=poisoned, status=400, body={"code": 1, "message": "no"}, times=None))
    path = tmp_path / "rejects.jsonl"
    run = run_target(
        [schema("email"), *people(range(2500)), state(1)],
        batch_size_rows=1000, rejects_path=str(path), load_method=load_method,
    )  # fmt: skip
    assert run.code == 0, run.stderr
    assert run.states == [state(1)["value"]]
    assert members(emulator) == digests(range(2500)) - {poisoned}
    assert len([call for call in emulator.backend.calls if call.method != "GET"]) <= 26
    assert rejects(path) == [
        {
            "stream": "customers", "line": number + 2, "file_row": None, "column": "email", "type": "EMAIL",
            "reason": "refused by Pinterest, although its form is correct", "row": None,
        }
    ]  # fmt: skip
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "2,500 values (2,499 to add, 1 rejected)" in run.stderr
    assert "refused by Pinterest: 1" in run.stderr
    assert poisoned not in run.stderr + path.read_text()


@METHODS
def test_a_refused_row_in_the_first_batch_does_not_prevent_the_list(
    emulator: Emulator, run_target: Target, load_method: str
) -> None:
    emulator.backend.inject(Fault(record_pattern=sha256(address(0)), status=400, times=None))
    run = run_target([schema("email"), *people(range(8)), state(1)], load_method=load_method)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests(range(1, 8))


def test_a_refused_identity_is_sent_again_by_the_next_run(emulator: Emulator, run_target: Target, sent: Sent) -> None:
    poisoned = {sha256(address(1)), sha256(address(5))}
    stream = [schema("email"), *people(range(8)), state(1)]
    emulator.backend.inject(Fault(record_pattern="|".join(poisoned), status=400, times=None))
    for _ in range(2):
        run = run_target(stream, load_method="upsert")
        assert run.code == 0, run.stderr
        assert run.states == [state(1)["value"]]
        assert "refused by Pinterest: 2" in run.stderr
    emulator.backend.clear_faults()
    sent()
    assert run_target(stream, load_method="upsert").code == 0
    assert [write.identities for write in sent()] == [poisoned]
    assert run_target(stream, load_method="upsert").code == 0
    assert sent() == []
    assert members(emulator) == digests(range(8))


def test_a_list_that_refuses_everything_fails_the_run_and_holds_the_state_back(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    made = emulator.backend.create_list("customers")
    emulator.backend.inject(Fault(method="PATCH", status=400, times=None))
    run = run_target([schema("email"), *people(range(300)), state(1)], rejects_path=str(tmp_path / "r"))
    assert run.code == 5
    assert run.states == []
    assert emulator.backend.members(made.id) == frozenset()
    assert "bad rows cannot be the cause" in run.stderr
    assert rejects(tmp_path / "r") == []


def test_a_request_that_is_too_big_is_not_a_bad_row(emulator: Emulator, run_target: Target) -> None:
    emulator.backend.create_list("customers")
    emulator.backend.inject(Fault(method="PATCH", more_records_than=40, status=413, body="too big", times=None))
    run = run_target([schema("email"), *people(range(300)), state(1)], batch_size_rows=100)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests(range(300))
    assert run.stderr.count("refuses requests of more than about") == 1
    assert "rejected" not in run.stderr


def test_an_answer_with_exceptions_is_a_refused_batch(emulator: Emulator, run_target: Target) -> None:
    made = emulator.backend.create_list("customers")
    answer = {
        "id": made.id, "name": "customers", "exceptions": {"code": 2, "message": "no"}, "ad_account_id": "1",
    }  # fmt: skip
    emulator.backend.inject(
        Fault(method="PATCH", record_pattern=sha256(address(7)), status=200, body=answer, times=None)
    )
    run = run_target([schema("email"), *people(range(20)), state(1)])
    assert run.code == 0, run.stderr
    assert members(emulator) == digests(range(20)) - {sha256(address(7))}


def test_bad_values_are_reported_with_their_line_and_row_digest(run_target: Target, tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    rows = [record(id=n, email="nobody at all" if n in {3, 50} else address(n)) for n in range(100)]
    stream = [schema("email"), *rows, record(id=None, email=address(1)), record(id=200, email=7)]
    for load_method, known in (("append-only", False), ("upsert", True)):
        run = run_target(stream, load_method=load_method, rejects_path=str(path), customer_list_name=load_method)
        assert run.code == 0, run.stderr
        found = rejects(path)
        assert [(each["line"], each["reason"].split(":")[0]) for each in found] == [
            (5, "not an e-mail address"), (52, "not an e-mail address"),
            (102, "in a row whose key property is null, so that it cannot be distinguished from other rows"),
            (103, "not text"),
        ]  # fmt: skip
        rows_known = [each["row"] is not None for each in found]
        assert rows_known == [known, known, False, known]
        assert "nobody at all" not in path.read_text() + run.stderr


@METHODS
def test_bad_records_fail_ends_the_run_at_the_first(emulator: Emulator, run_target: Target, load_method: str) -> None:
    stream = [schema("email"), *people(range(5)), state(1), *people(range(5, 8)), record(id=9, email="no address")]
    run = run_target([*stream, *people(range(10, 20)), state(2)], bad_records="fail", load_method=load_method)
    assert run.code == 5
    assert "Bad record on line 11 of the stream, stream customers, column email: not an e-mail address" in run.stderr
    assert run.states == [state(1)["value"]]
    assert members(emulator) == digests(range(8))


def test_bad_records_fail_applies_to_refused_identities_and_no_state_is_early(
    emulator: Emulator, run_target: Target
) -> None:
    emulator.backend.create_list("a")
    emulator.backend.inject(Fault(record_pattern=sha256(address(3)), status=400, times=None))
    streams = [schema("email", stream="a"), schema("email", stream="b")]
    rows = [*people(range(100, 120), "a"), state(1), *people(range(8), "b"), state(2)]
    for load_method in ("append-only", "upsert"):
        run = run_target(
            [*streams, *rows], bad_records="fail", load_method=load_method, batch_size_rows=8,
            streams={name: {"customer_list_name": f"{name} {load_method}"} for name in "ab"},
        )  # fmt: skip
        assert run.code == 5
        assert "refused by Pinterest" in run.stderr
        assert members(emulator, f"a {load_method}") == digests(range(100, 120))
        assert members(emulator, f"b {load_method}") == digests(range(8)) - {sha256(address(3))}


def test_too_many_rejects_fail_the_run_after_it_delivered_the_good_rows(
    emulator: Emulator, run_target: Target, sent: Sent
) -> None:
    stream = [schema("email"), *people(range(8)), *[record(id=n, email="x") for n in range(8, 10)], state(1)]
    assert run_target(stream, max_rejected_percent=20).code == 0
    sent()
    run = run_target(stream, max_rejected_percent=19, customer_list_name="other")
    assert run.code == 5
    assert "2 of 10 values were rejected: more than 19 %" in run.stderr
    assert run.states == [state(1)["value"]]
    assert members(emulator, "other") == digests(range(8))


def test_an_unwritable_rejects_file_is_an_error_before_anything_is_sent(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    run = run_target([schema("email"), *people([1])], rejects_path=str(tmp_path / "file" / "rejects"))
    assert run.code == 2
    assert "`rejects_path`" in run.stderr
    assert emulator.backend.calls == []


def test_the_stream_of_a_line_is_known_until_nothing_waits_for_it() -> None:
    a, b, c = Mock(), Mock(), Mock()
    lines = Refusals()
    lines.note_rows(1, 10, a)
    lines.note_rows(5, 1, a)
    lines.note_rows(11, 1, b)
    lines.note_rows(11, 1, c)
    lines.note_rows(12, 1, b)
    assert [list(lines.owners_of(line)) for line in (1, 10, 11, 12, 13, 0)] == [[a], [a], [c, b], [b], [], []]
    lines.forget_before(12)
    assert [list(lines.owners_of(line)) for line in (10, 11, 12)] == [[], [], [b]]
    lines.forget_before(100)
    assert list(lines.owners_of(12)) == [b]


def test_a_refused_row_is_reported_though_its_list_was_first_known_from_former_runs(
    emulator: Emulator, config: dict[str, Any], run_target: Target, tmp_path: Path
) -> None:
    narrow, wide = schema("email"), schema("email", "lr_id")
    assert run_target([wide, record(id=1, email=address(1), lr_id="XY1")], load_method="upsert").code == 0
    emulator.backend.inject(Fault(record_pattern="^XY2$", status=400, times=None))
    path = tmp_path / "rejects.jsonl"
    with running(config, tmp_path, load_method="upsert", rejects_path=str(path), batch_size_rows=1) as process:
        # The window that holds the delete is looked up, and finds the list by what the ledger knows.
        feed(process, [narrow, deleted(1)])
        wait_until(lambda: members(emulator, "customers - LR_ID") == set())
        feed(process, [wide, record(id=2, lr_id="XY2"), record(id=3, lr_id="XY3")])
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr
    assert members(emulator, "customers - LR_ID") == {"XY3"}
    assert [(each["line"], each["column"]) for each in rejects(path)] == [(4, "lr_id")]


def test_what_the_last_run_rejected_is_no_warning_again(run_target: Target) -> None:
    def levels(*bad: str, code: int = 0, **settings: Any) -> list[str]:
        rows = [record(id=100 + n, email=each) for n, each in enumerate(bad)]
        run = run_target([schema("email"), *people(range(9)), *rows], load_method="upsert", **settings)
        assert run.code == code, run.stderr
        return [line.split(" | ")[1].strip() for line in run.stderr.splitlines() if "customers: rejected: " in line]

    assert levels("x", "x") == ["WARNING"]
    assert levels("x", "x") == ["INFO"]
    assert levels("x") == ["INFO"]
    assert levels("x", "x") == ["WARNING"]
    assert levels("x", "x", "x", max_rejected_percent=1, code=5) == ["WARNING"]
    # The failed run does not count, and other settings that choose a list have a history of their own.
    assert levels("x", "x", "x") == ["WARNING"]
    assert levels("x", "x", "x", customer_list_name="Other") == ["WARNING"]
    assert levels("x", "x", "x") == ["INFO"]
    assert levels() == []
    assert levels("x") == ["WARNING"]
