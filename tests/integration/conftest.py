"""The real parts; a test whose parts are not on this machine is skipped, and says what to install."""

from __future__ import annotations

import secrets
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.postgres import Database, PostgresServer, SqlError, find_binaries, run_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    with run_server(binaries) as server:
        yield server


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    """An empty database."""
    with postgres_server.database() as database:
        yield database


@pytest.fixture
def replication_slot(database: Database) -> str:
    """A logical replication slot from which changes are read as wal2json."""
    name = f"test_{secrets.token_hex(8)}"
    try:
        database.execute(f"SELECT pg_create_logical_replication_slot('{name}', 'wal2json')")
    except SqlError as error:
        if "wal2json" not in str(error):
            raise
        pytest.skip("PostgreSQL's plugin wal2json is not installed: apt-get install postgresql-<version>-wal2json")
    return name


@pytest.fixture(scope="session")
def tap_postgres() -> str:
    """The program tap-postgres."""
    found = shutil.which("tap-postgres")
    if found is None:
        pytest.skip(
            "tap-postgres is not on the PATH: pip install meltanolabs-tap-postgres, in an environment of its own"
        )
    return found


@pytest.fixture(scope="session")
def target_program() -> str:
    """The target of the environment that runs the tests."""
    return str(Path(sysconfig.get_path("scripts")) / "target-pinterest-audience")
