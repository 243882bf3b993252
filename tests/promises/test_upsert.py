"""`load_method: upsert`, the default: what is sent is the difference to what rows said before."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import Sent, Write, members
from tests.support.messages import address, deleted, digests, people, record, schema, sha256, state
from tests.support.processes import Target

IDFA = "EA7583CD-B890-48BC-8F00-0123456789AB"
ZERO = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "load_method"}


def added(*identities: str) -> Write:
    return Write("ADD", frozenset(identities))


def removed(*identities: str) -> Write:
    return Write("REMOVE", frozenset(identities))


def test_only_what_changed_is_sent(emulator: Emulator, run_target: Target, sent: Sent) -> None:
    rows = people(range(3000))
    assert run_target([schema("email"), *rows, state(1)]).code == 0
    assert sent() == [Write("ADD", digests(range(3000)))]
    again = run_target([schema("email"), *reversed(rows), state(2)])
    assert sent() == []
    assert again.states == [state(2)["value"]]
    assert "3,000 values (3,000 unchanged)" in again.stderr
    rows[7] = record(id=7, email="new@example.com")
    assert run_target([schema("email"), *rows]).code == 0
    assert sent() == [removed(sha256(address(7))), added(sha256("new@example.com"))]
    assert members(emulator) == digests(range(3000)) - digests([7]) | {sha256("new@example.com")}


def test_a_value_that_changes_is_replaced_in_its_own_list_only(run_target: Target, sent: Sent) -> None:
    message = schema("email", "idfa", "lr_id", "dlx_id")
    row: dict[str, Any] = {"id": 1, "email": address(1), "idfa": IDFA, "lr_id": "XY99", "dlx_id": "D7"}
    run_target([message, record(**row)])
    assert sent() == [added(sha256(address(1)), sha256(IDFA)), added("XY99"), added("D7")]
    run_target([message, record(**row, note="x")])
    assert sent() == []
    run_target([message, record(**{**row, "lr_id": "XY100"})])
    assert sent() == [removed("XY99"), added("XY100")]


def test_two_columns_with_one_address_keep_it_until_both_change(run_target: Target, sent: Sent) -> None:
    message = schema("email", "email_address")
    for email, other in [(address(1), address(1)), (address(2), address(1)), (address(2), address(2))]:
        run_target([message, record(id=1, email=email, email_address=other)])
    assert sent() == [added(*digests([1])), added(*digests([2])), removed(*digests([1]))]


def test_one_list_per_type_keeps_each_list_in_step(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "idfa", "_sdc_deleted_at")
    rows = [record(id=1, email=address(1), idfa=IDFA), record(id=2, email=address(2), idfa=None)]
    run_target([message, *rows], one_list_per_type=True)
    run_target([message, record(id=1, email=address(3), idfa=None), deleted(2)], one_list_per_type=True)
    assert members(emulator, "customers - EMAIL") == digests([3])
    assert members(emulator, "customers - IDFA") == frozenset()


def test_without_a_key_each_identity_is_its_own_row(emulator: Emulator, run_target: Target, sent: Sent) -> None:
    message = schema("email", "idfa", "_sdc_deleted_at", key=())
    run_target([message, record(email=address(1), idfa=IDFA), record(email=address(2))])
    sent()
    run_target([message, record(email=address(1), idfa=None), record(email=address(3), idfa=IDFA)])
    assert sent() == [added(*digests([3]))]
    run_target([message, record(email=address(2), _sdc_deleted_at="2026")])
    assert sent() == [removed(*digests([2]))]
    assert members(emulator) == digests([1, 3]) | {sha256(IDFA)}


def test_an_identity_that_no_row_names_any_more_leaves(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "idfa")
    ids = [sha256(IDFA[:-1] + str(n)) for n in range(6)]
    run_target([message, *[record(id=n, email=address(n), idfa=IDFA[:-1] + str(n)) for n in range(6)]])
    assert members(emulator) == digests(range(6)) | frozenset(ids)
    rows = [
        record(id=0, email=None, idfa=IDFA[:-1] + "0"),
        record(id=1, email=" \u200b", idfa=IDFA[:-1] + "1"),
        record(id=2, email="no address", idfa=IDFA[:-1] + "2"),
        record(id=3, email=address(3), idfa=ZERO),
        record(id=4, email=["x"], idfa=None),
        record(id=5, email=address(5), idfa="0" * 32),
    ]
    run = run_target([message, *rows], max_removal_percent=100)
    assert run.code == 0
    assert members(emulator) == digests([3, 5]) | frozenset(ids[:3])
    assert "2 rejected" in run.stderr


def test_a_column_that_a_record_lacks_keeps_its_statement(emulator: Emulator, run_target: Target, sent: Sent) -> None:
    message = schema("email", "idfa")
    run_target([message, record(id=1, email=address(1), idfa=IDFA)])
    sent()
    run_target([message, record(id=1), record(id=2)])
    assert sent() == []
    run_target([message, record(id=1, email=address(2))])
    assert members(emulator) == digests([2]) | {sha256(IDFA)}


def test_a_column_that_a_schema_loses_keeps_its_statements(emulator: Emulator, run_target: Target) -> None:
    run_target([schema("email", "idfa"), record(id=1, email=address(1), idfa=IDFA)])
    run_target([schema("email"), record(id=1, email=address(2))])
    assert members(emulator) == digests([2]) | {sha256(IDFA)}


def test_a_renamed_column_of_the_same_type_replaces_the_old_one(emulator: Emulator, run_target: Target) -> None:
    run_target([schema("email", "idfa"), record(id=1, email=address(1), idfa=IDFA), record(id=2, email=address(2))])
    run_target([schema("email_address"), record(id=1, email_address=address(3)), record(id=2, email_address=None)])
    assert members(emulator) == digests([3]) | {sha256(IDFA)}


def test_only_the_last_event_of_a_row_counts(emulator: Emulator, run_target: Target) -> None:
    """Every sequence of up to three events: in one run for some rows, in a run of its own each for others."""
    sequences = [s for length in (1, 2, 3) for s in itertools.product("abd", repeat=length)]

    def event(kind: str, row: int) -> dict[str, Any]:
        return deleted(row) if kind == "d" else record(id=row, email=f"{kind}{row}@example.com")

    message = schema("email", "_sdc_deleted_at")
    for turn in range(3):
        run = run_target([
            message,
            *([event(kind, row) for row, events in enumerate(sequences) for kind in events] if turn == 0 else []),
            *[event(events[turn], 1000 + row) for row, events in enumerate(sequences) if turn < len(events)],
        ], max_removal_percent=100)  # fmt: skip
        assert run.code == 0
        assert "do not add up" not in run.stderr
    expected = {
        sha256(f"{events[-1]}{number}@example.com")
        for row, events in enumerate(sequences)
        for number in (row, 1000 + row)
        if events[-1] != "d"
    }
    assert members(emulator) == expected


def test_the_order_of_different_rows_never_matters(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "_sdc_deleted_at")
    rows = [record(id=1, email=address(1)), deleted(2, email=address(1)), record(id=3, email=address(3))]
    for order in (rows, rows[::-1]):
        run_target([message, record(id=2, email=address(1)), record(id=3, email=address(4))])
        run_target([message, *order])
        assert members(emulator) == digests([1, 3])


def test_the_statements_of_a_row_survive_a_change_of_schema_in_the_stream(
    emulator: Emulator, run_target: Target
) -> None:
    stream = [
        schema("email", "idfa"), record(id=1, email=address(1), idfa=IDFA), record(id=2, email=address(2), idfa=None),
        schema("email"), record(id=1, email=address(3)), record(id=4, email=address(4)),
        schema("idfa", "_sdc_deleted_at"), deleted(2), record(id=4, idfa=None),
    ]  # fmt: skip
    for _ in range(2):
        assert run_target(stream).code == 0
        assert members(emulator) == digests([3, 4]) | {sha256(IDFA)}


def test_rows_of_two_streams_on_one_list_are_distinguished_by_the_stream(
    emulator: Emulator, run_target: Target
) -> None:
    schemas = [schema("email", stream=name) for name in ("customers", "leads")]
    settings = {"customer_list_name": "L", "streams": {"leads": {}}}
    run_target([*schemas, *people([1]), record("leads", id=1, email=address(2))], **settings)
    assert members(emulator, "L") == digests([1, 2])
    run_target([*schemas, record(id=1, email=address(3)), *people([1], "leads")], **settings)
    assert members(emulator, "L") == digests([1, 3])


def test_streams_of_one_source_share_their_rows(emulator: Emulator, run_target: Target) -> None:
    schemas = [schema("email", stream=name) for name in ("customers", "leads")]
    names = {"customer_list_name": "L", "source_name": "people", "streams": {"leads": {}}}
    run_target([*schemas, *people([1]), record("leads", id=1, email=address(2))], **names)
    assert members(emulator, "L") == digests([2])


@pytest.mark.parametrize("key", [(), ("id", "email")])
def test_rows_with_another_key_are_refused(
    emulator: Emulator, run_target: Target, sent: Sent, key: tuple[str, ...]
) -> None:
    run_target([schema("email"), *people([1])])
    sent()
    run = run_target([schema("email", key=key), *people([2]), state(1)])
    assert (run.code, run.states, sent()) == (2, [], [])
    assert "another `source_name`" in run.stderr
    assert run_target([schema("email", key=key), *people([2])], source_name="again").code == 0
    assert members(emulator) == digests([1, 2])


def test_keys_may_arrive_in_another_order_and_form(run_target: Target, sent: Sent) -> None:
    message = schema("email", "at", key=("id", "at"))
    message["schema"]["properties"]["at"] = {"type": "string", "format": "date-time"}
    run_target([message, record(id=1, at="2026-01-01T00:00:01.000000+00:00", email=address(1))])
    sent()
    message["key_properties"] = ["at", "id"]
    run_target([message, record(id=1.0, at="2026-01-01 00:00:01+00", email=address(2))])
    assert sent() == [removed(*digests([1])), added(*digests([2]))]


def test_huge_numbers_in_keys_cost_nothing(emulator: Emulator, run_target: Target) -> None:
    keys = [
        "1" + 4000 * "0",
        "1e5000",
        "1e400000000",
        "-1e-400000000",
        "Infinity",
        '["\\ud800"]',
        '{"a": [1.0]}',
    ]
    rows = [json.dumps(record(id="KEY", email=address(n))).replace('"KEY"', key) for n, key in enumerate(keys)]
    run = run_target("\n".join([json.dumps(schema("email")), *rows]))
    assert run.code == 0, run.stderr[-600:]
    assert members(emulator) == digests(range(len(keys)))


def test_append_only_refuses_a_list_that_the_ledger_knows(run_target: Target, sent: Sent) -> None:
    run_target([schema("email"), *people([1])])
    sent()
    run = run_target([schema("email"), *people([2]), state(1)], load_method="append-only")
    assert (run.code, run.states, sent()) == (2, [], [])
    assert "append-only" in run.stderr


def test_append_only_warns_if_a_deleted_row_names_nobody(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "_sdc_deleted_at")
    gone = [record(id=n, _sdc_deleted_at="2026-11-30") for n in range(2)]
    run = run_target([message, *people(range(3)), *gone], load_method="append-only")
    assert run.code == 0
    assert run.stderr.count("a deleted row names nobody") == 1
    assert members(emulator) == digests(range(3))


def test_append_only_never_adds_deleted_or_refusing_people(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "consent", "_sdc_deleted_at")
    settings = {"load_method": "append-only", "consent_column": "consent"}
    run_target([message, *[record(id=n, email=address(n), consent="yes") for n in range(5)]], **settings)
    rows = [
        record(id=1, email=address(1), consent="no"), record(id=2, email=address(2), consent=None),
        deleted(3, email=address(3)), record(id=5, email=address(5)), record(id=6, email=address(6), consent="yes"),
    ]  # fmt: skip
    run = run_target([message, *rows], **settings)
    assert run.code == 0
    assert members(emulator) == digests([0, 4, 6])
    assert "1 rejected" in run.stderr


@pytest.mark.parametrize(("when", "now"), [("after", "changed"), ("after", "deleted"), ("before", "the same")])
def test_a_row_that_changed_after_an_unclear_request_leaves_nobody_behind(
    emulator: Emulator, run_target: Target, when: Any, now: str
) -> None:
    message = schema("email", "_sdc_deleted_at")
    run_target([message, *people([0])])
    emulator.backend.inject(Fault(method="PATCH", when=when, status=500, times=None))
    run = run_target([message, *people([0, 1]), state(1)], max_retries=0)
    assert (run.code, run.states) == (4, [])
    emulator.backend.clear_faults()
    rows = {"changed": [record(id=1, email=address(2))], "deleted": [deleted(1)], "the same": people([1])}[now]
    assert run_target([message, *rows]).code == 0
    assert members(emulator) == digests({"changed": [0, 2], "deleted": [0], "the same": [0, 1]}[now])


def test_an_unanswered_removal_is_repeated(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "_sdc_deleted_at")
    run_target([message, *people([0, 1])])
    emulator.backend.inject(Fault(method="PATCH", status=500))
    assert run_target([message, deleted(1)], max_retries=0).code == 4
    assert members(emulator) == digests([0, 1])
    assert run_target([message]).code == 0
    assert members(emulator) == digests([0])


def test_the_ledger_and_the_log_hold_nothing_plain(emulator: Emulator, run_target: Target, tmp_path: Path) -> None:
    message = schema("code", "email", "idfa", "_sdc_deleted_at", key=("code",))
    rows = [record(code=f"secret-key-{n}", email=address(n), idfa=IDFA) for n in range(50)]
    emulator.backend.inject(Fault(method="POST", path="/customer_lists$", skip=1, status=500))
    run = run_target([message, *rows, record(code="secret-key-50", email="person50 at home"), state(1)])
    run_target([message, *rows[:9], record(code="secret-key-9", email=address(99)), record(code="secret-key-1")])
    files = [path for path in tmp_path.rglob("ledger*") if path.is_file()]
    assert files
    kept = b"".join(path.read_bytes() for path in files) + run.stderr.encode() + run.stdout.encode()
    for plain in (b"person", b"example.com", b"secret-key", IDFA.encode(), IDFA.lower().encode()):
        assert plain not in kept
    assert bytes.fromhex(sha256(address(1))) in kept
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
