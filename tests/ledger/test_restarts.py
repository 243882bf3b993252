"""A PostgreSQL ledger whose server restarts, or whose connection breaks, at every kind of moment."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import psycopg
import pytest

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.errors import ConfigurationError, LedgerError
from target_pinterest_audience.ledger.fence import lock_key
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.lock_holder import Holder
from target_pinterest_audience.ledger.open import open_ledger
from target_pinterest_audience.ledger.postgres.credentials import LedgerCredentials
from target_pinterest_audience.ledger.postgres.postgres_ledger import PostgresLedger
from target_pinterest_audience.ledger.postgres.session import ATTEMPTS, CutTransactionError
from tests.support.account import ACCOUNT, members
from tests.support.ledgers import API, Opened, address
from tests.support.lengths import examples
from tests.support.messages import address as email
from tests.support.messages import deleted, digests, people, record, schema, state
from tests.support.pooler import run_pooler
from tests.support.postgres import Database, Mode, PostgresServer, find_binaries, run_server_if_installed
from tests.support.processes import Target, feed, running
from tests.support.waiting import wait_until
from tests.support.zygote import PipedProcess

KEY = b"k" * 16
OTHER = b"o" * 16


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
def ledger(opened: Opened) -> Ledger:
    """A ledger with a lock."""
    ledger = opened()
    ledger.locks.take(["customers"], 0)
    return ledger


def backend(ledger: Ledger) -> int:
    assert isinstance(ledger, PostgresLedger)
    return ledger.session.backend


@pytest.fixture
def end_session(database: Database) -> Callable[[Ledger], None]:
    """End the session of a ledger, as a restart does."""

    def end(ledger: Ledger) -> None:
        database.execute(f"SELECT pg_terminate_backend({backend(ledger)}, 10000)")

    return end


End = Callable[[Ledger], None]


class Breaking:
    """A connection that breaks at a COMMIT, before or after the server has carried it out."""

    def __init__(self, connection: Any, end: Callable[[], None], *, committed: bool) -> None:
        self._connection = connection
        self._end = end
        self._committed = committed

    def execute(self, statement: str, *parameters: Any, **options: Any) -> Any:
        if not statement.endswith("COMMIT"):
            return self._connection.execute(statement, *parameters, **options)
        if self._committed:
            self._connection.execute(statement, *parameters, **options)
        self._end()
        self._connection.close()
        raise psycopg.OperationalError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def break_at_commit(ledger: Ledger, end: Callable[[], None], *, committed: bool) -> None:
    assert isinstance(ledger, PostgresLedger)
    ledger.session.connection = Breaking(ledger.session.connection, end, committed=committed)  # type: ignore[assignment]


def write(ledger: Ledger, row: bytes = KEY, says: bytes = b"says") -> None:
    ledger.rows.write(1, 1, {row: says})


class TestBetweenTransactions:
    @pytest.mark.parametrize(
        "use",
        [
            lambda ledger: ledger.transact(lambda: write(ledger)),
            lambda ledger: ledger.rows.read([KEY]),
            lambda ledger: ledger.catalogue.slots.all(),
            lambda ledger: ledger.locks.ensure(),
            lambda ledger: ledger.locks.take(["others"], 0),
        ],
    )
    def test_the_session_is_restored_with_its_locks(
        self, ledger: Ledger, opened: Opened, end_session: End, use: Callable[[Ledger], object]
    ) -> None:
        end_session(ledger)
        use(ledger)
        with pytest.raises(LedgerError, match="Another run works on the same customer list"):
            opened().locks.take(["customers"], 0)
        ledger.locks.ensure()

    def test_a_transaction_begins_on_the_new_connection(self, ledger: Ledger, end_session: End) -> None:
        end_session(ledger)
        with ledger.transaction():
            write(ledger)
        assert ledger.rows.read([KEY]) == {KEY: b"says"}

    def test_a_process_without_locks_goes_on_too(self, opened: Opened, end_session: End) -> None:
        writer, reader = opened(), opened(read_only=True)
        for each in (writer, reader):
            end_session(each)
        with writer.transaction():
            write(writer)
        assert reader.rows.read([KEY]) == {KEY: b"says"}

    def test_the_first_lock_is_taken_on_the_new_connection(self, opened: Opened, end_session: End) -> None:
        ledger = opened()
        end_session(ledger)
        ledger.locks.take(["customers"], 0)
        ledger.locks.ensure()

    @pytest.mark.parametrize(
        "use", [lambda ledger: ledger.rows.read([KEY]), lambda ledger: ledger.locks.ensure()], ids=["read", "ensure"]
    )
    def test_it_ends_if_another_process_took_the_lock(
        self, ledger: Ledger, opened: Opened, end_session: End, use: Callable[[Ledger], object]
    ) -> None:
        end_session(ledger)
        other = opened()
        other.locks.take(["customers"], 0)
        other.close()
        for _ in range(2):
            with pytest.raises(LedgerError, match=r"lost its locks .* another process took them") as raised:
                use(ledger)
        assert raised.value.exit_code == 7

    def test_it_waits_for_a_process_that_is_taking_the_lock(
        self, ledger: Ledger, opened: Opened, end_session: End, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """That process has looked who holds it, and has not written yet: neither may believe that it has the lock."""
        other = opened()
        assert isinstance(other, PostgresLedger)
        end_session(ledger)
        failures: list[LedgerError] = []

        def attempt(use: Callable[[], object]) -> None:
            try:
                use()
            except LedgerError as error:
                failures.append(error)

        claims = other.session.claims
        claims.take_number(other.session.backend)
        # The first thread restores the session; the second asks meanwhile whether it may send.
        uses = [lambda: ledger.rows.read([KEY]), ledger.locks.ensure]
        threads = [threading.Thread(target=attempt, args=(use,)) for use in uses]
        with other.transaction():
            assert not claims.busy([lock_key("customers")])
            for thread in threads:
                thread.start()
                time.sleep(1)
            with monkeypatch.context() as patched:
                patched.setattr(claims, "busy", lambda _keys: {})
                assert claims.claim([lock_key("customers")])
        for thread in threads:
            thread.join()
        assert len([each for each in failures if "another process took them" in str(each)]) == len(threads)

    def test_it_ends_if_the_server_lost_a_commit(self, ledger: Ledger, database: Database, end_session: End) -> None:
        with ledger.transaction():
            write(ledger)
        before = Holder.this_process(1).encode().hex()
        end_session(ledger)
        database.execute(f"UPDATE target_pinterest_audience.lock_holders SET holder = decode('{before}', 'hex')")  # noqa: S608 - our own bytes
        with pytest.raises(LedgerError, match="lacks what this process has committed"):
            ledger.rows.read([KEY])

    def test_a_former_session_that_the_server_still_keeps_is_ended(self, ledger: Ledger, database: Database) -> None:
        """The network broke, and only this side knows."""
        assert isinstance(ledger, PostgresLedger)
        kept, former = ledger.session.connection, backend(ledger)
        assert kept.execute("SELECT 1").fetchone() == (1,)

        class Broken:
            closed = True

            def close(self) -> None:
                """The server hears nothing of it."""

            def execute(self, *_arguments: Any, **_options: Any) -> Any:
                raise psycopg.OperationalError

        # The ledger no longer knows of the connection that the server keeps, so it cannot close it.
        with closing(kept):
            ledger.session.connection = Broken()  # type: ignore[assignment]
            ledger.locks.ensure()
            with ledger.transaction():
                write(ledger)
            assert ledger.rows.read([KEY]) == {KEY: b"says"}
            assert database.execute(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {former}") == "0"  # noqa: S608 - a number

    def test_a_dry_run_cannot_go_on_because_its_copy_is_gone(self, opened: Opened, end_session: End) -> None:
        dry = opened(dry=True)
        end_session(dry)
        with pytest.raises(LedgerError, match="An administrator, a restart or a failover ended the session"):
            dry.rows.read([KEY])


class TestTransactions:
    def test_one_that_is_cut_is_done_again(self, ledger: Ledger, end_session: End) -> None:
        times: list[str] = []

        def work() -> str:
            write(ledger)
            if not times:
                end_session(ledger)
            times.append("work")
            write(ledger, OTHER)
            return "done"

        assert ledger.transact(work, lambda: times.append("undo")) == "done"
        assert times == ["work", "undo", "work"]
        assert ledger.rows.read([KEY, OTHER]) == {KEY: b"says", OTHER: b"says"}

    def test_one_that_cannot_be_done_again_ends_the_run(self, ledger: Ledger, end_session: End) -> None:
        def cut() -> None:
            with ledger.transaction():
                write(ledger)
                end_session(ledger)
                write(ledger, OTHER)

        with pytest.raises(CutTransactionError, match="rolled it back, so nothing of it was written or sent"):
            cut()
        assert ledger.rows.read([KEY, OTHER]) == {}

    def test_one_that_ends_the_server_each_time_is_given_up(self, ledger: Ledger, end_session: End) -> None:
        times: list[int] = []

        def work() -> None:
            times.append(1)
            end_session(ledger)
            write(ledger)

        with pytest.raises(CutTransactionError):
            ledger.transact(work)
        assert len(times) == ATTEMPTS

    @pytest.mark.parametrize("committed", [True, False])
    def test_a_commit_in_doubt_is_decided_by_the_ledger(
        self, ledger: Ledger, end_session: End, *, committed: bool
    ) -> None:
        times: list[int] = []

        def work() -> None:
            times.append(1)
            write(ledger, says=bytes(times))
            if len(times) == 1:
                break_at_commit(ledger, lambda: end_session(ledger), committed=committed)

        ledger.transact(work)
        assert len(times) == (1 if committed else 2)
        assert ledger.rows.read([KEY]) == {KEY: bytes(times)}
        # The count goes on: another loss is no reason to stop.
        end_session(ledger)
        assert ledger.rows.read([KEY]) == {KEY: bytes(times)}

    @pytest.mark.parametrize("committed", [True, False])
    def test_the_first_lock_can_be_in_doubt(
        self, opened: Opened, end_session: End, monkeypatch: pytest.MonkeyPatch, *, committed: bool
    ) -> None:
        ledger = opened()
        assert isinstance(ledger, PostgresLedger)
        claims = ledger.session.claims
        claim, times = claims.claim, list[int]()

        def claimed(keys: list[int]) -> list[int]:
            times.append(1)
            if len(times) == 1:
                break_at_commit(ledger, lambda: end_session(ledger), committed=committed)
            return claim(keys)

        monkeypatch.setattr(claims, "claim", claimed)
        ledger.locks.take(["customers"], 0)
        assert len(times) == (1 if committed else 2)
        ledger.locks.ensure()
        with pytest.raises(LedgerError, match="Another run works on the same customer list"):
            opened().locks.take(["customers"], 0)

    def test_without_a_lock_a_commit_in_doubt_ends_the_process(self, opened: Opened, end_session: End) -> None:
        ledger = opened()

        def work() -> None:
            write(ledger)
            break_at_commit(ledger, lambda: end_session(ledger), committed=True)

        with pytest.raises(LedgerError, match="cannot be used"):
            ledger.transact(work)


class TestPooler:
    def test_a_session_behind_a_pooler_is_restored(self, database: Database, end_session: End) -> None:
        with (
            run_pooler(database, "session") as pooler,
            closing(open_ledger(address(pooler), API, ACCOUNT, wait_seconds=30)) as ledger,
        ):
            ledger.locks.take(["customers"], 0)
            end_session(ledger)
            with ledger.transaction():
                write(ledger)
            end_session(ledger)
            ledger.locks.ensure()
            assert ledger.rows.read([KEY]) == {KEY: b"says"}


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that other tests do not use."""
    with run_server_if_installed(
        find_binaries(), "PostgreSQL's server is not installed: apt-get install postgresql"
    ) as server:
        yield server


