"""`check` fails for a PostgreSQL ledger that no run could use, and writes nothing."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.ledgers import address
from tests.support.messages import people, schema
from tests.support.pooler import run_pooler
from tests.support.postgres import Database, count_schemas, new_user
from tests.support.processes import Companion, Target

EMAIL = schema("email")


@pytest.fixture
def config(config: dict[str, Any], postgres_url: str) -> dict[str, Any]:
    return {**config, "load_method": "upsert", "ledger_url": postgres_url}


def ledger_line(stdout: str) -> str:
    return next(line for line in stdout.splitlines() if " ledger: " in line)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_shares_sessions(run_companion: Companion, database: Database, mode: str) -> None:
    with run_pooler(database, mode) as pooler:
        checked = run_companion("check", ledger_url=address(pooler))
    assert checked.code == 7, checked.stdout
    assert "a connection pooler lets other programs have its session" in ledger_line(checked.stdout)


def test_a_pooler_in_session_mode_passes(run_companion: Companion, database: Database) -> None:
    with run_pooler(database, "session") as pooler:
        checked = run_companion("check", ledger_url=address(pooler))
    assert checked.code == 0, checked.stdout


@pytest.fixture
def latin(database: Database) -> Iterator[Database]:
    name = f"test_{secrets.token_hex(8)}"
    database.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0")
    yield dataclasses.replace(database, name=name)
    database.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_an_encoding_that_cannot_hold_every_name(run_companion: Companion, latin: Database) -> None:
    checked = run_companion("check", ledger_url=address(latin))
    assert checked.code == 7, checked.stdout
    assert "has the encoding LATIN1" in ledger_line(checked.stdout)


def test_the_right_to_create_the_schema(run_companion: Companion, run_target: Target, database: Database) -> None:
    user = new_user(database)
    url = address(user)
    checked = run_companion("check", ledger_url=url)
    assert checked.code == run_target([EMAIL, *people([1])], ledger_url=url).code == 7
    assert "lacks the right CREATE on the database" in ledger_line(checked.stdout)
    assert run_companion("check", ledger_url=url, dry_run=True).code == 0
    database.execute(f"GRANT CREATE ON DATABASE {database.name} TO {user.user}")
    assert run_companion("check", ledger_url=url).code == 0
    assert count_schemas(database) == "0"


def test_the_rights_on_an_existing_ledger(run_companion: Companion, run_target: Target, database: Database) -> None:
    assert run_target([EMAIL, *people(range(3))]).code == 0
    user = new_user(database)
    url = address(user)
    grants = {
        "": "lacks the right USAGE on the schema",
        "GRANT USAGE ON SCHEMA target_pinterest_audience TO {}": "lacks the right SELECT, INSERT, UPDATE, DELETE",
        "GRANT SELECT ON ALL TABLES IN SCHEMA target_pinterest_audience TO {}": "lacks the right INSERT, UPDATE",
    }
    for grant, lack in grants.items():
        database.execute(grant.format(user.user))
        checked = run_companion("check", ledger_url=url)
        assert checked.code == run_target([EMAIL, *people(range(3))], ledger_url=url).code == 7
        assert lack in ledger_line(checked.stdout)
    assert run_companion("check", ledger_url=url, dry_run=True).code == 0
    database.execute(f"GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA target_pinterest_audience TO {user.user}")
    assert run_companion("check", ledger_url=url).code == 0
    assert run_target([EMAIL, *people(range(4))], ledger_url=url).code == 0


def test_a_dry_run_needs_temporary_tables(run_companion: Companion, database: Database) -> None:
    database.execute(f"REVOKE TEMPORARY ON DATABASE {database.name} FROM PUBLIC")
    checked = run_companion("check", ledger_url=address(new_user(database)), dry_run=True)
    assert checked.code == 7, checked.stdout
    assert "lacks the right TEMPORARY" in ledger_line(checked.stdout)
