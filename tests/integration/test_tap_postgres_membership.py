"""What becomes of people when rows change, go, or are told again: real tap-postgres, `load_method: upsert`."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from target_pinterest_audience.emulator import Emulator
from tests.support.people import TABLE_SQL, identities_of, make_customers, sha256
from tests.support.pipeline import MakePipeline, Outcome, Pipeline, clean_environment, wait_until
from tests.support.postgres import Database

STREAM = "public-customers"
CUSTOMERS = make_customers(1, 80)
MANY = 20_000


TWIN = {"id": 1000, "email": CUSTOMERS[1].row["email"], "updated_at": "2026-01-02T00:00:00+00:00"}
"""Another row of somebody whose one identity is this address."""


@pytest.fixture
def table(database: Database, replication_slot: str) -> None:  # noqa: ARG001 - the slot keeps what comes after it
    """The customers and a twin, with PostgreSQL's default REPLICA IDENTITY: a delete names the key alone."""
    create_table(database)
    database.insert("customers", [TWIN])


@pytest.fixture
def full_table(make_pipeline: MakePipeline, database: Database) -> Pipeline:
    """A pipeline that reads the whole table each time."""
    create_table(database)
    pipeline = make_pipeline(load_method="upsert")
    pipeline.select("customers", method="FULL_TABLE")
    return pipeline


def create_table(database: Database) -> None:
    database.execute(TABLE_SQL.format(table="customers"))
    database.insert("customers", [customer.row for customer in CUSTOMERS])


def members(emulator: Emulator) -> frozenset[str]:
    (customer_list,) = emulator.backend.customer_lists()
    assert customer_list.name == STREAM
    return emulator.backend.members(customer_list.id)


def written(emulator: Emulator, since: int) -> dict[str, set[str]]:
    """Return operation → identities of the list writes since one."""
    told: dict[str, set[str]] = {}
    for call in emulator.backend.writes()[since:]:
        assert call.request is not None
        told.setdefault(str(call.request["operation_type"]), set()).update(str(call.request["records"]).split(","))
    return told


def keys_deleted(outcome: Outcome) -> list[int]:
    """Return the keys of the deletes that the target was given, each of which names the key and nothing else."""
    deletes = [record for record in outcome.records if record.get("_sdc_deleted_at") is not None]
    assert all(record.keys() == {"id", "_sdc_deleted_at", "_sdc_lsn"} for record in deletes)
    return [record["id"] for record in deletes]


@pytest.mark.usefixtures("table")
def test_a_delete_from_the_log_passes_the_filter_and_the_expressions_of_a_stream_map(
    database: Database, make_log_pipeline: MakePipeline, emulator: Emulator
) -> None:
    maps = {STREAM: {"__filter__": "id <= 60", "id": "str(id)", "email": "email.strip() if email else email"}}
    pipeline = make_log_pipeline(load_method="upsert", stream_maps=maps)
    pipeline.select("customers", method="LOG_BASED", replication_key="_sdc_lsn")
    pipeline.run().check()
    expected = identities_of(CUSTOMERS[:60])
    assert members(emulator) == expected

    gone = CUSTOMERS[29:40]
    database.execute(f"""
        DELETE FROM customers WHERE id BETWEEN {gone[0].id} AND {gone[-1].id};
        DELETE FROM customers WHERE id = {CUSTOMERS[70].id};
    """)  # noqa: S608 - numbers of ours
    outcome = pipeline.run().check()

    assert keys_deleted(outcome) == [*(customer.id for customer in gone), CUSTOMERS[70].id]
    assert members(emulator) == expected - identities_of(gone)


