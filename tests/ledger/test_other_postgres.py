"""What a ledger does in PostgreSQL, in another major version than in the other tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ledger.test_contract import (  # noqa: F401 - pytest finds them here
    TestCatalogue,
    TestDryRuns,
    TestInserting,
    TestMembers,
    TestProcesses,
    TestRealms,
    TestRows,
    TestRuns,
    TestThreads,
    TestTransactions,
    TestUnseenRows,
    TestUnsettled,
)
from tests.ledger.test_postgres import (  # noqa: F401 - the same
    TestLocks,
    TestSession,
    TestTables,
)
from tests.ledger.test_postgres_credentials import TestCredentials  # noqa: F401 - the same
from tests.support.postgres import PostgresServer, find_other_binaries, run_server_if_installed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of all tests here, in place of the one of all tests."""
    missing = "a second major version of PostgreSQL is not installed: see .ci/run"
    with run_server_if_installed(find_other_binaries(), missing) as server:
        yield server


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


def test_it_is_another_version(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as database:
        assert database.execute("SHOW server_version_num") >= "180000"
