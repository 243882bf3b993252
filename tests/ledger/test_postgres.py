"""What only a ledger in PostgreSQL does."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import pytest

from target_pinterest_audience.errors import ConfigurationError, LedgerError
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.notes import NewNote
from target_pinterest_audience.ledger.open import open_ledger
from target_pinterest_audience.ledger.postgres import connection as postgres_connection
from target_pinterest_audience.ledger.postgres.claims import stands
from target_pinterest_audience.ledger.postgres.connection import SCHEMA, begin
from target_pinterest_audience.ledger.postgres.connection import Database as LedgerDatabase
from target_pinterest_audience.ledger.postgres.credentials import LedgerCredentials
from target_pinterest_audience.ledger.postgres.postgres_ledger import PostgresLedger
from target_pinterest_audience.ledger.postgres.session import Session
from target_pinterest_audience.ledger.schema import MIGRATIONS, VERSION
from target_pinterest_audience.membership.counts import Count
from target_pinterest_audience.membership.key_forms import FIRST_RULES, NEWEST_RULES
from tests.support.account import ACCOUNT
from tests.support.ledgers import API, Opened, address, another_process, line_of
from tests.support.pooler import run_pooler
from tests.support.postgres import Database, PostgresServer, count_schemas, new_user, open_transactions

KEY = b"k" * 16
OTHER = b"o" * 16


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


def session_of(ledger: Ledger) -> Session:
    assert isinstance(ledger, PostgresLedger)
    return ledger.session


def backend(ledger: Ledger) -> int:
    return session_of(ledger).backend


class TestAddress:
    def test_it_names_the_database_and_not_the_password(self, database: Database, ledger: Ledger) -> None:
        assert ledger.where == f"The ledger in the PostgreSQL database {database.name} on 127.0.0.1:{database.port}"

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://user:hush@hush@host/database",
            "postgresql://user:12/hush@host/database",
            "postgresql://user:hush/hush@host/database",
            "postgresql://user@host/database?hush=hush",
            "postgresql://user:%hush@host/database",
        ],
    )
    def test_an_address_that_cannot_be_parsed_is_not_shown(self, url: str) -> None:
        with pytest.raises(ConfigurationError) as raised:
            open_ledger(url, API, ACCOUNT, wait_seconds=1)
        assert "hush" not in str(raised.value)
        assert "`ledger_url`" in str(raised.value)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"password": "hush"}, "password authentication failed"),
            ({"password": "hush", "host": "nowhere.invalid"}, "server runs"),
            ({"name": "missing"}, "does not exist"),
        ],
    )
    def test_no_message_has_the_password(self, database: Database, change: dict[str, Any], told: str) -> None:
        wrong = dataclasses.replace(database, **change)
        for opening in (
            lambda: open_ledger(address(wrong), API, ACCOUNT, wait_seconds=1),
            lambda: LedgerCredentials(address(wrong)).newest("configured"),
        ):
            with pytest.raises((LedgerError, ConfigurationError)) as raised:
                opening()
            assert wrong.password not in str(raised.value)
            assert told in str(raised.value)

    def test_a_port_where_nobody_listens(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            with pytest.raises(LedgerError, match=f"on 127.0.0.1:{port} cannot be used.* refused") as raised:
                open_ledger(f"postgresql://user:hush@127.0.0.1:{port}/db", API, ACCOUNT, wait_seconds=1)
        assert raised.value.exit_code == 7
        assert "hush" not in str(raised.value)

    def test_the_session_is_named_unless_the_address_does(self, url: str, database: Database, opened: Opened) -> None:
        def name(ledger: Ledger) -> str:
            return database.execute(
                f"SELECT application_name FROM pg_stat_activity WHERE pid = {backend(ledger)}"  # noqa: S608 - a number
            )

        assert name(opened()) == "target-pinterest-audience"
        other = open_ledger(f"{url}?application_name=nightly", API, ACCOUNT, wait_seconds=1)
        assert name(other) == "nightly"
        other.close()


class TestTables:
    def test_all_tables_are_in_a_schema_of_their_own(self, database: Database, ledger: Ledger) -> None:
        assert ledger.secret
        found = database.execute(
            "SELECT DISTINCT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema')"
        )
        assert found == "target_pinterest_audience"

    @pytest.mark.parametrize("dry", [False, True])
    def test_a_newer_version_is_refused_and_left_alone(self, database: Database, opened: Opened, *, dry: bool) -> None:
        opened().close()
        database.execute(f"UPDATE target_pinterest_audience.schema_version SET version = {VERSION + 1}")  # noqa: S608 - a number
        with pytest.raises(LedgerError, match="newer version"):
            opened(dry=dry)
        version = database.execute("SELECT version FROM target_pinterest_audience.schema_version")
        assert version == str(VERSION + 1)

    def test_a_ledger_of_an_older_version_is_migrated_with_its_rows(self, database: Database, opened: Opened) -> None:
        steps = ";".join(statement.format(blob="BYTEA", clustered="") for statement in MIGRATIONS[0])
        database.execute(f"""
            CREATE SCHEMA target_pinterest_audience;
            SET search_path TO target_pinterest_audience;
            CREATE TABLE schema_version (version INTEGER NOT NULL);
            INSERT INTO schema_version VALUES (1);
            CREATE TABLE lock_holders (name_digest BIGINT PRIMARY KEY, holder BYTEA NOT NULL);
            {steps};
            INSERT INTO row_says VALUES ('\\x{KEY.hex()}', 1, 1, '\\x90');
            INSERT INTO realms VALUES (1, '{API}', '{ACCOUNT}');
            INSERT INTO sources VALUES (1, 1, 'customers', '["id"]');
        """)  # noqa: S608 - our own statements
        dry = opened(dry=True)
        assert dry.catalogue.runs.newest("main") is None
        dry.close()
        assert database.execute("SELECT version FROM target_pinterest_audience.schema_version") == "1"
        ledger = opened()
        assert ledger.rows.read([KEY]) == {KEY: b"\x90"}
        with ledger.transaction():
            ledger.catalogue.runs.begin("main", {}, 1.0)
            assert ledger.catalogue.sources.key_rules(ledger.catalogue.sources.add("customers")) == FIRST_RULES
            assert ledger.catalogue.sources.key_rules(ledger.catalogue.sources.add("new")) == NEWEST_RULES
        assert database.execute("SELECT version FROM target_pinterest_audience.schema_version") == str(VERSION)

    def test_the_server_vacuums_big_tables_in_time_unless_somebody_decided_otherwise(
        self, database: Database, opened: Opened
    ) -> None:
        def set_for(table: str) -> str:
            return database.execute(
                f"SELECT reloptions FROM pg_class WHERE oid = 'target_pinterest_audience.{table}'::regclass"  # noqa: S608 - our own names
            )

        opened().close()
        assert {set_for(each) for each in ("row_says", "members")} == {"{autovacuum_vacuum_scale_factor=0.05}"}
        database.execute("ALTER TABLE target_pinterest_audience.row_says RESET (autovacuum_vacuum_scale_factor)")
        database.execute("ALTER TABLE target_pinterest_audience.members SET (autovacuum_vacuum_scale_factor = 0.1)")
        opened().close()
        assert set_for("row_says") == "{autovacuum_vacuum_scale_factor=0.05}"
        assert set_for("members") == "{autovacuum_vacuum_scale_factor=0.1}"

    def test_a_table_that_is_being_vacuumed_does_not_keep_a_run_waiting(
        self, database: Database, url: str, opened: Opened
    ) -> None:
        opened().close()
        database.execute("ALTER TABLE target_pinterest_audience.row_says RESET (autovacuum_vacuum_scale_factor)")
        with contextlib.closing(LedgerDatabase(url).connect()) as connection:
            begin(connection)
            connection.execute("LOCK TABLE target_pinterest_audience.row_says IN SHARE UPDATE EXCLUSIVE MODE")
            with opened().transaction():
                pass

    def test_a_missing_right_is_named(self, database: Database) -> None:
        with pytest.raises(LedgerError, match=r"permission denied for database .* grant it CREATE on the database"):
            open_ledger(address(new_user(database)), API, ACCOUNT, wait_seconds=1)

    def test_tables_of_another_user_are_not_mistaken_for_missing_ones(self, database: Database, opened: Opened) -> None:
        opened().close()
        user = new_user(database)
        with pytest.raises(LedgerError, match="permission denied for schema"):
            open_ledger(address(user), API, ACCOUNT, wait_seconds=1)

    def test_the_owner_of_the_schema_needs_no_other_right(self, database: Database) -> None:
        user = new_user(database)
        database.execute(f"CREATE SCHEMA target_pinterest_audience AUTHORIZATION {user.user}")
        for _ in range(2):
            open_ledger(address(user), API, ACCOUNT, wait_seconds=1).close()
        LedgerCredentials(address(user)).ensure_writable()


class TestSession:
    def test_a_commit_is_durable_even_if_the_servers_default_is_not(self, database: Database, ledger: Ledger) -> None:
        assert database.execute("SHOW synchronous_commit") == "off"
        assert session_of(ledger).query("SHOW synchronous_commit") == [("on",)]

    def test_reading_leaves_no_transaction_open(self, database: Database, ledger: Ledger) -> None:
        ledger.rows.read([KEY])
        ledger.members.read(1, [KEY])
        list(ledger.notes.unsettled(1))
        with ledger.transaction():
            ledger.catalogue.sources.add("customers")
        state = database.execute(f"SELECT state FROM pg_stat_activity WHERE pid = {backend(ledger)}")  # noqa: S608 - a number
        assert state == "idle"

    @pytest.mark.parametrize(
        "loss",
        ["SELECT pg_advisory_unlock_all()", "SET search_path TO public", "DISCARD ALL"],
    )
    def test_a_pooler_is_detected_before_anything_is_written(self, opened: Opened, loss: str) -> None:
        ledger = opened()
        ledger.locks.take(["customers"], 0)
        with ledger.transaction():
            ledger.rows.write(1, 1, {KEY: b"before"})
        session_of(ledger).query(loss)
        with pytest.raises(LedgerError, match="PgBouncer"), ledger.transaction():
            ledger.rows.write(1, 2, {KEY: b"after"})
        assert opened().rows.read([KEY]) == {KEY: b"before"}

    def test_a_pooler_is_detected_before_a_lock_is_taken(self, database: Database, opened: Opened) -> None:
        ledger, other = opened(), opened()
        session, own = session_of(ledger), session_of(ledger).connection
        session.connection = session_of(other).connection
        with pytest.raises(LedgerError, match="PgBouncer"):
            ledger.locks.take(["customers"], 0)
        own.close()
        assert database.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"

    @pytest.mark.parametrize(
        "limit",
        ["idle_session_timeout", "idle_in_transaction_session_timeout", "statement_timeout", "lock_timeout"],
    )
    def test_a_slow_tap_and_a_long_window_do_not_end_a_session_whatever_the_server_says(
        self, database: Database, opened: Opened, limit: str
    ) -> None:
        database.execute(f"ALTER DATABASE {database.name} SET {limit} TO '300ms'")
        ledger = opened()
        ledger.locks.take(["customers"], 0)
        ledger.locks.ensure()
        with ledger.transaction():
            ledger.catalogue.sources.add("customers")
            time.sleep(0.6)
            session_of(ledger).query("SELECT pg_sleep(0.6)")
        time.sleep(0.6)
        ledger.locks.ensure()
        with ledger.transaction():
            ledger.catalogue.sources.add("customers")

    def test_a_limit_that_the_user_may_not_change_is_named_when_it_applies(
        self, monkeypatch: pytest.MonkeyPatch, database: Database
    ) -> None:
        # Nobody but a superuser may set the second; it stands for a limit that an administrator has locked.
        monkeypatch.setattr(postgres_connection, "LIMITS", {"statement_timeout": "0", "deadlock_timeout": "2s"})
        user = new_user(database)
        database.execute(f"GRANT CREATE ON DATABASE {database.name} TO {user.user}")
        database.execute(f"ALTER DATABASE {database.name} SET statement_timeout TO '300ms'")
        with contextlib.closing(open_ledger(address(user), API, ACCOUNT, wait_seconds=1)) as ledger:
            session_of(ledger).query("SELECT pg_sleep(0.6)")
            session_of(ledger).query("SET statement_timeout TO '100ms'")
            with pytest.raises(LedgerError, match="may not change `deadlock_timeout`: an administrator has to set it"):
                session_of(ledger).query("SELECT pg_sleep(0.6)")

    def test_each_row_is_looked_up_in_the_index_whatever_the_server_says(
        self, database: Database, opened: Opened
    ) -> None:
        database.execute(f"ALTER DATABASE {database.name} SET jit TO on")
        database.execute(f"ALTER DATABASE {database.name} SET enable_seqscan TO on")
        query = session_of(opened()).query
        assert query("SELECT current_setting('jit'), current_setting('enable_seqscan')") == [("off", "off")]

    def test_the_server_does_not_log_a_member_that_is_known(
        self, postgres_server: PostgresServer, ledger: Ledger
    ) -> None:
        member = secrets.token_bytes(16)
        with ledger.transaction():
            assert ledger.members.insert({1: [member]})
        with ledger.transaction():
            assert not ledger.members.insert({1: [KEY, member]})
        assert ledger.members.read(1, [KEY, member]) == {member: Count(1, 0)}
        assert member.hex() not in postgres_server.log.read_text(errors="replace")

    def test_members_are_inserted_again_after_a_transaction_that_was_rolled_back(self, ledger: Ledger) -> None:
        with contextlib.suppress(ZeroDivisionError), ledger.transaction():
            assert ledger.members.insert({1: [KEY]})
            assert ledger.members.insert({1: [OTHER]})
            raise ZeroDivisionError
        with ledger.transaction():
            assert ledger.members.insert({1: [KEY]})
        assert ledger.members.read(1, [KEY]) == {KEY: Count(1, 0)}

    def test_members_are_inserted_again_after_the_connection_was_lost(self, database: Database, opened: Opened) -> None:
        ledger = opened()
        ledger.locks.take(["customers"], 10)
        keys = [bytes([number]) * 16 for number in range(4)]
        for key in keys:
            with ledger.transaction():
                assert ledger.members.insert({1: [key]})
            database.execute(f"SELECT pg_terminate_backend({backend(ledger)}, 10000)" if key == keys[2] else "SELECT 1")
        assert ledger.members.read(1, keys) == dict.fromkeys(keys, Count(1, 0))

    @pytest.mark.parametrize("right", ["TEMPORARY ON DATABASE {name}", "USAGE ON LANGUAGE plpgsql"])
    def test_members_are_looked_up_if_the_session_may_have_no_function(self, database: Database, right: str) -> None:
        user = new_user(database)
        database.execute(f"GRANT CREATE ON DATABASE {database.name} TO {user.user}")
        database.execute(f"REVOKE {right.format(name=database.name)} FROM PUBLIC")
        with contextlib.closing(open_ledger(address(user), API, ACCOUNT, wait_seconds=1)) as ledger:
            with ledger.transaction():
                assert not ledger.members.insert({1: [KEY]})
                ledger.members.write(1, {KEY: Count(1, 0)})
            assert ledger.members.read(1, [KEY]) == {KEY: Count(1, 0)}

    def test_the_notes_of_a_window_take_few_round_trips(self, monkeypatch: pytest.MonkeyPatch, opened: Opened) -> None:
        statements: list[str] = []
        query = Session.query

        def counted(self: Session, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
            statements.append(statement)
            return query(self, statement, *parameters)

        monkeypatch.setattr(Session, "query", counted)
        ledger = opened()
        statements.clear()
        with ledger.transaction():
            numbers = ledger.notes.add_many([NewNote(1, [KEY], b"")] * 20)
            ledger.notes.settle(1, numbers)
        assert len(statements) == 3

    def test_a_session_ended_for_being_idle_is_reported_as_such(self, opened: Opened) -> None:
        # That of a dry run cannot be restored.
        dry = opened(dry=True)
        session_of(dry).query("SET idle_session_timeout TO '100ms'")
        time.sleep(0.5)
        for _ in range(2):
            with pytest.raises(LedgerError, match="Set `idle_session_timeout` to 0 for its user") as raised:
                dry.catalogue.slots.all()
            assert "PgBouncer" not in str(raised.value)

    def test_a_process_that_writes_for_too_long_is_named(self, database: Database, url: str, opened: Opened) -> None:
        other = opened(wait_seconds=1.0)
        writes = (
            "ledger.locks.take(['a'], 0)\nwith ledger.transaction(): print('writing', flush=True); sys.stdin.readline()"
        )
        with another_process(url, writes) as process:
            assert line_of(process) == "writing"
            began = time.monotonic()
            with pytest.raises(LedgerError, match=f"is busy: process {process.pid} on .* is writing to it"):
                other.transaction().__enter__()
            with pytest.raises(LedgerError, match="is busy"):
                opened(wait_seconds=0.5)
            assert 1 <= time.monotonic() - began < 20
            assert open_transactions(database).count("idle in transaction") == 1

    def test_a_wait_for_another_writer_can_be_interrupted(self, opened: Opened) -> None:
        first, second = opened(), opened(wait_seconds=60)
        with first.transaction(), futures.ThreadPoolExecutor() as threads:
            waiting = threads.submit(lambda: second.transaction().__enter__())
            while not waiting.done():
                second.interrupt()
                futures.wait([waiting], timeout=0.05)
            with pytest.raises(LedgerError, match="is busy"):
                waiting.result()

    def test_a_lost_second_connection_does_not_touch_the_session_with_the_locks(
        self, database: Database, ledger: Ledger
    ) -> None:
        others = (
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() "  # noqa: S608 - a number
            f"AND pid NOT IN (pg_backend_pid(), {backend(ledger)})"
        )
        ledger.locks.take(["customers"], 0)
        ledger.locks.ensure()
        before = backend(ledger)
        assert database.execute(others) == "t"
        ledger.locks.ensure()
        assert backend(ledger) == before

    def test_a_released_lock_is_lost_even_if_nobody_took_it(self, ledger: Ledger) -> None:
        ledger.locks.take(["customers"], 0)
        session_of(ledger).query("SELECT pg_advisory_unlock_all()")
        with pytest.raises(LedgerError, match="lost its locks"):
            ledger.locks.ensure()

    def test_a_new_holder_waits_for_the_window_of_the_one_that_lost_the_lock(self, opened: Opened) -> None:
        first, second = opened(), opened()
        first.locks.take(["customers"], 0)
        taken = threading.Event()

        def take() -> None:
            second.locks.take(["customers"], 10)
            taken.set()

        taker = threading.Thread(target=take)
        with first.transaction():
            session_of(first).query("SELECT pg_advisory_unlock_all()")
            taker.start()
            first.rows.write(1, 1, {KEY: b"first"})
            assert not taken.wait(0.5)
        taker.join()
        assert second.rows.read([KEY]) == {KEY: b"first"}

    def test_a_connection_lost_while_it_writes_commits_nothing(self, database: Database, opened: Opened) -> None:
        ledger = opened()

        def write_and_lose() -> None:
            with ledger.transaction():
                ledger.rows.write(1, 1, {KEY: b"says"})
                database.execute(f"SELECT pg_terminate_backend({backend(ledger)}, 10000)")

        with pytest.raises(LedgerError, match="ended the session"):
            write_and_lose()
        assert opened().rows.read([KEY]) == {}

    def test_errors_hold_no_values(self, ledger: Ledger) -> None:
        with pytest.raises(LedgerError, match="DataError") as raised:
            ledger.catalogue.sources.find("hush\x00")
        assert "hush" not in str(raised.value)
        with ledger.transaction():
            ledger.catalogue.lists.add("hush", "hush")
        with pytest.raises(LedgerError, match="SQLSTATE 23505") as raised, ledger.transaction():
            ledger.catalogue.lists.add("hush", "hush")
        assert "hush" not in str(raised.value)
        with pytest.raises(LedgerError, match="SQLSTATE 22P02") as raised, ledger.transaction():
            ledger.catalogue.sources.name("hush")  # type: ignore[arg-type]
        assert "hush" not in str(raised.value)


class TestLocks:
    def test_many_locks_take_one_place_in_the_servers_lock_table(self, database: Database, opened: Opened) -> None:
        ledger, other = opened(), opened()
        ledger.locks.take([f"list {number}" for number in range(10_000)], 0)
        ledger.locks.ensure()
        assert database.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "1"
        with pytest.raises(LedgerError, match="Another run works on the same customer list"):
            other.locks.take(["list 9999"], 0)

    def test_a_check_of_the_locks_reads_one_row(self, opened: Opened) -> None:
        ledger = opened()
        ledger.locks.take([f"list {number}" for number in range(100)], 0)
        condition = stands(SCHEMA, session_of(ledger).number).removeprefix("EXISTS")
        question = session_of(ledger).query(f"EXPLAIN (ANALYZE, TIMING OFF) {condition}")
        assert not any("rows=100 " in line for (line,) in question)

    def test_rows_of_ended_processes_are_deleted(self, database: Database, opened: Opened) -> None:
        for _ in range(5):
            ledger = opened()
            ledger.locks.take(["customers", "others"], 10)
            ledger.close()
        tables = ("fences", "lock_holders")
        left = [database.execute(f"SELECT count(*) FROM target_pinterest_audience.{table}") for table in tables]  # noqa: S608 - our own names
        assert left == ["3", "1"]

    @pytest.mark.parametrize("holds", [False, True])
    def test_a_run_ends_when_a_newer_version_upgrades_its_ledger(
        self, database: Database, opened: Opened, *, holds: bool
    ) -> None:
        ledger = opened()
        if holds:
            ledger.locks.take(["customers"], 0)
            ledger.locks.ensure()
        database.execute("UPDATE target_pinterest_audience.schema_version SET version = version + 1")
        # It may have waited for its first lock meanwhile.
        ledger.locks.take(["customers"], 0)
        for use in (ledger.locks.ensure, ledger.transaction().__enter__, ledger.locks.ensure):
            with pytest.raises(LedgerError, match="A newer version of this target upgraded the ledger"):
                use()


class TestEncodings:
    @pytest.fixture
    def encoded(self, database: Database) -> Iterator[Callable[[str], str]]:
        """Make a database with an encoding, and return its address."""
        made: list[str] = []

        def make(encoding: str) -> str:
            made.append(f"test_{secrets.token_hex(8)}")
            database.execute(f"CREATE DATABASE {made[-1]} ENCODING '{encoding}' TEMPLATE template0")
            return address(dataclasses.replace(database, name=made[-1]))

        yield make
        for name in made:
            database.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @pytest.mark.parametrize("dry", [False, True])
    def test_an_encoding_that_cannot_hold_every_name_is_refused(
        self, encoded: Callable[[str], str], *, dry: bool
    ) -> None:
        with pytest.raises(LedgerError, match=r"has the encoding LATIN1, which cannot hold every name\. Create one"):
            open_ledger(encoded("LATIN1"), API, ACCOUNT, wait_seconds=1, dry=dry)

    def test_an_encoding_that_leaves_text_unchanged_is_accepted(
        self, monkeypatch: pytest.MonkeyPatch, encoded: Callable[[str], str]
    ) -> None:
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
        url, name = encoded("SQL_ASCII"), "Käufer 顧客 🎉"
        with contextlib.closing(open_ledger(url, API, ACCOUNT, wait_seconds=1)) as ledger:
            ledger.locks.take([name], 0)
            with ledger.transaction():
                number = ledger.catalogue.lists.add(None, name).number
        with contextlib.closing(open_ledger(url, API, ACCOUNT, wait_seconds=1)) as ledger:
            assert ledger.catalogue.lists.entry(number).name == name


@pytest.fixture
def pooled(database: Database, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the database by way of a PgBouncer in a mode."""
    with run_pooler(database, request.param) as pooler:
        yield address(pooler)


