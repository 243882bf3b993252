"""Identities that Pinterest refuses in several runs: none is lost, each is noted once, and requests stay few."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import members
from tests.support.messages import address, digests, people, record, schema, sha256, state
from tests.support.processes import Run, Target

EMAIL: Final = schema("email")
PHONE: Final = schema("phone")
BOUNDED: Final = 40
"""More requests than a run needs to find out that Pinterest refuses everything."""


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "load_method": "upsert"}


def refuse(emulator: Emulator, **which: Any) -> None:
    emulator.backend.inject(Fault(status=400, times=None, **which))


def phones(numbers: range) -> list[dict[str, Any]]:
    return [record(id=n, phone=f"+49 30 1234{n:05d}") for n in numbers]


def changes(emulator: Emulator) -> int:
    """How many requests were to change a list, whether Pinterest accepted them or not."""
    return sum("records" in (call.request or {}) or "records_v2" in (call.request or {}) for call in calls(emulator))


def calls(emulator: Emulator) -> list[Any]:
    return list(emulator.backend.calls)


def noted(folder: Path) -> list[bytes]:
    """All identities in the ledger's notes, except those that only wait to be sent once more."""
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        rows = connection.execute("SELECT identities FROM unsettled WHERE COALESCE(due, 0) <= 0").fetchall()
    return [identity for (identities,) in rows for identity in msgspec.msgpack.decode(identities, type=list[bytes])]


def bad(*numbers: int) -> str:
    return "|".join(sha256(address(n)) for n in numbers)


def assert_refused_as_a_whole(run: Run) -> None:
    assert run.code == 5, run.stderr
    assert run.states == []
    assert "Pinterest refused PATCH" in run.stderr.splitlines()[-1]


@pytest.mark.parametrize("count", [2, 60, 100])
def test_a_refused_batch_is_refused_as_a_whole_in_every_run(
    emulator: Emulator, run_target: Target, tmp_path: Path, count: int
) -> None:
    assert run_target([EMAIL, *people(range(50))]).code == 0
    refuse(emulator, method="PATCH", path="customer_lists")
    stream = [EMAIL, *people(range(50, 50 + count)), state(1)]
    for _ in range(3):
        before = changes(emulator)
        assert_refused_as_a_whole(run_target(stream))
        assert changes(emulator) - before < BOUNDED
        assert len(noted(tmp_path)) == count
    emulator.backend.clear_faults()
    assert run_target(stream).code == 0
    assert members(emulator) == digests(range(50 + count))