@pytest.mark.usefixtures("table")
def test_the_log_keeps_the_list_in_step_and_a_replay_or_a_truncate_changes_nothing(
    database: Database, make_log_pipeline: MakePipeline, emulator: Emulator
) -> None:
    assert CUSTOMERS[1].identities == CUSTOMERS[1].addresses != frozenset()
    pipeline = make_log_pipeline(load_method="upsert")
    pipeline.select("customers", method="LOG_BASED", replication_key="_sdc_lsn")
    pipeline.run().check()
    expected = identities_of(CUSTOMERS)
    assert members(emulator) == expected
    before_changes = pipeline.state
    seen = len(emulator.backend.writes())

    changed, deleted = CUSTOMERS[30:33], CUSTOMERS[59:65]
    assert all(customer.addresses for customer in changed)
    database.execute(f"""
        UPDATE customers SET email = 'New-' || id || '@mail.example'
        WHERE id BETWEEN {changed[0].id} AND {changed[-1].id};
        DELETE FROM customers WHERE id = {CUSTOMERS[1].id};
        DELETE FROM customers WHERE id BETWEEN {deleted[0].id} AND {deleted[-1].id};
    """)  # noqa: S608 - numbers of ours
    outcome = pipeline.run().check()

    assert keys_deleted(outcome) == [CUSTOMERS[1].id, *(customer.id for customer in deleted)]
    old = {address for customer in changed for address in customer.addresses}
    new = {sha256(f"new-{customer.id}@mail.example") for customer in changed}
    # Whose address the twin's row names too stays, and what an UPDATE left as it was is not sent again.
    assert written(emulator, seen) == {"ADD": new, "REMOVE": old | identities_of(deleted)}
    expected = (expected | new) - old - identities_of(deleted)
    assert members(emulator) == expected
    seen = len(emulator.backend.writes())

    # A run from an older state tells the same changes again.
    pipeline.state = before_changes
    replay = pipeline.run().check()

    assert keys_deleted(replay) == keys_deleted(outcome)
    assert written(emulator, seen) == {}
    assert members(emulator) == expected

    # The tap tells nothing of a TRUNCATE: people stay.
    database.execute("TRUNCATE customers")
    after_truncate = pipeline.run().check()

    assert after_truncate.records == []
    assert written(emulator, seen) == {}


@pytest.mark.usefixtures("table")
def test_a_delete_of_the_last_row_that_names_a_person_removes_them(
    database: Database, make_log_pipeline: MakePipeline, emulator: Emulator
) -> None:
    # Without a replication key the tap tells its whole log again in each run.
    pipeline = make_log_pipeline(load_method="upsert", batch_size_rows=20)
    pipeline.select("customers", method="LOG_BASED")
    pipeline.run().check()
    seen = len(emulator.backend.writes())

    database.execute(f"DELETE FROM customers WHERE id = {CUSTOMERS[1].id}")  # noqa: S608 - a number of ours
    pipeline.run().check()
    assert written(emulator, seen) == {}

    database.execute("DELETE FROM customers WHERE id = 1000")
    outcome = pipeline.run().check()

    assert len(outcome.records) == len(CUSTOMERS) + 3
    assert written(emulator, seen) == {"REMOVE": set(CUSTOMERS[1].identities)}
    assert members(emulator) == identities_of(CUSTOMERS) - CUSTOMERS[1].identities


def test_the_same_table_again_sends_nothing(full_table: Pipeline, emulator: Emulator) -> None:
    full_table.run().check()
    assert members(emulator) == identities_of(CUSTOMERS)
    seen = len(emulator.backend.writes())

    outcome = full_table.run().check()

    assert len(outcome.records) == len(CUSTOMERS)
    assert emulator.backend.writes()[seen:] == []


def test_a_full_read_replaces_changed_identities_and_keeps_missing_rows(
    full_table: Pipeline, database: Database, emulator: Emulator
) -> None:
    full_table.run().check()
    seen = len(emulator.backend.writes())

    (changed,) = CUSTOMERS[30:31]
    database.execute(f"UPDATE customers SET email = 'New@mail.example' WHERE id = {changed.id}")  # noqa: S608 - a number of ours
    database.execute("DELETE FROM customers WHERE id > 75")
    full_table.run().check()

    assert written(emulator, seen) == {"ADD": {sha256("new@mail.example")}, "REMOVE": set(changed.addresses)}


KEYS_SQL = """
CREATE TABLE customers (
    a numeric, b numeric(30, 0), c numeric(38, 20), d bigint, e uuid, f timestamptz, g timestamp, h date, i timetz,
    j char(8), k varchar, l double precision, m boolean, n bytea, email text,
    PRIMARY KEY (a, b, c, d, e, f, g, h, i, j, k, l, m, n)
);
INSERT INTO customers SELECT
    1.50, 12345678901234567890, number + 0.25, -9007199254740993, 'EA7583CD-B890-48BC-8F00-0123456789AB',
    '2026-01-01 00:00:01.5+02', '2026-01-01', '2026-01-01', '12:30:00.5-05:30', 'ab', '007', 1.2345678901234567,
    true, '\\xdeadbeef', 'customer-' || number || '@mail.example'
FROM generate_series(1, 3) AS number
"""


def test_a_key_is_the_same_in_a_full_read_and_in_the_log(
    database: Database, make_log_pipeline: MakePipeline, emulator: Emulator
) -> None:
    database.execute(KEYS_SQL)
    pipeline = make_log_pipeline(load_method="upsert")
    pipeline.select("customers", method="FULL_TABLE")
    pipeline.run().check()
    assert len(members(emulator)) == 3
    seen = len(emulator.backend.writes())

    database.execute("DELETE FROM customers WHERE email = 'customer-2@mail.example'")
    pipeline.select("customers", method="LOG_BASED", replication_key="_sdc_lsn")
    outcome = pipeline.run().check()

    # Three rows again, and the key of the one that is gone.
    assert len(outcome.records) == 4
    assert written(emulator, seen) == {"REMOVE": {sha256("customer-2@mail.example")}}


