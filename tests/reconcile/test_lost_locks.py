"""A run whose locks are lost sends nothing more, and the next run puts right what it left.

The locks are lost in the ways that there are: an older version takes those of a SQLite ledger, and PostgreSQL ends the
session.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.tenure import Tenure
from target_pinterest_audience.pinterest.models import AdAccount
from target_pinterest_audience.pinterest.request import Bearer, Request
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.pinterest.transport import Transport
from tests.support.account import ACCOUNT, TOKEN, Sent, members
from tests.support.ledgers import address as address_of
from tests.support.ledgers import take_over
from tests.support.messages import address, deleted, digests, people, schema, sha256, state
from tests.support.postgres import Database
from tests.support.processes import Companion, Target, companion_command, environment, feed, running
from tests.support.waiting import wait_until
from tests.support.zygote import PipedProcess

EMAIL = schema("email", "_sdc_deleted_at")

BODIES = {
    "PATCH": {"operation_type": "ADD", "records": sha256("a")},
    "POST": {"name": "customers", "list_type": "EMAIL", "records": sha256("a")},
}

Lose = Callable[[], None]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return address_of(request.getfixturevalue("database"))


@pytest.fixture
def config(config: dict[str, Any], url: str) -> dict[str, Any]:
    return {**config, "load_method": "upsert", "ledger_url": url, "batch_size_rows": 5, "max_removal_percent": 100}


@pytest.fixture
def lose(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> Lose:
    """Let the run that is at work lose its locks."""
    if url.startswith("sqlite"):
        return lambda: take_over(tmp_path / "ledger.db")

    def end_sessions() -> None:
        server: Database = request.getfixturevalue("database")
        server.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    return end_sessions


@contextmanager
def suspended(process: PipedProcess[bytes] | subprocess.Popen[bytes]) -> Iterator[None]:
    """Let time pass for everybody but one process, so that a test does not depend on how fast the others are."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def assert_lost(process: PipedProcess[bytes] | subprocess.Popen[bytes]) -> bytes:
    """Let the stream end, and return what the process wrote to standard output."""
    stdout, stderr = process.communicate(timeout=60)
    last = stderr.splitlines()[-1].decode()
    assert process.returncode == 7, stderr.decode()
    assert "this run lost its locks on the customer lists" in last
    assert "Nothing more is sent" in last
    assert "bug" not in last
    return stdout


def test_batches_that_wait_for_a_request_are_not_sent(
    emulator: Emulator, config: dict[str, Any], run_target: Target, lose: Lose, sent: Sent, tmp_path: Path
) -> None:
    emulator.backend.create_list("customers")
    emulator.backend.inject(Fault(method="PATCH", skip=1, delay_ms=1500))
    with running(config, tmp_path) as first:
        feed(first, [EMAIL, *people(range(30)), state(1)])
        # The second is under way, and four more are ready.
        wait_until(lambda: len(emulator.backend.writes()) == 1)
        time.sleep(0.5)
        with suspended(first):
            lose()
            second = run_target([EMAIL, deleted(29), deleted(7), deleted(0), state(2)])
            assert second.code == 0, second.stderr
        assert members(emulator) == digests(range(1, 29)) - digests([7])
        requests = len(emulator.backend.writes())
        assert assert_lost(first) == b""
    assert len(emulator.backend.writes()) == requests
    assert members(emulator) == digests(range(1, 29)) - digests([7])
    sent()
    assert run_target([EMAIL, *people(range(1, 7)), state(3)]).code == 0
    assert sent() == []


@pytest.mark.parametrize("more", [[], people(range(8, 20))], ids=["it ends", "it goes on"])
def test_people_in_a_half_full_batch_are_not_sent_when_a_slow_tap_comes_back(
    emulator: Emulator,
    config: dict[str, Any],
    run_target: Target,
    lose: Lose,
    tmp_path: Path,
    more: list[dict[str, Any]],
) -> None:
    emulator.backend.create_list("customers")
    with running(config, tmp_path) as first:
        feed(first, [EMAIL, *people(range(8)), state(1)])
        wait_until(lambda: len(emulator.backend.writes()) == 1)
        lose()
        assert run_target([EMAIL, deleted(6), deleted(0), state(2)]).code == 0
        feed(first, more)
        assert_lost(first)
    assert members(emulator) == digests([*range(1, 6), 7])
    assert run_target([EMAIL, *people(range(8, 20)), state(4)]).code == 0
    assert members(emulator) == digests([*range(1, 6), *range(7, 20)])


