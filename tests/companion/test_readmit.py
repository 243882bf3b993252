"""`pinterest-audience readmit`: who was forgotten and comes back may be added again, and nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from tests.support.account import Sent, members
from tests.support.messages import address, digests, people, record, schema
from tests.support.processes import Companion, Target

EMAIL = schema("email")
WHO = ("--email", address(1), "--yes")


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "load_method": "upsert"}


@pytest.fixture
def forgotten(run_target: Target, run_companion: Companion) -> None:
    """Make four members of whom one was forgotten, and another."""
    run_target([EMAIL, *people(range(5))])
    assert run_companion("forget", *WHO, "--email", address(2)).code == 0


@pytest.mark.usefixtures("forgotten")
def test_the_next_run_adds_a_person_whose_row_was_read_during_the_suppression(
    emulator: Emulator, run_target: Target, run_companion: Companion, sent: Sent
) -> None:
    assert run_target([EMAIL, *people(range(5))]).code == 0
    assert members(emulator) == digests([0, 3, 4])
    sent()
    lifted = run_companion("readmit", *WHO)
    assert (lifted.code, sent()) == (0, [])
    assert "3 digests and ids are no longer suppressed" in lifted.stdout
    assert run_target([EMAIL]).code == 0
    assert members(emulator) == digests([0, 1, 3, 4])
    (known,) = json.loads(run_companion("ledger", "show", "--json").stdout)["lists"]
    assert known["members"] == 4


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("settings", [{}, {"load_method": "append-only", "customer_list_name": "another"}])
def test_a_readmitted_person_is_added_when_a_run_reads_their_row(
    emulator: Emulator, run_target: Target, run_companion: Companion, settings: dict[str, str]
) -> None:
    assert run_companion("readmit", *WHO).code == 0
    assert run_target([EMAIL]).code == 0
    assert members(emulator) == digests([0, 3, 4])
    assert run_target([EMAIL, *people(range(5))], **settings).code == 0
    assert members(emulator, settings.get("customer_list_name", "customers")) == digests([0, 1, 3, 4])


@pytest.mark.usefixtures("forgotten")
def test_a_refusal_by_a_row_stays(emulator: Emulator, run_target: Target, run_companion: Companion) -> None:
    asks = {"consent_column": "consent"}
    rows = [record(id=7, email=address(1), consent=True), record(id=8, email=address(1), consent=False)]
    assert run_target([schema("email", "consent"), *rows], **asks).code == 0
    assert run_companion("readmit", *WHO).code == 0
    assert run_target([schema("email", "consent"), *rows], **asks).code == 0
    assert address(1) not in members(emulator)
    assert digests([1]).isdisjoint(members(emulator))


@pytest.mark.usefixtures("forgotten")
def test_a_dry_run_reports_and_changes_nothing(run_companion: Companion) -> None:
    for _ in range(2):
        told = run_companion("readmit", *WHO, "--dry-run", "--json")
        assert json.loads(told.stdout) == {"identities": 1, "lifted": 3, "dry_run": True}
    done = run_companion("readmit", *WHO, "--json")
    assert json.loads(done.stdout) == {"identities": 1, "lifted": 3, "dry_run": False}
    again = run_companion("readmit", *WHO)
    assert again.stdout == "1 identity: None of them was suppressed.\n"


def test_without_a_ledger_readmit_exits_2(run_companion: Companion) -> None:
    told = run_companion("readmit", *WHO)
    assert told.code == 2
    assert "There is no ledger" in told.stderr


def test_readmit_asks_for_confirmation_and_its_messages_name_nobody(run_companion: Companion) -> None:
    for arguments in (("--email", address(1)), (address(1),), ("--email", "no address", "--yes")):
        told = run_companion("readmit", *arguments)
        assert told.code == 2
        assert "example.com" not in told.stdout + told.stderr
        assert "no address" not in told.stderr
