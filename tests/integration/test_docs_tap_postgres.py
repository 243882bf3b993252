"""What the guides say of tap-postgres: how its catalog is made, and how it reads the log of PostgreSQL."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docgen.about import PAGES
from docgen.fences import parse
from target_pinterest_audience.emulator import Emulator
from tests.support.account import members
from tests.support.messages import sha256
from tests.support.pipeline import MakePipeline, Pipeline, clean_environment
from tests.support.postgres import Database

pytestmark = pytest.mark.timeout(300)

BOOTSTRAP = {"log_based_single_connection": True, "auto_bootstrap_log_based": True}


def identity(name: str) -> str:
    return sha256(f"{name}@example.com")


@pytest.fixture
def tables(database: Database) -> None:
    """Two tables whose rows are older than the slot."""
    database.execute("""
        CREATE TABLE customers (id bigint PRIMARY KEY, email text);
        CREATE TABLE leads (id bigint PRIMARY KEY, email text);
        INSERT INTO customers VALUES (1, 'ada@example.com'), (2, 'bob@example.com');
        INSERT INTO leads VALUES (1, 'eve@example.com'), (2, 'fay@example.com');
    """)


@pytest.fixture
def slot(tables: None, replication_slot: str) -> str:  # noqa: ARG001 - the tables come first
    """A slot that is newer than the rows."""
    return replication_slot


def pipeline_of(make_pipeline: MakePipeline, slot: str, **tap: object) -> Pipeline:
    streams: dict[str, object] = {"public-customers": {}, "public-leads": {}}
    reads = {"replication_slot_name": slot, "replication_idle_exit_seconds": 2, **tap}
    made = make_pipeline(reads, load_method="upsert", customer_list_name="Everyone", streams=streams)
    made.select("customers", "leads", method="LOG_BASED", replication_key="_sdc_lsn")
    return made


def change(database: Database) -> None:
    database.execute("""
        DELETE FROM customers WHERE id = 2;
        DELETE FROM leads WHERE id = 2;
        INSERT INTO leads VALUES (3, 'gil@example.com');
    """)


def test_rows_that_are_older_than_the_slot_are_read_first(
    database: Database, make_pipeline: MakePipeline, slot: str, emulator: Emulator
) -> None:
    pipeline = pipeline_of(make_pipeline, slot, **BOOTSTRAP)
    pipeline.run().check()
    assert members(emulator, "Everyone") == {identity(name) for name in ("ada", "bob", "eve", "fay")}
    change(database)
    pipeline.run().check()
    assert members(emulator, "Everyone") == {identity(name) for name in ("ada", "eve", "gil")}


def test_without_that_the_log_holds_only_what_came_later(
    database: Database, make_pipeline: MakePipeline, slot: str, emulator: Emulator
) -> None:
    change(database)
    pipeline = pipeline_of(make_pipeline, slot)
    pipeline.run().check()
    assert members(emulator, "Everyone") == {identity("gil")}


def test_the_role_of_the_guide_may_read_the_log(
    database: Database, make_pipeline: MakePipeline, slot: str, emulator: Emulator
) -> None:
    role = f"tap_{slot}"
    database.execute(f"""
        CREATE ROLE {role} LOGIN REPLICATION PASSWORD 'of the tap';
        GRANT SELECT ON customers, leads TO {role};
    """)
    pipeline = pipeline_of(make_pipeline, slot, **BOOTSTRAP, user=role, password="of the tap")
    pipeline.run().check()
    assert members(emulator, "Everyone") == {identity(name) for name in ("ada", "bob", "eve", "fay")}

    database.execute(f"ALTER ROLE {role} NOREPLICATION")
    without_permission = pipeline.run()
    assert without_permission.tap_code != 0
    assert re.search(
        "permission denied to start WAL sender|must be superuser or replication role", without_permission.tap_errors
    )

    database.execute(f"ALTER ROLE {role} REPLICATION; SELECT pg_drop_replication_slot('{slot}')")
    without_slot = pipeline.run()
    assert without_slot.tap_code != 0
    assert f'replication slot "{slot}" does not exist' in without_slot.tap_errors


@pytest.mark.usefixtures("tables")
def test_the_script_of_the_guide_selects_one_stream(database: Database, tap_postgres: str, tmp_path: Path) -> None:
    page = (PAGES / "guides" / "plain-pipe.md").read_text(encoding="utf-8")
    (script,) = [fence.text for fence in parse(page) if fence.title == "select_stream.py"]
    place = {"host": database.host, "port": database.port, "database": database.name}
    config = {**place, "user": database.user, "password": database.password, "filter_schemas": ["public"]}
    (tmp_path / "tap.json").write_text(json.dumps(config))

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    tap = (tap_postgres, "--config", "tap.json")
    (tmp_path / "catalog.json").write_text(run(*tap, "--discover"))
    run(sys.executable, "-c", script, "public-customers", "INCREMENTAL", "id")
    messages = [json.loads(line) for line in run(*tap, "--catalog", "catalog.json").splitlines()]

    assert {message["stream"] for message in messages if message["type"] == "RECORD"} == {"public-customers"}
    state = [message["value"] for message in messages if message["type"] == "STATE"][-1]
    assert state["bookmarks"]["public-customers"]["replication_key_value"] == 2
