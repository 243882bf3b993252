"""Commands that only read the ledger need no sign-in, and a role of the database that can only read."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.account import Sent
from tests.support.ledgers import address as url_of
from tests.support.messages import address, people, schema
from tests.support.postgres import Database, SqlError
from tests.support.processes import Companion, Target

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "personal-data.md"
READING = [
    ("report",),
    ("status", "--offline"),
    ("ledger", "show"),
    ("ledger", "audit"),
    ("ledger", "find", "--email", address(1)),
    ("ledger", "find", "--source", "customers", "--key", "id=1"),
]
WRITING = [
    ("readmit", "--email", address(1), "--yes"),
    ("ledger", "expire", "--older-than", "1", "--yes"),
    ("ledger", "reset", "--yes"),
]
NOTHING = {"access_token": None, "client_id": None, "client_secret": None}
EMAIL = schema("email")


def test_commands_that_ask_nothing_of_pinterest_need_no_sign_in(
    run_target: Target, run_companion: Companion, sent: Sent
) -> None:
    run_target([EMAIL, *people(range(3))], load_method="upsert")
    sent()
    for command in READING + WRITING:
        done = run_companion(*command, **NOTHING)
        assert (done.code, done.stderr) == (0, ""), command
    assert sent() == []


def test_commands_warn_that_changes_beside_another_name_of_the_ledger_are_missing(
    run_target: Target, run_companion: Companion, tmp_path: Path
) -> None:
    run_target([EMAIL, *people(range(3))], load_method="upsert")
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "ledger.db"
    link.hardlink_to(tmp_path / "ledger.db")
    asking = [("lists",), ("lists", "show", "customers"), ("prune",), ("forget", "--email", address(1), "--yes")]
    for command in [*READING, *asking]:
        done = run_companion(*command, ledger_url=f"sqlite:///{link}")
        assert done.stderr.count("The newest part of the ledger is in ledger.db-wal beside the one name") == 1, command
    done = run_companion("ledger", "find", "--email", address(1), "--json", ledger_url=f"sqlite:///{link}")
    assert json.loads(done.stdout)


def test_status_without_a_sign_in_has_the_figures_of_the_last_run(run_target: Target, run_companion: Companion) -> None:
    run_target([EMAIL, *people(range(3))], load_method="upsert")
    done = run_companion("status", "--json", **NOTHING)
    assert (done.code, "no way to sign in" in done.stderr) == (0, True)
    assert json.loads(done.stdout)["asked_pinterest"] is False


@pytest.mark.parametrize("command", [("lists",), ("forget", "--email", address(1), "--yes"), ("clear", "--yes")])
def test_commands_that_ask_pinterest_still_need_one(run_companion: Companion, command: tuple[str, ...]) -> None:
    done = run_companion(*command, **NOTHING)
    assert (done.code, "There is no way to sign in" in done.stderr) == (2, True)


@pytest.fixture
def reader(database: Database) -> Database:
    """The role of the guide, which does not exist twice on one server: so it has another name here."""
    return replace(database, user=f"reader_{secrets.token_hex(8)}", password=secrets.token_hex(8))


def grant(database: Database, reader: Database) -> None:
    """Run the statements of the guide."""
    (statements,) = re.findall(r"```sql title=\"reader.sql\"\n(.+?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for shown, real in (
        ("pinterest_reader", reader.user),
        ("DATABASE ledger", f"DATABASE {database.name}"),
        ("'...'", f"'{reader.password}'"),
    ):
        assert shown in statements
        statements = statements.replace(shown, real)
    database.execute(statements)


def test_a_role_that_can_only_read_is_enough_in_postgresql(
    run_target: Target, run_companion: Companion, database: Database, reader: Database, config: dict[str, Any]
) -> None:
    oauth = {"client_id": "emulator-app", "client_secret": "emulator-secret", "refresh_token": "emulator-refresh"}
    writes = {"ledger_url": url_of(database), "load_method": "upsert"}
    run = run_target([EMAIL, *people(range(3))], **writes, **oauth, access_token=None)
    assert run.code == 0, run.stderr
    grant(database, reader)
    reads = {**writes, **NOTHING, "ledger_url": url_of(reader)}
    for command in READING:
        done = run_companion(*command, **reads)
        assert (done.code, done.stderr) == (0, ""), command
    assert "yes" in run_companion("ledger", "find", "--email", address(1), **reads).stdout
    for command in WRITING:
        refused = run_companion(*command, **reads)
        assert refused.code == 7, command
        assert reader.password not in refused.stderr
    assert database.execute("SELECT count(*) FROM target_pinterest_audience.credentials") == "1"
    for statement in (
        "SELECT * FROM target_pinterest_audience.credentials",
        "DELETE FROM target_pinterest_audience.acts",
        "CREATE TABLE target_pinterest_audience.mine (id INTEGER)",
    ):
        with pytest.raises(SqlError, match="permission denied"):
            reader.execute(statement)
    del config