def test_identities_that_are_bad_themselves_hold_up_nobody_in_later_runs(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    """They accumulate from run to run, until there are more than a batch may have."""
    assert run_target([EMAIL, *people(range(100))]).code == 0
    numbers = [1000 * n + n % 7 for n in range(1, 25)]
    refuse(emulator, record_pattern=bad(*numbers))
    for start in range(0, 24, 8):
        some = numbers[start : start + 8]
        good = range(200 + 20 * start, 220 + 20 * start)
        run = run_target([EMAIL, *people(good), *people(some), state(start)])
        assert run.code == 0, run.stderr
        assert run.states == [state(start)["value"]]
        assert digests(good) <= members(emulator)
    assert len(noted(tmp_path)) == 24
    # A run that ends with an error before it has sent them does not make them look like new ones.
    emulator.backend.inject(Fault(method="PATCH", status=503, times=None))
    assert run_target([EMAIL, *people(range(900, 905))], max_retries=0).code == 4
    emulator.backend.clear_faults()
    refuse(emulator, record_pattern=bad(*numbers))
    before = changes(emulator)
    run = run_target([EMAIL, *people(range(905, 910)), state(9)])
    assert run.code == 0, run.stderr
    assert "refused by Pinterest: 24" in run.stderr
    assert changes(emulator) - before < 2 * BOUNDED
    assert sorted(set(noted(tmp_path))) == sorted(noted(tmp_path))
    emulator.backend.clear_faults()
    assert run_target([EMAIL]).code == 0
    assert members(emulator) >= digests([*numbers, *range(900, 910)])


@pytest.mark.parametrize("settings", [{}, {"one_list_per_type": True}], ids=["phones alone", "a list for each type"])
def test_phones_are_noted_once_while_they_cannot_create_their_list(
    emulator: Emulator, run_target: Target, tmp_path: Path, settings: dict[str, Any]
) -> None:
    refuse(emulator, field="records_v2")
    stream = [PHONE, *phones(range(300)), state(1)]
    for _ in range(3):
        before = changes(emulator)
        run = run_target(stream, batch_size_rows=100, **settings)
        assert run.code == 5
        assert "tries 300 phone numbers again" in run.stderr
        assert "Looking for it again" not in run.stderr
        assert changes(emulator) - before < 10
        assert len(noted(tmp_path)) == 300
    emulator.backend.clear_faults()
    before = changes(emulator)
    assert run_target(stream, batch_size_rows=100, **settings).code == 0
    assert changes(emulator) - before == 3
    assert noted(tmp_path) == []


def test_a_list_that_pinterest_clearly_refuses_to_create_is_not_looked_for(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    refuse(emulator, method="POST", path="customer_lists$")
    stream = [EMAIL, *people(range(300)), state(1)]
    for _ in range(3):
        before = changes(emulator)
        run = run_target(stream, batch_size_rows=100)
        assert run.code == 5
        assert run.states == []
        assert "Pinterest did not create" in run.stderr.splitlines()[-1]
        assert "Looking for it again" not in run.stderr
        assert changes(emulator) - before < BOUNDED
        assert len(noted(tmp_path)) == 300
    emulator.backend.clear_faults()
    assert run_target(stream, batch_size_rows=100).code == 0
    assert members(emulator) == digests(range(300))


def test_a_list_is_looked_for_as_long_as_one_request_to_create_it_has_no_answer(
    emulator: Emulator, run_target: Target
) -> None:
    emulator.backend.inject(Fault(method="POST", path="customer_lists$", status=500, times=None))
    settings = {"max_retries": 0, "max_backoff_ms": 1}
    assert run_target([EMAIL, *people(range(3))], **settings).code == 4
    emulator.backend.clear_faults()
    refuse(emulator, method="POST", path="customer_lists$")
    for _ in range(2):
        run = run_target([EMAIL, *people(range(3))], **settings)
        assert run.code == 5
        assert "Looking for it again" in run.stderr


def test_what_was_noted_twice_by_a_run_that_died_is_noted_and_sent_once(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    """A run that dies between noting what Pinterest refused and deleting the older note leaves both."""
    refuse(emulator, field="records_v2")
    stream = [PHONE, *phones(range(20))]
    assert run_target(stream).code == 5
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute("""
            INSERT INTO unsettled (list, note, identities, causes)
            SELECT list, note + 10 * copy, identities, causes FROM unsettled, (SELECT 1 AS copy UNION SELECT 2)
        """)
    assert run_target(stream).code == 5
    emulator.backend.clear_faults()
    before = changes(emulator)
    assert run_target(stream, batch_size_rows=7).code == 0
    sent = [len(call.request["records_v2"]) for call in calls(emulator) if "records_v2" in (call.request or {})]
    assert sent[-3:] == [7, 7, 6]
    assert changes(emulator) - before == 3


def test_a_phone_number_that_is_bad_itself_is_no_refused_format(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    """It is alone in its batch, before Pinterest accepts another one; later runs only have it to send."""
    assert run_target([schema("email", "phone"), *people(range(3))]).code == 0
    first, *others = phones(range(4))
    refuse(emulator, record_pattern=sha256("493012340" + "0000"))
    assert run_target([schema("email", "phone"), first, *others], batch_size_rows=1).code == 0
    assert len(noted(tmp_path)) == 1
    for _ in range(2):
        run = run_target([schema("email", "phone"), first, *others])
        assert run.code == 0, run.stderr
        assert len(noted(tmp_path)) == 1