def test_a_key_that_the_tap_rounds_in_the_log_ends_the_run(
    database: Database, make_log_pipeline: MakePipeline, emulator: Emulator
) -> None:
    database.execute("CREATE TABLE customers (id numeric PRIMARY KEY, email text)")
    database.execute("INSERT INTO customers VALUES (12345678901234567890.123456789, 'long@mail.example')")
    pipeline = make_log_pipeline(load_method="upsert")
    pipeline.select("customers", method="FULL_TABLE")
    outcome = pipeline.run().check()
    assert "id has numbers with more digits than a floating-point number holds" in outcome.target_errors

    database.execute("DELETE FROM customers")
    pipeline.select("customers", method="LOG_BASED", replication_key="_sdc_lsn")
    outcome = pipeline.run()

    assert outcome.target_code == 2
    assert "now holds numbers rounded to what a floating-point number holds" in outcome.target_errors
    assert members(emulator) == {sha256("long@mail.example")}


RECIPE = "set -o pipefail; {tap} | {target} > states.jsonl && {prune}"


class Recipe:
    """The README's line for a plain pipe, in a real shell."""

    def __init__(self, pipeline: Pipeline, companion: str, folder: Path) -> None:
        """Write the line."""
        prune = [companion, "prune", *pipeline.target_command[1:]]
        self._line = RECIPE.format(
            tap=f"(echo $BASHPID > tap.pid; exec {shlex.join(pipeline.tap_command)})",
            target=shlex.join(pipeline.target_command),
            prune=f"{shlex.join(prune)} | tee pruned",
        )
        self._pipeline = pipeline
        self.folder = folder

    def start(self) -> subprocess.Popen[str]:
        """Start a shell with it."""
        (self.folder / "tap.pid").unlink(missing_ok=True)
        return subprocess.Popen(
            ["bash", "-c", self._line],
            cwd=self.folder, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def kill_tap(self) -> None:
        """Kill the tap of the shell that was started."""
        os.kill(int((self.folder / "tap.pid").read_text()), signal.SIGKILL)


@pytest.fixture
def recipe(make_pipeline: MakePipeline, database: Database, companion_program: str, tmp_path: Path) -> Recipe:
    """The recipe over a table that takes the tap a few seconds to read, with small batches."""
    database.execute(TABLE_SQL.format(table="customers"))
    database.execute(f"""
        INSERT INTO customers (id, email, updated_at)
        SELECT n, 'Customer-' || n || '@Mail.example', timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second'
        FROM generate_series(1, {MANY}) n
    """)  # noqa: S608 - our own number
    pipeline = make_pipeline(load_method="overwrite", batch_size_rows=500, max_removal_percent=100)
    pipeline.select("customers", method="FULL_TABLE")
    return Recipe(pipeline, companion_program, tmp_path)


def everybody(last: int) -> set[str]:
    return {sha256(f"customer-{number}@mail.example") for number in range(1, last + 1)}


def test_a_shell_does_not_run_prune_after_a_killed_tap(recipe: Recipe, database: Database, emulator: Emulator) -> None:
    with recipe.start() as shell:
        printed, _ = shell.communicate(timeout=120)
    assert shell.returncode == 0, printed
    assert "There was no one to remove." in printed
    assert members(emulator) == everybody(MANY)
    (recipe.folder / "pruned").unlink()
    database.execute("UPDATE customers SET email = 'New-' || email WHERE id <= 5000")
    seen = len(emulator.backend.calls)

    with recipe.start() as shell:
        # The target looks the list up when it has the SCHEMA; the tap then needs seconds for its rows.
        wait_until(lambda: len(emulator.backend.calls) > seen, "the target had the SCHEMA")
        recipe.kill_tap()
        printed, _ = shell.communicate(timeout=120)

    assert shell.returncode == 128 + signal.SIGKILL, printed
    assert not (recipe.folder / "pruned").exists()
    assert "removed" not in printed
    kept = {sha256(f"customer-{number}@mail.example") for number in range(5001, MANY + 1)}
    assert members(emulator) >= kept

    database.execute("DELETE FROM customers WHERE id > 19000")
    with recipe.start() as shell:
        printed, _ = shell.communicate(timeout=120)

    assert shell.returncode == 0, printed
    new = {sha256(f"new-customer-{number}@mail.example") for number in range(1, 5001)}
    assert members(emulator) == new | (everybody(19000) - everybody(5000))
