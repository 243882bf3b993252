"""PostgreSQL → tap-postgres → the target → Pinterest's API, each a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from target_pinterest_audience.emulator import Call, Emulator, Fault
from tests.support.people import TABLE_SQL, Customer, identities_of, make_customers, sha256
from tests.support.pipeline import MakePipeline, wait_until
from tests.support.postgres import Database

STREAM = "public-customers"
CUSTOMERS = make_customers(1, 320)
MANY = 20_000
TAP_STATE_EVERY = 10_000
NOT_PERMITTED = 3
BROKEN_STREAM = 8


def create_table(database: Database, customers: Iterable[Customer] = ()) -> None:
    database.execute(TABLE_SQL.format(table="customers"))
    database.insert("customers", [customer.row for customer in customers])


def create_big_table(database: Database) -> None:
    """Make a table that takes the tap a few seconds to read."""
    create_table(database)
    database.execute(f"""
        INSERT INTO customers (id, email, updated_at)
        SELECT n, 'Customer-' || n || '@Mail.example', timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second'
        FROM generate_series(1, {MANY}) n
    """)  # noqa: S608 - numbers of ours - our own number


def delete(database: Database, customers: Iterable[Customer]) -> None:
    ids = ", ".join(str(customer.id) for customer in customers)
    database.execute(f"DELETE FROM customers WHERE id IN ({ids})")  # noqa: S608 - numbers of ours - our own numbers


def big_table_identity(number: int) -> str:
    return sha256(f"customer-{number}@mail.example")


def received(calls: Iterable[Call], operation: str = "ADD") -> list[str]:
    """Return the identities in the bodies of list writes, one by one in the order in which they were received."""
    identities: list[str] = []
    for call in calls:
        assert call.request is not None
        # A list's creation adds without saying so.
        if call.request.get("operation_type", "ADD") == operation:
            identities += str(call.request["records"]).split(",")
    return identities


def only_list(emulator: Emulator) -> str:
    (customer_list,) = emulator.backend.customer_lists()
    assert customer_list.name == STREAM
    return customer_list.id


def assert_no_plain_values(customers: Iterable[Customer], emulator: Emulator, *printed: str) -> None:
    """Fail if a plain identity, tidied or not, is in a request or in what the target printed."""
    sent = json.dumps([call.request for call in emulator.backend.calls], ensure_ascii=False)
    seen = "".join([sent, *printed]).lower()
    assert "@" not in seen
    secrets = {secret for customer in customers for secret in customer.secrets}
    assert secrets
    assert not {secret for secret in secrets if secret in seen}


def slow_down(emulator: Emulator) -> None:
    """Let Pinterest take its time: then batches are still on their way, or wait for it, when the tap is killed."""
    emulator.backend.inject(Fault(path="customer_lists", delay_ms=100, times=None))


def test_a_full_table_is_loaded(database: Database, make_pipeline: MakePipeline, emulator: Emulator) -> None:
    create_table(database, CUSTOMERS)
    pipeline = make_pipeline(load_method="upsert")
    pipeline.select("customers", method="FULL_TABLE")

    outcome = pipeline.run().check()

    assert len(outcome.records) == len(CUSTOMERS)
    assert sorted(received(emulator.backend.writes())) == sorted(identities_of(CUSTOMERS))
    assert emulator.backend.members(only_list(emulator)) == identities_of(CUSTOMERS)
    assert [audience.customer_list_id for audience in emulator.backend.audiences()] == [only_list(emulator)]
    assert outcome.states[-1:] == outcome.tap_states[-1:]
    assert_no_plain_values(CUSTOMERS, emulator, outcome.printed)


def test_small_batches_at_debug_log_no_value(
    database: Database, make_pipeline: MakePipeline, emulator: Emulator
) -> None:
    create_table(database, CUSTOMERS)
    pipeline = make_pipeline(batch_size_rows=50)
    pipeline.environment["LOGLEVEL"] = "DEBUG"
    pipeline.select("customers", method="FULL_TABLE")

    outcome = pipeline.run().check()

    expected = identities_of(CUSTOMERS)
    sizes = [len(received([call])) for call in emulator.backend.writes()]
    assert sizes[:-1] == [50] * (len(expected) // 50)
    assert sum(sizes) == len(expected)
    assert set(received(emulator.backend.writes())) == expected
    assert "DEBUG" in outcome.target_errors
    assert_no_plain_values(CUSTOMERS, emulator, outcome.printed)


def test_an_incremental_read_continues_from_its_state(
    database: Database, make_pipeline: MakePipeline, emulator: Emulator
) -> None:
    create_table(database, CUSTOMERS)
    pipeline = make_pipeline()
    pipeline.select("customers", method="INCREMENTAL", replication_key="updated_at")
    first = pipeline.run().check()
    assert set(received(emulator.backend.writes())) == identities_of(CUSTOMERS)
    assert first.states[-1] == first.tap_states[-1]
    seen = len(emulator.backend.writes())

    new = make_customers(321, 333)
    database.insert("customers", [customer.row for customer in new])
    second = pipeline.run().check()

    # The tap asks for `>=`, so it sends the newest row of the first run once more.
    boundary = CUSTOMERS[-1]
    assert [record["id"] for record in second.records] == [boundary.id, *(customer.id for customer in new)]
    expected = identities_of([boundary, *new])
    assert sorted(received(emulator.backend.writes()[seen:])) == sorted(expected)
    assert second.states[-1] == second.tap_states[-1] != first.states[-1]
    assert emulator.backend.members(only_list(emulator)) == identities_of([*CUSTOMERS, *new])

    third = pipeline.run().check()

    assert [record["id"] for record in third.records] == [new[-1].id]
    assert third.states[-1] == third.tap_states[-1] == second.states[-1]
    assert emulator.backend.members(only_list(emulator)) == identities_of([*CUSTOMERS, *new])
    assert_no_plain_values([*CUSTOMERS, *new], emulator, first.printed, second.printed, third.printed)


@pytest.mark.parametrize("replication_key", ["_sdc_lsn", None])
def test_the_log_keeps_lists_in_step_with_the_default_replica_identity(
    replication_key: str | None, database: Database, make_log_pipeline: MakePipeline, emulator: Emulator
) -> None:
    create_table(database, CUSTOMERS)
    pipeline = make_log_pipeline()
    pipeline.select("customers", method="LOG_BASED", replication_key=replication_key)
    first = pipeline.run().check()
    assert emulator.backend.members(only_list(emulator)) == identities_of(CUSTOMERS)
    assert first.states[-1] == first.tap_states[-1]
    seen = len(emulator.backend.writes())

    new, changed, deleted = make_customers(401, 410), CUSTOMERS[30:40], CUSTOMERS[60:70]
    assert all(identities_of(group) for group in (new, changed, deleted))
    database.insert("customers", [customer.row for customer in new])
    ids = ", ".join(str(customer.id) for customer in changed)
    database.execute(f"UPDATE customers SET email = 'New-' || id || '@mail.example' WHERE id IN ({ids})")  # noqa: S608 - numbers of ours
    delete(database, deleted)
    second = pipeline.run().check()

    # What this test is about: such a delete says who is gone by the key alone.
    deletes = [record for record in second.records if record["_sdc_deleted_at"] is not None]
    assert [record.keys() for record in deletes] == [{"id", "_sdc_deleted_at", "_sdc_lsn"}] * len(deleted)
    new_addresses = {sha256(f"new-{customer.id}@mail.example") for customer in changed}
    device_ids = {identity for customer in changed for identity in customer.device_ids}
    writes = emulator.backend.writes()[seen:]
    # Without the key the tap forgets where it was, and tells everything from the beginning once more.
    replayed = CUSTOMERS if replication_key is None else []
    assert len(second.records) == len([*replayed, *new, *changed, *deleted])
    assert set(received(writes)) == identities_of(new) | new_addresses | device_ids | identities_of(replayed)
    # Without a ledger a key names nobody; what must not happen is that it adds somebody.
    assert received(writes, "REMOVE") == []
    assert second.states[-1] == second.tap_states[-1] != first.states[-1]
    assert_no_plain_values([*CUSTOMERS, *new], emulator, first.printed, second.printed)


def test_the_log_keeps_lists_in_step_with_the_full_replica_identity(
    database: Database, make_log_pipeline: MakePipeline, emulator: Emulator
) -> None:
    create_table(database)
    database.execute("ALTER TABLE customers REPLICA IDENTITY FULL")
    database.insert("customers", [customer.row for customer in CUSTOMERS])
    pipeline = make_log_pipeline()
    pipeline.select("customers", method="LOG_BASED", replication_key="_sdc_lsn")
    first = pipeline.run().check()
    assert emulator.backend.members(only_list(emulator)) == identities_of(CUSTOMERS)
    seen = len(emulator.backend.writes())

    gone, back = CUSTOMERS[10:40], CUSTOMERS[50:55]
    delete(database, [*gone, *back])
    database.insert("customers", [{**customer.row, "id": customer.id + 1000} for customer in back])
    second = pipeline.run().check()

    writes = emulator.backend.writes()[seen:]
    assert sorted(received(writes, "REMOVE")) == sorted(identities_of(gone))
    # Deleted and then inserted again under another key: the last word counts.
    assert sorted(received(writes)) == sorted(identities_of(back))
    remaining = identities_of(CUSTOMERS) - identities_of(gone)
    assert emulator.backend.members(only_list(emulator)) == remaining
    assert second.states[-1] == second.tap_states[-1] != first.states[-1]
    assert_no_plain_values(CUSTOMERS, emulator, first.printed, second.printed)


def test_rows_that_were_deleted_before_they_were_sent_are_never_added(
    database: Database, make_log_pipeline: MakePipeline, emulator: Emulator
) -> None:
    create_table(database)
    database.execute("ALTER TABLE customers REPLICA IDENTITY FULL")
    database.insert("customers", [customer.row for customer in CUSTOMERS])
    database.execute("DELETE FROM customers WHERE id % 2 = 0")
    pipeline = make_log_pipeline()
    pipeline.select("customers", method="LOG_BASED", replication_key="_sdc_lsn")

    outcome = pipeline.run().check()

    assert len(outcome.records) == len(CUSTOMERS) * 3 // 2
    odd = identities_of(customer for customer in CUSTOMERS if customer.id % 2)
    assert emulator.backend.members(only_list(emulator)) == odd
    assert set(received(emulator.backend.writes())) == odd


def test_a_replay_of_the_log_in_small_batches_keeps_deleted_people_off_the_list(
    database: Database, make_log_pipeline: MakePipeline, emulator: Emulator
) -> None:
    create_table(database)
    database.execute("ALTER TABLE customers REPLICA IDENTITY FULL")
    database.insert("customers", [customer.row for customer in CUSTOMERS])
    pipeline = make_log_pipeline(batch_size_rows=20)
    pipeline.select("customers", method="LOG_BASED")
    pipeline.run().check()

    gone = CUSTOMERS[100:140]
    delete(database, gone)
    second = pipeline.run().check()

    # The replay adds the deleted people again, in batches of their own; their removal must come behind those.
    assert len(second.records) == len([*CUSTOMERS, *gone])
    assert emulator.backend.members(only_list(emulator)) == identities_of(CUSTOMERS) - identities_of(gone)


@pytest.mark.parametrize("states", [0, 1])
def test_a_killed_tap_loses_no_row(
    states: int, database: Database, make_pipeline: MakePipeline, emulator: Emulator
) -> None:
    create_big_table(database)
    pipeline = make_pipeline(batch_size_rows=500)
    pipeline.select("customers", method="INCREMENTAL", replication_key="updated_at")

    slow_down(emulator)
    # What a pipe holds beside that does not reach to the tap's next STATE.
    with pipeline.start(hold_after=TAP_STATE_EVERY * states + TAP_STATE_EVERY // 2) as run:
        wait_until(run.held.is_set, "half of the way to the tap's next STATE is done")
        wait_until(lambda: len(emulator.backend.writes()) > 1, "Pinterest got two batches")
        run.tap.kill()
        emulator.backend.clear_faults()
        outcome = run.wait()

    assert outcome.tap_code == -signal.SIGKILL
    assert outcome.target_code == 0, outcome.target_errors
    rows = [record["id"] for record in outcome.records]
    assert 500 < len(rows) < MANY, "the tap was killed too early or too late for this test"
    assert set(received(emulator.backend.writes())) == {big_table_identity(number) for number in rows}
    # Only what the tap itself said: the rows behind its last STATE come again with the next run.
    assert outcome.states == outcome.tap_states
    assert len(outcome.states) == states

    pipeline.state = outcome.states[-1] if states else None
    following = pipeline.run().check()

    start = TAP_STATE_EVERY if states else 1
    assert [record["id"] for record in following.records] == list(range(start, MANY + 1))
    everybody = {big_table_identity(number) for number in range(1, MANY + 1)}
    assert emulator.backend.members(only_list(emulator)) == everybody


def test_a_refused_batch_holds_back_the_state_that_covers_it(
    database: Database, make_pipeline: MakePipeline, emulator: Emulator
) -> None:
    create_big_table(database)
    pipeline = make_pipeline(batch_size_rows=15_000)
    pipeline.select("customers", method="INCREMENTAL", replication_key="updated_at")
    emulator.backend.inject(Fault(method="POST", path="customer_lists", status=403, times=None))

    outcome = pipeline.run()

    assert outcome.target_code == NOT_PERMITTED, outcome.target_errors
    assert outcome.tap_states, "the tap's STATE came after the refused batch"
    assert outcome.states == []

    emulator.backend.clear_faults()
    pipeline.run().check()

    everybody = {big_table_identity(number) for number in range(1, MANY + 1)}
    assert emulator.backend.members(only_list(emulator)) == everybody


def test_half_a_line_ends_the_run(
    tmp_path: Path, database: Database, make_pipeline: MakePipeline, emulator: Emulator
) -> None:
    create_table(database, CUSTOMERS)
    pipeline = make_pipeline()
    pipeline.select("customers", method="INCREMENTAL", replication_key="updated_at")
    with pipeline.start() as run:
        run.wait().check()
        lines = run.passed.read_bytes().splitlines(keepends=True)
    emulator.backend.reset()
    state = next(line for line in lines if line.startswith(b'{"type":"STATE"'))
    cut = next(at for at, line in enumerate(lines) if b'"id":199,' in line)
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(b"".join([*lines[:cut], state, lines[cut][: lines[cut].index(b"@") + 5]]))

    with broken.open("rb") as source:
        done = subprocess.run(
            pipeline.target_command,
            stdin=source, capture_output=True, text=True, check=False, env=pipeline.environment, timeout=60,
        )  # fmt: skip

    assert done.returncode == BROKEN_STREAM, done.stderr
    assert f"Line {cut + 2:,} of the stream is not valid JSON" in done.stderr
    before = CUSTOMERS[:198]
    assert sorted(received(emulator.backend.writes())) == sorted(identities_of(before))
    assert [json.loads(line) for line in done.stdout.splitlines()] == [json.loads(state)["value"]]
    assert_no_plain_values(CUSTOMERS, emulator, done.stderr, done.stdout)
