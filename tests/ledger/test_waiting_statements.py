"""Within a transaction in PostgreSQL, a statement that only writes waits, and travels with the next one."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.postgres.postgres_ledger import PostgresLedger
from target_pinterest_audience.ledger.postgres.session import Session
from tests.support.ledgers import Opened
from tests.support.postgres import Database, PostgresServer

KEY = b"k" * 16
INSERT = "INSERT INTO unsettled (list, note, identities) VALUES (?, ?, ?)"
RENUMBER = "UPDATE unsettled SET note = ? WHERE list = ?"


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
def session(ledger: Ledger) -> Session:
    assert isinstance(ledger, PostgresLedger)
    return ledger.session


def numbers(session: Session) -> list[int]:
    return [number for (number,) in session.query("SELECT note FROM unsettled ORDER BY note")]


def test_it_is_run_before_whatever_comes_next(ledger: Ledger, session: Session) -> None:
    with ledger.transaction():
        session.query(INSERT, 1, 1, b"i")
        session.query(RENUMBER, 7, 1)
        session.query("UPDATE unsettled SET list = ? WHERE note = ?", 2, 7)
        assert session.query("SELECT list, note FROM unsettled WHERE note > ?", 0) == [(2, 7)]
        session.query("DELETE FROM unsettled WHERE list = ?", 3)
        session.query(RENUMBER, -8, 2)
        assert session.query("SELECT note FROM unsettled WHERE identities = ?", b"i") == [(-8,)]
        session.query("UPDATE unsettled SET note = note - ?", 1)
        assert session.bulk("SELECT note FROM unsettled WHERE identities = %s", b"i") == [(-9,)]
        session.query(RENUMBER, 5, 2)
    assert numbers(session) == [5]


def test_many_are_run_in_their_order(ledger: Ledger, session: Session) -> None:
    with ledger.transaction():
        session.query(INSERT, 1, 0, b"i")
        for number in range(50):
            session.query("UPDATE unsettled SET note = ? WHERE note = ?", number + 1, number)
    assert numbers(session) == [50]


def test_it_stays_if_rows_that_follow_are_known_already(ledger: Ledger, session: Session) -> None:
    with ledger.transaction():
        session.query(INSERT, 1, 1, b"i")
        assert ledger.rows.insert(1, 1, {KEY: b"says"})
    with ledger.transaction():
        session.query(RENUMBER, 2, 1)
        assert not ledger.rows.insert(1, 1, {KEY: b"says"})
    assert numbers(session) == [2]


def test_if_it_fails_nothing_is_committed(ledger: Ledger, session: Session) -> None:
    def write_and_fail() -> None:
        with ledger.transaction():
            ledger.rows.write(1, 1, {KEY: b"says"})
            session.query("INSERT INTO unsettled (list, note, identities) VALUES (?, ?, NULL)", 1, 1)

    with pytest.raises(LedgerError, match="SQLSTATE 23502"):
        write_and_fail()
    assert ledger.rows.read([KEY]) == {}
    with ledger.transaction():
        ledger.rows.write(1, 1, {KEY: b"again"})
    assert ledger.rows.read([KEY]) == {KEY: b"again"}


def test_it_ends_with_a_transaction_that_is_rolled_back(ledger: Ledger, session: Session) -> None:
    with ledger.transaction():
        session.query(INSERT, 1, 1, b"i")
    with contextlib.suppress(ZeroDivisionError), ledger.transaction():
        session.query(RENUMBER, 2, 1)
        raise ZeroDivisionError
    assert numbers(session) == [1]
    with ledger.transaction():
        ledger.rows.write(1, 1, {KEY: b"says"})
    assert numbers(session) == [1]


def test_without_a_lock_a_transaction_that_is_cut_off_is_run_again(opened: Opened, database: Database) -> None:
    ledger = opened()
    assert isinstance(ledger, PostgresLedger)
    backends: list[int] = []

    def write() -> None:
        session = ledger.session
        session.query(INSERT, 1, len(backends), b"i")
        if not backends:
            database.execute(f"SELECT pg_terminate_backend({session.backend}, 10000)")
        backends.append(session.backend)
        session.query(RENUMBER, 9, 1)

    ledger.transact(write)
    assert len(set(backends)) == 2
    assert numbers(ledger.session) == [9]


def test_the_server_does_not_log_the_values_of_one_that_fails(
    ledger: Ledger, session: Session, postgres_server: PostgresServer
) -> None:
    value = secrets.token_bytes(16)
    with pytest.raises(LedgerError, match="SQLSTATE 22003"), ledger.transaction():
        session.query(INSERT, 1 << 40, 1, value)
    assert value.hex() not in postgres_server.log.read_text(errors="replace")


def test_names_and_times_arrive_as_they_are(ledger: Ledger, session: Session) -> None:
    name = "O'Brien \\ 100 % \u00fc; --"
    with ledger.transaction():
        number = ledger.catalogue.lists.add("1", name).number
        ledger.catalogue.sources.note_read(ledger.catalogue.sources.add(name), 1796024212.3357728)
        session.query("UPDATE lists SET hash_algorithm = ? WHERE list = ?", None, number)
    assert ledger.catalogue.lists.entry(number).name == name
    assert [each[1:] for each in ledger.catalogue.sources.all()] == [(name, 1796024212.3357728)]


@contextlib.contextmanager
def counted(session: Session, folder: Path) -> Iterator[list[int]]:
    """Yield a list that holds, after the block, how many round trips it took."""
    messages, trips = folder / "messages", list[int]()
    with messages.open("wb") as file:
        session.connection.pgconn.trace(file.fileno())
        yield trips
        session.connection.pgconn.untrace()
    trips.append(len(re.findall(r"\tF\t\d+\t(?:Query|Sync)\b", messages.read_text(errors="replace"))))


def test_it_costs_no_round_trip(ledger: Ledger, session: Session, tmp_path: Path) -> None:
    with ledger.transaction():
        session.query(INSERT, 1, 1, b"i")
    ledger.locks.take(["customers"], 10)
    with counted(session, tmp_path) as trips, ledger.transaction():
        session.query(RENUMBER, 2, 1)
        session.query("UPDATE runs SET outcome = ?, ended = ? WHERE run = ?", "clean", 1.5, 1)
        assert numbers(session) == [2]
        session.query(RENUMBER, 4, 1)
        ledger.catalogue.lists.pin("customers", 1)
    # To begin, to read, and to commit.
    assert trips == [3]


def test_a_lock_costs_few_round_trips(ledger: Ledger, session: Session, tmp_path: Path) -> None:
    ledger.locks.take(["customers"], 10)
    with counted(session, tmp_path) as trips:
        ledger.locks.take(["suppliers", "staff"], 10)
    # To begin, to see who has them, and to commit.
    assert trips == [3]
