"""A request that nobody waits for any more can be carried out late; what it does then is put right.

The emulator carries such a request out when a test says so, after a later one. That time passes is played by the
ledger: what is to be sent once more becomes due earlier.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.membership.healing import SAFE_SECONDS, is_due, safe_seconds
from tests.support.account import Sent, Write, members
from tests.support.messages import address, deleted, digests, people, record, schema, sha256, state
from tests.support.processes import Companion, Prune, Target

EMAIL = schema("email", "_sdc_deleted_at")
NEVER: Final = 1000
"""After how many writes a late request is carried out by itself: a test says when."""

Later = Callable[[float], None]


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "load_method": "upsert", "customer_list_name": "customers", "max_removal_percent": 100}


@pytest.fixture
def later(tmp_path: Path) -> Later:
    """Let so many seconds pass."""

    def let_pass(seconds: float) -> None:
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
            connection.execute("UPDATE unsettled SET due = due - ? WHERE due > 0", (seconds,))

    return let_pass


@pytest.fixture(autouse=True)
def _stranger(emulator: Emulator) -> None:
    emulator.backend.create_list("customers")


def notes(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM unsettled").fetchone()[0])


def removal(*numbers: int) -> Write:
    return Write("REMOVE", digests(numbers))


def addition(*numbers: int) -> Write:
    return Write("ADD", digests(numbers))


GIVEN_UP: Final = {"max_retries": 0}
RETRIED: Final = {"max_retries": 3}
UNANSWERED: Final = pytest.mark.parametrize("patience", [GIVEN_UP, RETRIED], ids=["given up", "retried"])
FAULTS: Final = pytest.mark.parametrize(
    "fault", [{"status": 504}, {"status": 503}, {"reset": True}, {"half_body": True}], ids=str
)


def late(emulator: Emulator, **fault: Any) -> None:
    """Let the next change of a list get no answer, and be carried out when the test says so."""
    how = fault or {"status": 504}
    emulator.backend.inject(Fault(method="PATCH", when="late", late_writes=NEVER, **how))


@UNANSWERED
@FAULTS
def test_a_person_added_late_after_their_removal_is_removed_once_more(
    emulator: Emulator, run_target: Target, sent: Sent, later: Later, patience: dict[str, int], fault: dict[str, Any]
) -> None:
    late(emulator, **fault)
    first = run_target([EMAIL, *people(range(3)), state(1)], **patience)
    assert first.code == (4 if patience is GIVEN_UP else 0)
    assert run_target([EMAIL, deleted(1), state(2)]).code == 0
    assert members(emulator) == digests([0, 2])
    emulator.backend.carry_out_late()
    assert members(emulator) == digests(range(3))
    sent()
    assert run_target([EMAIL, *people([0]), state(3)]).code == 0
    later(SAFE_SECONDS - 60)
    assert run_target([EMAIL, *people([0]), state(4)]).code == 0
    assert sent() == [], "it was too early to be safe"
    later(60)
    healing = run_target([EMAIL, *people([0]), state(5)])
    assert healing.code == 0
    assert healing.states == [state(5)["value"]]
    assert members(emulator) == digests([0, 2])
    assert removal(1) in sent()
    assert "sent once more, since Pinterest may have carried out an earlier, unanswered request late" in healing.stderr
    later(10 * SAFE_SECONDS)
    assert run_target([EMAIL, *people([0]), state(6)]).code == 0
    assert sent() == []


@UNANSWERED
def test_a_person_removed_late_after_their_return_is_added_once_more(
    emulator: Emulator, run_target: Target, later: Later, patience: dict[str, int]
) -> None:
    run_target([EMAIL, *people(range(3)), state(1)])
    late(emulator)
    run_target([EMAIL, deleted(1), state(2)], **patience)
    assert run_target([EMAIL, *people([1]), state(3)]).code == 0
    emulator.backend.carry_out_late()
    assert members(emulator) == digests([0, 2])
    later(SAFE_SECONDS)
    assert run_target([EMAIL, state(4)]).code == 0
    assert members(emulator) == digests(range(3))


def test_identities_that_an_old_request_does_not_affect_are_not_sent_once_more(
    emulator: Emulator, run_target: Target, sent: Sent, later: Later, tmp_path: Path
) -> None:
    late(emulator)
    assert run_target([EMAIL, *people(range(50)), state(1)]).code == 0
    assert notes(tmp_path) == 1
    sent()
    assert run_target([EMAIL, deleted(7), state(2)]).code == 0
    assert sent() == [removal(7)]
    later(SAFE_SECONDS)
    assert run_target([EMAIL, state(3)]).code == 0
    assert sent() == [removal(7)], "the 49 others belong where an old request puts them"
    late(emulator)
    assert run_target([EMAIL, *people([60]), state(4)]).code == 0
    sent()
    later(SAFE_SECONDS)
    assert run_target([EMAIL, state(5)]).code == 0
    assert sent() == []
    assert notes(tmp_path) == 0


def test_after_an_outage_everyone_is_sent_once_and_once_more_later(
    emulator: Emulator, run_target: Target, sent: Sent, later: Later, tmp_path: Path
) -> None:
    emulator.backend.inject(Fault(method="PATCH", status=503, times=None))
    for number in range(6):
        rows = [*people(range(10)), record(id=3, email=address(100 + number))]
        assert run_target([EMAIL, *rows, state(number)], **GIVEN_UP).code == 4
        later(SAFE_SECONDS)
    emulator.backend.clear_faults()
    assert sent() == []
    assert run_target([EMAIL, state(7)]).code == 0
    of_all = [each for write in sent() for each in write.identities]
    assert len(of_all) == len(set(of_all)) == 9 + 6
    later(SAFE_SECONDS)
    assert run_target([EMAIL, state(8)]).code == 0
    assert sorted(each for write in sent() for each in write.identities) == sorted(of_all)
    assert notes(tmp_path) == 0
    assert members(emulator) == digests([0, 1, 2, *range(4, 10), 105])


def test_an_interrupted_healing_is_finished_by_the_next_run(
    emulator: Emulator, run_target: Target, sent: Sent, later: Later
) -> None:
    late(emulator)
    run_target([EMAIL, *people(range(3)), state(1)], **GIVEN_UP)
    run_target([EMAIL, deleted(1), state(2)])
    later(SAFE_SECONDS)
    late(emulator)
    assert run_target([EMAIL, state(3)], **GIVEN_UP).code == 4
    sent()
    assert run_target([EMAIL, state(4)]).code == 0
    assert removal(1) in sent()
    later(SAFE_SECONDS)
    assert run_target([EMAIL, state(5)]).code == 0
    assert removal(1) in sent()


@UNANSWERED
@pytest.mark.parametrize("suppress", [[], ["--no-suppress"]])
def test_a_forgotten_person_is_removed_once_more(
    emulator: Emulator,
    run_target: Target,
    run_companion: Companion,
    later: Later,
    patience: dict[str, int],
    suppress: list[str],
) -> None:
    late(emulator)
    run_target([EMAIL, *people([1]), state(1)], **patience)
    forgotten = run_companion("forget", "--email", address(1), "--yes", *suppress)
    assert forgotten.code == 0, forgotten.stderr
    emulator.backend.carry_out_late()
    assert members(emulator) == digests([1])
    later(SAFE_SECONDS)
    assert run_target([EMAIL, *people([2]), state(2)]).code == 0
    assert members(emulator) == digests([2])


def test_forget_leaves_no_note_if_every_request_was_answered(
    emulator: Emulator, run_target: Target, run_companion: Companion, tmp_path: Path
) -> None:
    run_target([EMAIL, *people([1, 2]), state(1)])
    assert run_companion("forget", "--email", address(1), "--yes").code == 0
    assert notes(tmp_path) == 0
    late(emulator)
    assert run_companion("forget", "--email", address(2), "--yes").code == 0
    assert notes(tmp_path) == 1


def test_prune_heals_what_a_run_left(
    emulator: Emulator, run_target: Target, run_prune: Prune, sent: Sent, later: Later
) -> None:
    late(emulator)
    assert run_target([EMAIL, *people(range(3))], load_method="overwrite").code == 0
    assert run_target([EMAIL, *people([0, 2]), deleted(1)], load_method="overwrite").code == 0
    emulator.backend.carry_out_late()
    later(SAFE_SECONDS)
    sent()
    pruned = run_prune(load_method="overwrite")
    assert pruned.code == 0, pruned.stderr
    assert sent() == [removal(1)]
    assert "1 removed once more" in pruned.stdout
    assert members(emulator) == digests([0, 2])


def test_an_answered_removal_by_prune_or_clear_is_not_repeated(
    run_target: Target, run_prune: Prune, run_companion: Companion, tmp_path: Path
) -> None:
    run_target([EMAIL, *people(range(3))], load_method="overwrite")
    run_target([EMAIL, *people(range(2))], load_method="overwrite")
    assert run_prune(load_method="overwrite").code == 0
    assert notes(tmp_path) == 0
    assert run_companion("clear", "--yes").code == 0
    assert notes(tmp_path) == 0


@UNANSWERED
def test_people_deleted_from_the_ledger_stay_on_the_list(
    emulator: Emulator, run_target: Target, run_companion: Companion, sent: Sent, later: Later, patience: dict[str, int]
) -> None:
    late(emulator)
    run_target([EMAIL, *people(range(3)), state(1)], **patience)
    run_target([EMAIL, deleted(1), state(2)])
    emulator.backend.carry_out_late()
    assert run_companion("ledger", "reset", "--yes").code == 0
    later(SAFE_SECONDS)
    sent()
    assert run_target([EMAIL, state(3)]).code == 0
    assert sent() == [removal(1)]
    assert members(emulator) == digests([0, 2])


def test_identities_to_be_sent_once_more_do_not_count_as_pending(
    emulator: Emulator, run_target: Target, run_companion: Companion, tmp_path: Path
) -> None:
    late(emulator)
    assert run_target([EMAIL, *people(range(3)), state(1)]).code == 0
    assert notes(tmp_path) == 1
    assert json.loads(run_companion("ledger", "show", "--json").stdout)["lists"][0]["pending"] == 0


def test_identities_that_pinterest_refused_are_not_sent_once_more(
    emulator: Emulator, run_target: Target, sent: Sent, later: Later, tmp_path: Path
) -> None:
    emulator.backend.inject(Fault(record_pattern=sha256(address(1)), status=400, times=3))
    assert run_target([EMAIL, *people(range(3)), state(1)]).code == 0
    emulator.backend.clear_faults()
    sent()
    assert run_target([EMAIL, state(2)]).code == 0
    assert sent() == [addition(1)]
    assert notes(tmp_path) == 0
    later(SAFE_SECONDS)
    assert run_target([EMAIL, state(3)]).code == 0
    assert sent() == []


def test_a_removal_that_is_sent_once_more_keeps_its_cause(
    emulator: Emulator, run_target: Target, later: Later, tmp_path: Path
) -> None:
    run_target([EMAIL, *people(range(3)), state(1)])
    late(emulator)
    run_target([EMAIL, deleted(1), state(2)], **GIVEN_UP)
    again = run_target([EMAIL, state(3)])
    assert "Removed 1 identity" in again.stderr
    later(SAFE_SECONDS)
    report = tmp_path / "report.json"
    once_more = run_target([EMAIL, state(4)], report_path=str(report))
    assert "1 deleted (request id" in once_more.stderr
    assert json.loads(report.read_text())["lists"][0]["removals"] == {"delete": 1}


def test_healing_waits_a_quarter_of_an_hour_or_several_read_timeouts() -> None:
    assert safe_seconds(30) == safe_seconds(180) == SAFE_SECONDS == 900
    assert safe_seconds(600) == 3000


def test_a_due_time_too_far_in_the_future_counts_as_due() -> None:
    assert not is_due(1900.0, now=1000.0, safe=900)
    assert is_due(1000.0, now=1000.0, safe=900)
    assert is_due(1e10, now=1000.0, safe=900)
