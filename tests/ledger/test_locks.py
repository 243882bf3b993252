"""Locks between processes, whichever database the ledger is in."""

from __future__ import annotations

import socket
import time
from datetime import datetime, timedelta, timezone

import pytest

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger import Ledger
from tests.ledger.conftest import Opened, another_process, line_of

HOLD = """
ledger.lock(["customers"], 0)
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_lock_of_another_process_is_waited_for_and_then_told_of(url: str, ledger: Ledger) -> None:
    with another_process(url, HOLD) as process:
        assert line_of(process) == "held"
        began = time.monotonic()
        with pytest.raises(LedgerError) as raised:
            ledger.lock(["others", "customers"], 0.5)
        assert 0.5 <= time.monotonic() - began < 5
        message = str(raised.value)
    assert raised.value.exit_code == 7
    assert f"process {process.pid} on {socket.gethostname()} " in message
    started = datetime.fromisoformat(message.partition("started ")[2].partition(")")[0])
    assert timedelta() <= datetime.now(timezone.utc) - started < timedelta(minutes=1)


def test_the_newest_holder_is_told_of(url: str, opened: Opened) -> None:
    former = opened()
    former.lock(["customers"], 0)
    former.close()
    with another_process(url, HOLD.replace("0)", "20)")) as process:
        assert line_of(process) == "held"
        with pytest.raises(LedgerError, match=f"process {process.pid} "):
            opened().lock(["customers"], 0)


def test_a_lock_is_had_as_soon_as_the_other_process_lets_go(url: str, ledger: Ledger) -> None:
    with another_process(url, HOLD + "time.sleep(1); ledger.close(); time.sleep(60)") as process:
        assert line_of(process) == "held"
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        began = time.monotonic()
        ledger.lock(["customers"], 30)
        assert 0.5 <= time.monotonic() - began < 10


def test_a_killed_process_lets_go(url: str, ledger: Ledger) -> None:
    with another_process(url, HOLD) as process:
        assert line_of(process) == "held"
        process.kill()
        process.wait()
        ledger.lock(["customers"], 10)


def test_other_names_are_free(url: str, ledger: Ledger) -> None:
    with another_process(url, HOLD) as process:
        assert line_of(process) == "held"
        ledger.lock(["others"], 0)


def test_a_lock_is_free_for_the_ledger_that_has_it(ledger: Ledger) -> None:
    ledger.lock(["customers", "others", "customers"], 0)
    ledger.lock(["others"], 0)
    with ledger.transaction():
        ledger.catalogue.source("customers")


def test_closing_lets_go_of_a_lock_for_who_did_not_have_it(opened: Opened) -> None:
    first, second = opened(), opened()
    first.lock(["customers"], 0)
    with pytest.raises(LedgerError):
        second.lock(["customers"], 0)
    first.close()
    second.lock(["customers"], 10)
    with pytest.raises(LedgerError):
        opened().lock(["customers"], 0)


MANY = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
ledger.lock([f"list {n}" for n in range(600)], 0)
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_process_can_have_more_locks_than_files_are_open_by_default(url: str, ledger: Ledger) -> None:
    with another_process(url, MANY) as process:
        assert line_of(process) == "held"
        for number in (0, 299, 599):
            with pytest.raises(LedgerError, match=f"process {process.pid} "):
                ledger.lock([f"list {number}"], 0)