def test_a_retry_does_not_add_a_person_who_was_forgotten_meanwhile(
    emulator: Emulator, config: dict[str, Any], run_target: Target, run_companion: Companion, lose: Lose, tmp_path: Path
) -> None:
    emulator.backend.create_list("customers")
    emulator.backend.inject(Fault(method="PATCH", status=429, headers={"Retry-After": "2"}))
    with running({**config, "max_backoff_ms": 10_000}, tmp_path) as first:
        feed(first, [EMAIL, *people(range(5)), state(1)])
        wait_until(lambda: any(call.status == 429 for call in emulator.backend.calls))
        with suspended(first):
            lose()
            forgotten = run_companion("forget", "--email", address(3), "--yes", batch_size_rows=10_000)
            assert forgotten.code == 0, forgotten.stderr
        assert_lost(first)
    assert members(emulator) == frozenset()
    assert run_target([EMAIL, *people(range(5)), state(2)]).code == 0
    assert members(emulator) == digests([0, 1, 2, 4])


def test_no_list_is_created(
    emulator: Emulator, config: dict[str, Any], run_target: Target, lose: Lose, tmp_path: Path
) -> None:
    emulator.backend.inject(
        Fault(method="POST", path="/customer_lists$", status=429, headers={"Retry-After": "2"}, times=1)
    )
    with running({**config, "max_backoff_ms": 10_000}, tmp_path) as first:
        feed(first, [EMAIL, *people(range(5)), state(1)])
        wait_until(lambda: any(call.status == 429 for call in emulator.backend.calls))
        with suspended(first):
            lose()
            assert run_target([EMAIL, *people(range(5, 8)), state(2)]).code == 0
        assert_lost(first)
    assert members(emulator) == digests(range(8))


@pytest.mark.parametrize(
    "command", [["prune"], ["clear", "--list", "customers", "--yes"], ["forget", "--email", address(1), "--yes"]]
)
def test_commands_that_remove_people_stop_too(
    emulator: Emulator, config: dict[str, Any], run_target: Target, lose: Lose, tmp_path: Path, command: list[str]
) -> None:
    config |= {"load_method": "overwrite"}
    assert run_target([EMAIL, *people(range(5))], **config).code == 0
    assert run_target([EMAIL, *people(range(3))], **config).code == 0
    emulator.backend.inject(Fault(method="PATCH", status=429, headers={"Retry-After": "2"}))
    argv = companion_command({**config, "max_backoff_ms": 10_000}, tmp_path, *command)
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        wait_until(lambda: any(call.status == 429 for call in emulator.backend.calls))
        with suspended(process):
            lose()
            # Who comes again meanwhile must not be removed afterwards.
            assert run_target([EMAIL, *people(range(5)), state(2)], **config).code == 0
            before = members(emulator)
        assert_lost(process)
    assert members(emulator) == before
    assert sha256(address(4)) in before


class TestRequests:
    """What is asked right before a request leaves."""

    @pytest.fixture
    def ledger(self) -> Mock:
        return Mock()

    @pytest.fixture
    def transport(self, emulator: Emulator, ledger: Mock) -> Transport:
        patience = RetryPolicy(retries=2, initial_seconds=0.01, max_seconds=5, connect_seconds=5, read_seconds=5)
        logger = logging.getLogger("test")
        return Transport(emulator.url, patience, user_agent="test/1", logger=logger, tenure=Tenure(ledger))

    @pytest.mark.parametrize(("method", "path"), [("PATCH", "/customer_lists/1"), ("POST", "/customer_lists")])
    def test_the_locks_are_checked_before_each_attempt_to_write(
        self, emulator: Emulator, transport: Transport, ledger: Mock, method: str, path: str
    ) -> None:
        emulator.backend.inject(Fault(method=method, status=429, headers={"Retry-After": "0"}, times=None))
        ledger.locks.ensure.side_effect = [None, LedgerError("lost")]
        with pytest.raises(LedgerError, match="lost"):
            transport.send(
                Request(method, f"/ad_accounts/{ACCOUNT}{path}", body=BODIES[method]), Bearer(TOKEN), AdAccount
            )
        assert len(emulator.backend.calls) == 1

    def test_the_locks_are_not_checked_before_reading(self, transport: Transport, ledger: Mock) -> None:
        ledger.locks.ensure.side_effect = LedgerError("lost")
        assert transport.send(Request("GET", f"/ad_accounts/{ACCOUNT}"), Bearer(TOKEN), AdAccount).body.id == ACCOUNT
