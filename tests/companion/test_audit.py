"""`pinterest-audience ledger audit`: who ran the commands that change who is on lists."""

from __future__ import annotations

import json
import os
import pwd
import socket
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.messages import address, people, schema
from tests.support.processes import Companion, KillCompanion, Target

EMAIL = schema("email")
WHO = ("--email", address(1), "--yes")


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "load_method": "overwrite", "max_removal_percent": 100}


def trail(run: Companion) -> list[dict[str, Any]]:
    done = run("ledger", "audit", "--json")
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_each_command_that_changes_people_is_recorded(run_target: Target, run_companion: Companion) -> None:
    run_target([EMAIL, *people(range(6))])
    run_target([EMAIL, *people(range(5))])
    for arguments in (
        ("prune",),
        ("forget", *WHO, "--reference", "DSR-1"),
        ("readmit", *WHO, "--reference", "DSR-2"),
        ("clear", "--list", "customers", "--yes", "--reference", "OPS-3"),
        ("ledger", "reset", "--yes", "--reference", "OPS-4"),
        ("ledger", "expire", "--older-than", "1", "--yes", "--reference", "OPS-5"),
    ):
        done = run_companion(*arguments)
        assert done.code == 0, done.stderr
    told = trail(run_companion)
    assert [(each["command"], each["reference"], each["customer_list"], each["counts"]) for each in told] == [
        ("ledger expire", "OPS-5", None, {"deleted": 0, "deleted_runs": 0}),
        ("ledger reset", "OPS-4", "customers", {"deleted": 0}),
        ("clear", "OPS-3", "customers", {"removed": 4}),
        ("readmit", "DSR-2", None, {"identities": 1, "lifted": 3}),
        ("forget", "DSR-1", None, {"identities": 1, "lists": 1}),
        ("prune", None, None, {"removed": 1}),
    ]
    me = (pwd.getpwuid(os.getuid()).pw_name, socket.gethostname())
    assert {(each["user"], each["host"], each["exit_code"]) for each in told} == {(*me, 0)}
    assert all(each["started"] <= each["ended"] for each in told)
    shown = run_companion("ledger", "audit", "--last", "4").stdout
    assert all(word in shown for word in ("@".join(me), "DSR-2", "identities: 1, lifted: 3", "done"))
    assert "OPS-5" in shown
    assert "DSR-1" not in shown


def test_looking_and_dry_runs_leave_no_record(run_target: Target, run_companion: Companion) -> None:
    run_target([EMAIL, *people(range(5))])
    for arguments in (
        ("forget", *WHO, "--dry-run"),
        ("readmit", *WHO, "--dry-run"),
        ("clear", "--list", "customers", "--dry-run"),
        ("ledger", "reset", "--dry-run"),
        ("ledger", "show"),
    ):
        done = run_companion(*arguments)
        assert done.code == 0, done.stderr
    assert run_companion("clear", "--list", "customers").code == 2
    assert trail(run_companion) == []
    assert "No command has changed" in run_companion("ledger", "audit").stdout


def test_a_command_that_fails_or_is_killed_is_recorded(
    emulator: Emulator, run_target: Target, run_companion: Companion, kill_companion: KillCompanion
) -> None:
    run_target([EMAIL, *people(range(5))])
    emulator.backend.inject(Fault(method="PATCH", status=500))
    assert run_companion("forget", *WHO, max_retries=0).code == 4
    kill_companion("forget", *WHO)
    killed, failed = trail(run_companion)
    assert (killed["ended"], killed["exit_code"]) == (None, None)
    assert (failed["exit_code"], failed["counts"]) == (4, {"identities": 1, "lists": 0})
    shown = run_companion("ledger", "audit").stdout
    assert "failed (4)" in shown
    assert "not ended" in shown


def test_an_older_record_of_another_ad_account_is_not_shown(run_target: Target, run_companion: Companion) -> None:
    run_target([EMAIL, *people(range(5))])
    assert run_companion("forget", *WHO).code == 0
    assert json.loads(run_companion("ledger", "audit", "--json", ad_account_id="77").stdout) == []