class TestPoolers:
    @pytest.mark.parametrize("pooled", ["session"], indirect=True)
    def test_a_pooler_in_session_mode_works(self, pooled: str, database: Database) -> None:
        def opened(**options: Any) -> Ledger:
            return open_ledger(pooled, API, ACCOUNT, wait_seconds=10, **options)

        first = opened()
        first.locks.take(["customers"], 0)
        first.locks.ensure()
        with first.transaction():
            first.rows.write(first.catalogue.sources.add("customers"), 1, {KEY: b"says"})
        with contextlib.closing(opened()) as second:
            with pytest.raises(LedgerError, match="Another run works on the same customer list"):
                second.locks.take(["customers"], 0)
            first.close()
            second.locks.take(["customers"], 10)
            assert second.rows.read([KEY]) == {KEY: b"says"}
        with contextlib.closing(opened(dry=True)) as dry:
            assert dry.rows.read([KEY]) == {KEY: b"says"}
        with LedgerCredentials(pooled).exclusive():
            LedgerCredentials(pooled).keep("second", "configured")
        assert LedgerCredentials(address(database)).newest("configured") == "second"

    @pytest.mark.parametrize("pooled", ["transaction", "statement"], indirect=True)
    def test_a_pooler_in_another_mode_is_refused_before_anything_is_done(self, pooled: str, database: Database) -> None:
        with pytest.raises(LedgerError, match="a connection pooler lets other programs have its session"):
            open_ledger(pooled, API, ACCOUNT, wait_seconds=1)
        with (
            pytest.raises(ConfigurationError, match="PgBouncer in session mode"),
            LedgerCredentials(pooled).exclusive(),
        ):
            pass
        assert count_schemas(database) == "0"


