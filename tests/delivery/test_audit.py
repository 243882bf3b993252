"""Why whoever was removed was: a line in the log and in the ledger for each request, and never a person."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.delivery.pending import PendingIdentities
from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.ledger.history import RemovalEntry
from target_pinterest_audience.ledger.open import open_ledger
from target_pinterest_audience.vocabulary import Cause, Operation
from target_pinterest_audience.watermark import Watermark
from tests.support.account import ACCOUNT
from tests.support.messages import address, deleted, people, record, schema
from tests.support.packing import packed
from tests.support.processes import Companion, Prune, Target, feed, running
from tests.support.waiting import wait_until

CONSENTING = schema("email", "consent", "_sdc_deleted_at")
SETTINGS = {"load_method": "upsert", "consent_column": "consent"}


def agreeing(numbers: range) -> list[dict[str, Any]]:
    return [record(id=n, email=address(n), consent="yes") for n in numbers]


def audit(emulator: Emulator, folder: Path) -> list[RemovalEntry]:
    """What the ledger says, the oldest first."""
    url = f"sqlite:///{folder}/ledger.db"
    with closing(open_ledger(url, emulator.url, ACCOUNT, wait_seconds=1)) as ledger:
        return ledger.history.removals(0, 1_000)[::-1]


def audit_lines(stderr: str) -> list[str]:
    return re.findall(r"Removed [\d,]+ identit(?:y|ies) .*", stderr)


@pytest.fixture
def request_ids(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that Pinterest gives, in their order."""
    given: list[str] = []
    headers = emulator.backend.headers

    def remembered(*arguments: Any) -> dict[str, str]:
        answer = headers(*arguments)
        given.append(answer["x-pinterest-rid"])
        return answer

    monkeypatch.setattr(emulator.backend, "headers", remembered)
    return given


def test_a_removal_is_logged_with_its_causes_and_pinterests_request_id(
    emulator: Emulator, run_target: Target, tmp_path: Path, request_ids: list[str]
) -> None:
    path = tmp_path / "report.json"
    run_target([CONSENTING, *agreeing(range(10))], **SETTINGS)
    changes = [
        deleted(0),
        deleted(1),
        record(id=2, email="new@example.com", consent="yes"),
        record(id=3, email=address(3), consent="no"),
        record(id=4, email=None, consent="yes"),
        record(id=5, email=address(5), consent="no"),
    ]
    run = run_target([CONSENTING, *changes, *agreeing(range(6, 10))], report_path=str(path), **SETTINGS)
    (told,) = audit(emulator, tmp_path)
    assert told.causes == {"refusal": 2, "delete": 2, "change": 2}
    assert told.request_id in request_ids
    (list_id,) = [each.id for each in emulator.backend.customer_lists()]
    why = "2 changed, 2 deleted, 2 refused"
    where = f'customer list "customers" (id {list_id})'
    assert audit_lines(run.stderr) == [f"Removed 6 identities from {where}: {why} (request id {told.request_id})."]
    (sent,) = json.loads(path.read_text())["lists"]
    assert (sent["removed"], sent["removals"], sent["members"]) == (6, told.causes, 5)
    assert f"{where}: sent 1 identity to add, 6 to remove ({why}); requests: 2; members now: 5" in run.stderr


def test_each_request_has_a_line_of_its_own(
    emulator: Emulator, run_target: Target, tmp_path: Path, request_ids: list[str]
) -> None:
    run_target([CONSENTING, *agreeing(range(60))], **SETTINGS)
    run = run_target([CONSENTING, *[deleted(n) for n in range(25)]], batch_size_rows=10, **SETTINGS)
    told = audit(emulator, tmp_path)
    assert [each.causes for each in told] == [{"delete": 10}, {"delete": 10}, {"delete": 5}]
    assert len({each.request_id for each in told} & set(request_ids)) == 3
    assert len(audit_lines(run.stderr)) == 3


