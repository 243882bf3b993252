"""Locks between processes, whichever database the ledger is in."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent import futures
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.ledger import Ledger
from tests.support.ledgers import Opened, another_process, line_of, take_over

HOLD = """
ledger.locks.take(["customers"], 0)
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_process_waits_for_a_lock_and_then_names_its_holder(url: str, ledger: Ledger) -> None:
    with another_process(url, HOLD) as process:
        assert line_of(process) == "held"
        began = time.monotonic()
        with pytest.raises(LedgerError) as raised:
            ledger.locks.take(["others", "customers"], 0.5)
        assert 0.5 <= time.monotonic() - began < 5
        message = str(raised.value)
    assert raised.value.exit_code == 7
    assert f"process {process.pid} on {socket.gethostname()} " in message
    started = datetime.fromisoformat(message.partition("started ")[2].partition(")")[0])
    assert timedelta() <= datetime.now(timezone.utc) - started < timedelta(minutes=1)


def test_the_newest_holder_is_named(url: str, opened: Opened) -> None:
    former = opened()
    former.locks.take(["customers"], 0)
    former.close()
    with another_process(url, HOLD.replace("0)", "20)")) as process:
        assert line_of(process) == "held"
        with pytest.raises(LedgerError, match=f"process {process.pid} "):
            opened().locks.take(["customers"], 0)


def test_a_lock_is_free_as_soon_as_the_other_process_releases_it(url: str, ledger: Ledger) -> None:
    with another_process(url, HOLD + "time.sleep(1); ledger.close(); time.sleep(60)") as process:
        assert line_of(process) == "held"
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        began = time.monotonic()
        ledger.locks.take(["customers"], 30)
        assert 0.5 <= time.monotonic() - began < 10


def test_a_killed_process_releases_its_locks(url: str, ledger: Ledger) -> None:
    with another_process(url, HOLD) as process:
        assert line_of(process) == "held"
        process.kill()
        process.wait()
        ledger.locks.take(["customers"], 10)


def test_other_names_are_free(url: str, ledger: Ledger) -> None:
    with another_process(url, HOLD) as process:
        assert line_of(process) == "held"
        ledger.locks.take(["others"], 0)


def test_a_lock_is_free_for_the_ledger_that_has_it(ledger: Ledger) -> None:
    ledger.locks.take(["customers", "others", "customers"], 0)
    ledger.locks.take(["others"], 0)
    with ledger.transaction():
        ledger.catalogue.sources.add("customers")


def test_closing_a_ledger_releases_its_locks(opened: Opened) -> None:
    first, second = opened(), opened()
    first.locks.take(["customers"], 0)
    with pytest.raises(LedgerError):
        second.locks.take(["customers"], 0)
    first.close()
    second.locks.take(["customers"], 10)
    with pytest.raises(LedgerError):
        opened().locks.take(["customers"], 0)


MANY = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
ledger.locks.take([f"list {n}" for n in range(600)], 0)
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_process_can_have_more_locks_than_files_are_open_by_default(url: str, ledger: Ledger) -> None:
    with another_process(url, MANY) as process:
        assert line_of(process) == "held"
        for number in (0, 299, 599):
            with pytest.raises(LedgerError, match=f"process {process.pid} "):
                ledger.locks.take([f"list {number}"], 0)


Lose = Callable[[], object]


@pytest.fixture
def lose(request: pytest.FixtureRequest, url: str) -> Lose:
    """Let the ledger that has locks lose them without noticing."""
    if url.startswith("sqlite"):
        return lambda: take_over(Path(url.removeprefix("sqlite:///")))

    return lambda: request.getfixturevalue("database").execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks "
        "JOIN pg_database ON pg_database.oid = database AND datname = current_database() WHERE locktype = 'advisory'"
    )


def test_a_ledger_without_locks_cannot_lose_any(ledger: Ledger, lose: Lose) -> None:
    ledger.locks.ensure()
    ledger.locks.take(["customers"], 0)
    ledger.locks.ensure()
    lose()


def test_a_process_whose_lock_another_one_took_neither_writes_nor_sends(opened: Opened, lose: Lose) -> None:
    first, second = opened(), opened()
    first.locks.take(["customers", "others"], 0)
    lose()
    second.locks.take(["others"], 10)
    for use in (first.locks.ensure, lambda: first.transaction().__enter__(), lambda: first.locks.take(["more"], 0)):
        for _ in range(2):
            with pytest.raises(LedgerError, match=r"lost its locks.*Nothing more is sent or written") as raised:
                use()
            assert raised.value.exit_code == 7
    second.locks.ensure()
    with second.transaction():
        assert second.catalogue.sources.find("customers") is None


def test_a_lost_lock_stays_lost_after_its_next_holder_released_it(opened: Opened, lose: Lose) -> None:
    first, second, third = opened(), opened(), opened()
    first.locks.take(["customers"], 0)
    lose()
    second.locks.take(["customers"], 10)
    second.close()
    third.locks.take(["customers"], 10)
    with pytest.raises(LedgerError, match="lost its locks"):
        first.locks.ensure()
    third.locks.ensure()


def test_a_check_of_the_locks_does_not_wait_for_a_transaction(ledger: Ledger) -> None:
    ledger.locks.take(["customers"], 0)
    with ledger.transaction(), futures.ThreadPoolExecutor() as threads:
        ledger.catalogue.sources.add("customers")
        for look in [threads.submit(ledger.locks.ensure) for _ in range(8)]:
            look.result(timeout=5)


def test_a_check_from_another_thread_sees_a_lock_that_is_just_being_taken(ledger: Ledger) -> None:
    ledger.locks.take(["customers"], 0)
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            ledger.locks.ensure()

    with futures.ThreadPoolExecutor() as threads:
        looks = [threads.submit(look) for _ in range(2)]
        for number in range(50):
            ledger.locks.take([f"list {number}"], 0)
        done.set()
        for each in looks:
            each.result()


def test_a_check_of_a_thousand_locks_is_one_short_statement(ledger: Ledger) -> None:
    ledger.locks.take([f"list {number}" for number in range(1000)], 0)
    ledger.locks.ensure()
    began = time.monotonic()
    for _ in range(20):
        ledger.locks.ensure()
    assert time.monotonic() - began < 2