@pytest.fixture
def own_database(own_server: PostgresServer) -> Iterator[Database]:
    with own_server.database() as database:
        yield database


class TestServer:
    def test_it_waits_for_the_server_and_says_so(
        self, own_server: PostgresServer, own_database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        with closing(open_ledger(address(own_database), API, ACCOUNT, wait_seconds=30)) as ledger:
            ledger.locks.take(["customers"], 0)
            own_server.stop()
            back = threading.Timer(1.5, own_server.start)
            back.start()
            ledger.locks.ensure()
            back.join()
            with ledger.transaction():
                write(ledger)
            assert ledger.rows.read([KEY]) == {KEY: b"says"}
        said = [each.getMessage() for each in caplog.records]
        assert [each for each in said if "was lost. Waiting at most 30 s (`lock_wait_seconds`)" in each]
        assert [each for each in said if "is restored. This process continues." in each]

    def test_it_waits_no_longer_than_it_may_and_only_once(
        self, own_server: PostgresServer, own_database: Database
    ) -> None:
        with closing(open_ledger(address(own_database), API, ACCOUNT, wait_seconds=1)) as ledger:
            ledger.locks.take(["customers"], 0)
            own_server.stop("immediate")
            try:
                began = time.monotonic()
                for use in (ledger.locks.ensure, lambda: ledger.rows.read([KEY]), ledger.locks.ensure):
                    with pytest.raises(
                        LedgerError, match=r"the connection to the server was lost .* the next run sends"
                    ):
                        use()
                assert time.monotonic() - began < 10
            finally:
                own_server.start()

    def test_an_interrupted_process_does_not_wait(self, own_server: PostgresServer, own_database: Database) -> None:
        with closing(open_ledger(address(own_database), API, ACCOUNT, wait_seconds=600)) as ledger:
            ledger.locks.take(["customers"], 0)
            own_server.stop()
            try:
                stop = threading.Timer(1, ledger.interrupt)
                stop.start()
                with pytest.raises(LedgerError, match="was lost"):
                    ledger.locks.ensure()
                stop.join()
            finally:
                own_server.start()

    def test_a_new_refresh_token_is_stored_when_the_server_is_back(
        self, own_server: PostgresServer, own_database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        credentials = LedgerCredentials(address(own_database))
        back = threading.Timer(1.5, own_server.start)
        with credentials.exclusive(), credentials.room() as keep:
            # Pinterest has revoked the former token by now.
            own_server.stop()
            back.start()
            try:
                keep("second", "configured")
            finally:
                back.join()
        assert credentials.newest("configured") == "second"
        (said,) = (each.getMessage() for each in caplog.records)
        assert said.startswith("The new refresh token cannot be stored in the PostgreSQL database")
        assert said.endswith("Waiting at most 600 s.")
        assert "second" not in said

    def test_a_new_refresh_token_that_is_lost_is_named_as_such(
        self, own_server: PostgresServer, own_database: Database
    ) -> None:
        credentials = LedgerCredentials(address(own_database), keep_seconds=1)
        began = time.monotonic()
        with credentials.room() as keep:
            own_server.stop()
            try:
                with pytest.raises(ConfigurationError, match=r"replaced the refresh token.*`pinterest-audience login`"):
                    keep("second", "configured")
            finally:
                own_server.start()
        assert 1 < time.monotonic() - began < 30


EMAIL = schema("email", "_sdc_deleted_at")
MANY = 20_000
CHANGED = range(0, MANY, 20)
GONE = range(10, MANY, 20)


def feed_slowly(process: PipedProcess[bytes], messages: list[dict[str, Any]]) -> None:
    """Write messages in some seconds, so that they come in several windows."""
    size = len(messages) // 10
    for start in range(0, len(messages), size):
        feed(process, messages[start : start + size])
        time.sleep(0.5)


class TestRuns:
    """Whole runs, while the server restarts at random moments."""

    @pytest.fixture
    def config(self, config: dict[str, Any], own_database: Database) -> dict[str, Any]:
        return {
            **config, "load_method": "upsert", "ledger_url": address(own_database), "batch_size_rows": 100,
            "max_removal_percent": 100,
        }  # fmt: skip

    @pytest.mark.random
    @pytest.mark.parametrize("mode", get_args(Mode))
    @pytest.mark.parametrize("seed", range(examples(1, 12)))
    def test_membership_is_right_whenever_the_server_restarts(
        self,
        own_server: PostgresServer,
        emulator: Emulator,
        config: dict[str, Any],
        tmp_path: Path,
        mode: Mode,
        seed: int,
    ) -> None:
        chance = random.Random(seed)
        emulator.backend.create_list("customers")
        changes = [record(id=number, email=email(MANY + number)) for number in CHANGED]
        written: list[int] = []
        steps = [
            [*people(range(MANY))],
            [*changes, *map(deleted, GONE), *people(range(1, MANY, 4))],
        ]
        for step, messages in enumerate(steps):
            with running(config, tmp_path) as process:
                feeder = threading.Thread(target=feed_slowly, args=(process, [EMAIL, *messages, state(step)]))
                feeder.start()
                # A server that goes away while lists are opened may end the run.
                wait_until(lambda: len(emulator.backend.writes()) > sum(written))
                for _ in range(3):
                    time.sleep(chance.uniform(0, 2.5))
                    own_server.restart(mode)
                feeder.join()
                stdout, stderr = process.communicate(timeout=120)
            written.append(len(emulator.backend.writes()) - sum(written))
            assert process.returncode == 0, stderr.decode()
            assert b"is restored" in stderr
            if step == 0:
                assert b"20,000 rows; 20,000 values (20,000 to add)" in stderr
            assert json.loads(stdout.splitlines()[-1]) == state(step)["value"]
        moved = {MANY + number for number in CHANGED}
        assert members(emulator) == digests({*range(MANY), *moved} - set(CHANGED) - set(GONE))

    def test_a_run_ends_if_another_took_the_list_while_the_server_was_away(
        self,
        own_server: PostgresServer,
        emulator: Emulator,
        config: dict[str, Any],
        run_target: Target,
        tmp_path: Path,
    ) -> None:
        emulator.backend.create_list("customers")
        with running({**config, "batch_size_rows": 5}, tmp_path) as first:
            feed(first, [EMAIL, *people(range(8)), state(1)])
            wait_until(lambda: len(emulator.backend.writes()) == 1)
            own_server.restart()
            second = run_target([EMAIL, deleted(6), deleted(0), state(2)], batch_size_rows=5)
            assert second.code == 0, second.stderr
            requests = len(emulator.backend.writes())
            stdout, stderr = first.communicate(timeout=60)
        last = stderr.decode().splitlines()[-1]
        assert first.returncode == 7, stderr.decode()
        assert "another process took them. Nothing more is sent" in last
        assert stdout == b""
        assert len(emulator.backend.writes()) == requests
        assert members(emulator) == digests([*range(1, 6), 7])

    @pytest.mark.parametrize("batch_size", [5, 500])
    def test_a_signal_ends_a_run_that_waits_for_the_server(
        self,
        own_server: PostgresServer,
        emulator: Emulator,
        config: dict[str, Any],
        tmp_path: Path,
        batch_size: int,
    ) -> None:
        emulator.backend.create_list("customers")
        with running({**config, "batch_size_rows": batch_size}, tmp_path) as process:
            feed(process, [EMAIL, *people(range(8))])
            # Its window is processed after two seconds.
            time.sleep(4)
            own_server.stop()
            try:
                feed(process, people(range(8, 16)))
                time.sleep(4)
                began = time.monotonic()
                process.send_signal(signal.SIGTERM)
                _, stderr = process.communicate(timeout=60)
                assert time.monotonic() - began < 6
            finally:
                own_server.start()
        assert process.returncode == 128 + signal.SIGTERM
        assert b"was lost. Waiting at most 600 s (`lock_wait_seconds`)" in stderr
        assert b"SIGTERM: stopped." in stderr.splitlines()[-1]

    def test_a_run_ends_if_the_server_does_not_come_back(
        self, own_server: PostgresServer, emulator: Emulator, config: dict[str, Any], tmp_path: Path
    ) -> None:
        emulator.backend.create_list("customers")
        with running({**config, "batch_size_rows": 5, "lock_wait_seconds": 2}, tmp_path) as process:
            feed(process, [EMAIL, *people(range(8)), state(1)])
            wait_until(lambda: len(emulator.backend.writes()) == 1)
            own_server.stop()
            try:
                stdout, stderr = process.communicate(timeout=60)
            finally:
                own_server.start()
        assert (process.returncode, stdout) == (7, b"")
        assert b"the connection to the server was lost" in stderr.splitlines()[-1]
        assert len(emulator.backend.writes()) == 1