def test_only_the_accepted_part_of_a_refused_batch_is_logged(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    run_target([CONSENTING, *agreeing(range(8))], **SETTINGS)
    emulator.backend.inject(Fault(method="PATCH", status=400))
    emulator.backend.inject(Fault(method="PATCH", status=500, skip=1, times=None))
    run = run_target([CONSENTING, *[deleted(n) for n in range(4)]], max_retries=0, **SETTINGS)
    assert run.code == 4
    assert [each.causes for each in audit(emulator, tmp_path)] == [{"delete": 2}]
    emulator.backend.clear_faults()
    assert run_target([CONSENTING, *agreeing(range(4, 8))], **SETTINGS).code == 0
    # Which half was accepted the ledger does not know: all are sent again, and why is not forgotten.
    assert [each.causes for each in audit(emulator, tmp_path)] == [{"delete": 2}, {"delete": 4}]


def test_a_note_of_a_killed_run_keeps_its_cause(
    emulator: Emulator, run_target: Target, tmp_path: Path, config: dict[str, Any]
) -> None:
    run_target([CONSENTING, *agreeing(range(8))], **SETTINGS)
    emulator.backend.inject(Fault(method="PATCH", status=500, times=None))
    with running({**config, **SETTINGS}, tmp_path, batch_size_rows=2) as process:
        feed(process, [CONSENTING, deleted(0), record(id=1, email=address(1), consent="no")])
        wait_until(lambda: any(call.fault is not None for call in emulator.backend.calls))
        process.kill()
        process.communicate()
    emulator.backend.clear_faults()
    assert audit(emulator, tmp_path) == []
    assert run_target([CONSENTING, *agreeing(range(2, 8))], **SETTINGS).code == 0
    assert [each.causes for each in audit(emulator, tmp_path)] == [{"refusal": 1, "delete": 1}]


def test_prune_logs_its_removals(emulator: Emulator, run_target: Target, run_prune: Prune, tmp_path: Path) -> None:
    overwriting = {"load_method": "overwrite"}
    run_target([schema("email"), *people(range(12))], **overwriting)
    run_target([schema("email"), *people(range(10))], **overwriting)
    pruned = run_prune(**overwriting)
    assert [each.causes for each in audit(emulator, tmp_path)] == [{"prune": 2}]
    assert len(audit_lines(pruned.stderr)) == 1
    assert "2 to remove (2 pruned); requests: 1; members now: 10" in pruned.stdout


def test_removals_are_logged_without_a_ledger_too(run_target: Target, tmp_path: Path) -> None:
    message = schema("email", "_sdc_deleted_at")
    run_target([message, *people(range(3))])
    run = run_target([message, deleted(1, email=address(1)), record(id=2, email=address(2))])
    (line,) = audit_lines(run.stderr)
    assert "1 deleted" in line
    assert not (tmp_path / "ledger.db").exists()


def test_no_identity_is_logged_even_if_pinterest_repeats_it(
    emulator: Emulator, run_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_target([CONSENTING, *agreeing(range(3))], **SETTINGS)
    headers = emulator.backend.headers
    monkeypatch.setattr(
        emulator.backend, "headers", lambda *given: {**headers(*given), "x-pinterest-rid": "ada@example.com"}
    )
    run = run_target([CONSENTING, deleted(0)], **SETTINGS)
    (told,) = audit(emulator, tmp_path)
    assert (told.causes, told.request_id) == ({"delete": 1}, None)
    assert "1 deleted (the answer had no request id)." in run.stderr
    assert "ada" not in run.stderr


def test_causes_stay_with_their_identities_when_an_addition_replaces_a_removal() -> None:
    pending = PendingIdentities(10, 10_000, Watermark())
    pending.put_many(Operation.REMOVE, packed("a", "b", "c"), [1, 2, 3], Cause.DELETE)
    pending.put(Operation.REMOVE, pack_identity("d"), 4, Cause.CHANGE)
    pending.put(Operation.REMOVE, pack_identity("a"), 5, Cause.PRUNE)
    pending.put(Operation.ADD, pack_identity("b"), 6)
    batch = pending.take_any()
    assert batch is not None
    assert (batch.identities, batch.lines, batch.hold.line) == (packed("a", "c", "d"), (1, 3, 4), 1)
    assert batch.causes == (Cause.DELETE, Cause.DELETE, Cause.CHANGE)
    assert batch.part(1, 3).count_causes() == {Cause.DELETE: 1, Cause.CHANGE: 1}
    assert batch.count_causes([0, 2]) == {Cause.DELETE: 1}
    added = pending.take_any()
    assert added is not None
    assert added.causes == ()


def test_identities_that_do_not_fit_into_a_request_keep_their_cause() -> None:
    pending = PendingIdentities(10, 10, Watermark())
    pending.put(Operation.REMOVE, pack_identity("a" * 4), 1, Cause.DELETE)
    pending.put(Operation.REMOVE, pack_identity("b" * 50), 2, Cause.REFUSAL)
    batches = [pending.take_full(), pending.take_full()]
    assert [each.causes for each in batches if each is not None] == [(Cause.DELETE,), (Cause.REFUSAL,)]


def test_clear_and_forget_log_their_removals(
    emulator: Emulator, run_target: Target, run_companion: Companion, tmp_path: Path
) -> None:
    run_target([schema("email"), *people(range(5))], load_method="upsert")
    forgotten = run_companion("forget", "--email", address(1), "--yes", load_method="upsert")
    cleared = run_companion("clear", "--list", "customers", "--yes", load_method="upsert")
    told = audit(emulator, tmp_path)
    # An address may be on a list under each of three algorithms.
    assert [each.causes for each in told] == [{"forget": 3}, {"clear": 4}]
    (line,) = audit_lines(forgotten.stderr)
    assert f"3 forgotten (request id {told[0].request_id})" in line
    (line,) = audit_lines(cleared.stderr)
    assert f"4 cleared (request id {told[1].request_id})" in line
