"""Refresh tokens that are kept inside a ledger in PostgreSQL."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent import futures

import pytest

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.ledger.postgres.connection import Database as LedgerDatabase
from target_pinterest_audience.ledger.postgres.connection import begin, make_schema
from target_pinterest_audience.ledger.postgres.credentials import LedgerCredentials
from tests.support.ledgers import Opened, address, another_process
from tests.support.postgres import Database, count_schemas, new_user, open_transactions

KEEP = """
from target_pinterest_audience.ledger.postgres.credentials import LedgerCredentials
LedgerCredentials(sys.argv[1]).keep("second", "configured")
"""

KEY = b"k" * 16


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


class TestCredentials:
    def test_the_newest_token_is_stored_under_the_configured_one(self, url: str, database: Database) -> None:
        credentials = LedgerCredentials(url)
        assert credentials.newest("configured") is None
        assert count_schemas(database) == "0"
        credentials.keep("second", "configured")
        credentials.keep("third", "configured")
        credentials.keep("of another", "other")
        assert credentials.newest("configured") == "third"
        assert LedgerCredentials(url).newest("other") == "of another"
        assert credentials.newest("unknown") is None
        assert "configured" not in database.execute("SELECT * FROM target_pinterest_audience.credentials")

    def test_processes_that_exchange_a_token_take_turns(self, url: str) -> None:
        order: list[str] = []

        def exchange() -> None:
            with LedgerCredentials(url).exclusive():
                order.append("second")

        other = threading.Thread(target=exchange)
        with LedgerCredentials(url).exclusive():
            other.start()
            time.sleep(0.3)
            order.append("first")
        other.join()
        assert order == ["first", "second"]

    def test_no_transaction_is_open_while_a_token_is_exchanged(self, url: str, database: Database) -> None:
        credentials = LedgerCredentials(url)
        with futures.ThreadPoolExecutor() as threads, credentials.exclusive():
            credentials.newest("configured")
            credentials.ensure_writable()
            second = threads.submit(lambda: LedgerCredentials(url).exclusive().__enter__())
            time.sleep(0.5)
            assert open_transactions(database) == ""
            assert not second.done()

    def test_a_token_is_good_although_the_session_of_its_lock_ended(self, url: str, database: Database) -> None:
        with LedgerCredentials(url).exclusive():
            LedgerCredentials(url).keep("second", "configured")
            database.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid()"
            )
        assert LedgerCredentials(url).newest("configured") == "second"

    def test_a_process_that_exchanges_a_token_for_too_long_is_named(self, url: str) -> None:
        with (
            LedgerCredentials(url).exclusive(),
            pytest.raises(ConfigurationError, match="another process has been exchanging a token"),
            LedgerCredentials(url, lock_seconds=0.3).exclusive(),
        ):
            pass

    def test_a_test_checks_whether_a_token_can_be_stored_without_storing_one(
        self, url: str, database: Database
    ) -> None:
        LedgerCredentials(url).ensure_writable()
        assert database.execute("SELECT count(*) FROM target_pinterest_audience.credentials") == "0"

    @pytest.mark.parametrize("dry", [False, True])
    def test_a_token_can_be_stored_while_the_ledger_is_in_a_transaction(
        self, url: str, opened: Opened, *, dry: bool
    ) -> None:
        ledger = opened(dry=dry)
        credentials = LedgerCredentials(url)

        def keep_and_fail() -> None:
            with ledger.transaction():
                ledger.rows.write(1, 1, {KEY: b"says"})
                credentials.ensure_writable()
                credentials.keep("second", "configured")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            keep_and_fail()
        ledger.close()
        assert credentials.newest("configured") == "second"
        assert opened().rows.read([KEY]) == {}

    def test_credentials_do_not_need_an_existing_ledger(self, url: str, opened: Opened) -> None:
        LedgerCredentials(url).keep("second", "configured")
        dry = opened(dry=True)
        assert dry.catalogue.slots.all() == {}
        dry.close()
        assert opened().catalogue.slots.all() == {}
        assert LedgerCredentials(url).newest("configured") == "second"

    def test_ledger_and_credentials_can_create_the_schema_at_once(
        self, url: str, database: Database, opened: Opened
    ) -> None:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with contextlib.closing(LedgerDatabase(url).connect()) as connection:
            begin(connection)
            make_schema(connection)
            with another_process(url, KEEP, opens=False) as process:
                while database.execute(waiting) != "1":
                    assert process.poll() is None
                connection.execute("COMMIT")
                assert process.wait(60) == 0
        assert opened().catalogue.slots.all() == {}
        assert LedgerCredentials(url).newest("configured") == "second"

    def test_no_connection_stays_open(self, url: str, database: Database) -> None:
        LedgerCredentials(url).keep("second", "configured")
        time.sleep(0.2)
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert database.execute(others) == "0"

    @pytest.mark.parametrize(
        "use",
        [
            lambda credentials: credentials.newest("configured"),
            lambda credentials: credentials.keep("second", "configured"),
            lambda credentials: credentials.ensure_writable(),
        ],
    )
    def test_an_unusable_database_is_a_configuration_error(
        self, database: Database, use: Callable[[LedgerCredentials], object]
    ) -> None:
        user = new_user(database)
        LedgerCredentials(address(database)).keep("hush", "configured")
        credentials = LedgerCredentials(address(user))
        with pytest.raises(ConfigurationError, match=r"permission denied .*`credentials_file`") as raised:
            use(credentials)
        assert "hush" not in str(raised.value)
        assert user.password not in str(raised.value)

    def test_it_names_the_database(self, url: str, database: Database) -> None:
        assert str(LedgerCredentials(url)) == f"the PostgreSQL database {database.name} on 127.0.0.1:{database.port}"