class TestDryRuns:
    def test_a_dry_run_leaves_nothing_in_an_empty_database(self, database: Database, opened: Opened) -> None:
        dry = opened(dry=True)
        with dry.transaction():
            dry.rows.write(1, 1, {KEY: b"says"})
        opened()
        assert dry.rows.read([KEY]) == {KEY: b"says"}
        dry.close()
        assert count_schemas(database) == "1"

    def test_a_dry_run_needs_no_right_to_create_a_schema(self, database: Database) -> None:
        open_ledger(address(new_user(database)), API, ACCOUNT, wait_seconds=1, dry=True).close()
        assert count_schemas(database) == "0"

    def test_a_dry_run_and_other_runs_do_not_wait_for_each_other(self, opened: Opened) -> None:
        real = opened(wait_seconds=5)
        with real.transaction():
            real.rows.write(1, 1, {KEY: b"before"})
        dry = opened(dry=True)
        with real.transaction(), dry.transaction():
            real.rows.write(1, 1, {KEY: b"real"})
            dry.rows.write(1, 1, {KEY: b"dry", OTHER: b"dry"})
        with real.transaction():
            real.rows.write(1, 1, {OTHER: b"real"})
        assert dry.rows.read([KEY, OTHER]) == {KEY: b"dry", OTHER: b"dry"}
        assert real.rows.read([KEY, OTHER]) == {KEY: b"real", OTHER: b"real"}

    def test_a_dry_run_keeps_no_transaction_open(self, database: Database, opened: Opened) -> None:
        opened().close()
        dry = opened(dry=True)
        dry.locks.take(["customers"], 0)
        with dry.transaction():
            dry.rows.write(1, 1, {KEY: b"dry"})
        dry.rows.read([KEY])
        assert open_transactions(database) == ""

    def test_a_dry_run_copies_only_the_data_of_its_ad_account(self, opened: Opened) -> None:
        for account in (ACCOUNT, "7"):
            ledger = opened(account=account)
            with ledger.transaction():
                source, entry = ledger.catalogue.sources.add("customers"), ledger.catalogue.lists.add("1", "customers")
                reader = ledger.catalogue.feeds.new_reader()
                ledger.catalogue.feeds.add(source, entry.number, reader)
                row = account.encode().rjust(16)
                ledger.rows.write(source, 1, {row: b"says"})
                ledger.rows.mark_seen(1, [row], reader)
                ledger.members.write(entry.number, {row: Count(1, 0)})
                ledger.notes.add(entry.number, [row])
        dry = session_of(opened(dry=True))
        for table in ("row_says", "sightings", "members", "unsettled"):
            assert dry.query(f"SELECT count(*) FROM {table}") == [(1,)], table  # noqa: S608 - our own names
        assert dry.query("SELECT count(*) FROM sources") == [(2,)]
