"""What every ledger remembers of runs for people, whichever database it is in."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from target_pinterest_audience.ledger.history import PRUNE, RUN, SEVERAL_LISTS, Ending, ListFigures, RemovalEntry
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.notes import Note
from target_pinterest_audience.ledger.open import open_ledger
from target_pinterest_audience.ledger.schema import MIGRATIONS
from target_pinterest_audience.pinterest.request import Traffic
from target_pinterest_audience.reconcile.run_history import RunHistory
from tests.support.account import ACCOUNT
from tests.support.ledger_histories import ENDING, begin_run, end_run, note
from tests.support.ledgers import API, Opened, select

FIGURES = ListFigures(1, 5_000_000_000, 40, 12, 3, 1, {"NOT_AN_EMAIL": 2, "NOT_A_UUID": 1}, 4_999_999_999)
HOUR = 3_600.0


class TestEntries:
    def test_a_run_is_read_as_it_was_written(self, ledger: Ledger) -> None:
        unplaced = ListFigures(SEVERAL_LISTS, None, None, 0, 0, 0, {"KEY_IS_NULL": 4})
        with ledger.transaction():
            entry = ledger.history.begin(RUN, 10.25)
            ledger.history.end(entry, ENDING, [FIGURES, unplaced])
        (found,) = ledger.history.entries(10)
        assert (found.number, found.kind, found.started, found.ending) == (entry, RUN, 10.25, ENDING)
        assert found.lists == (unplaced, FIGURES)

    def test_an_error_message_is_stored_like_a_log_line(self, ledger: Ledger) -> None:
        # PostgreSQL stores no NUL, and no database a lone surrogate; names of lists may have both.
        message = 'List "a\x00b\ud800" of ada@example.com cannot be read.'
        history = RunHistory(ledger, lambda: 20.5)
        with ledger.transaction():
            history.begin(RUN)
            history.end(7, Traffic(), [], error=message)
        (found,) = ledger.history.entries(10)
        assert found.ending is not None
        assert found.ending.error == 'List "a\\x00b\\ud800" of [address] cannot be read.'

    def test_the_settings_and_successes_of_lists_are_read_for_each_run(self, ledger: Ledger) -> None:
        with ledger.transaction():
            ended = [ENDING, ENDING._replace(at=30.5), ENDING._replace(at=40.5, exit_code=4, error="Try again.")]
            runs = [begin_run(ledger, f"settings {n}", 10.0 + n) for n in range(3)]
            for run, ending, fed in zip(runs, ended, ([1, 2], [2], [1]), strict=True):
                end_run(ledger, run, ending, [], fed)
            ledger.history.begin(PRUNE, 50.0, acted_on=runs[1])
        assert ledger.catalogue.runs.last_successes() == {1: 20.5, 2: 30.5}
        assert ledger.catalogue.runs.configurations(runs[1]) == {runs[1]: "settings 1", runs[2]: "settings 2"}
        prune, failed, *_ = ledger.history.entries(10)
        assert (prune.acted_on, failed.ending) == (runs[1], ended[2])

    def test_a_run_that_did_not_end_has_no_end_time(self, ledger: Ledger) -> None:
        with ledger.transaction():
            ledger.history.begin(RUN, 1.0)
        (found,) = ledger.history.entries(10)
        assert (found.ending, found.lists) == (None, ())

    def test_the_newest_runs_come_first_up_to_the_limit(self, ledger: Ledger) -> None:
        numbers = [note(ledger, FIGURES._replace(added=n), PRUNE if n % 2 else RUN) for n in range(5)]
        found = ledger.history.entries(3)
        assert [each.number for each in found] == numbers[:1:-1]
        assert [each.kind for each in found] == [RUN, PRUNE, RUN]
        assert [each.lists[0].added for each in found] == [4, 3, 2]

    def test_an_unchanged_list_takes_no_space(self, ledger: Ledger) -> None:
        idle = FIGURES._replace(added=0, removed=0, refused=0, rejected={})
        steps = [idle, idle, idle._replace(members=7), idle._replace(members=7), idle._replace(members=7, matched=9)]
        for each in steps:
            note(ledger, each)
        note(ledger, idle._replace(list_number=2))
        assert [len(each.lists) for each in ledger.history.entries(10)][::-1] == [1, 0, 1, 0, 1, 1]

    def test_a_command_that_does_not_ask_for_matched_people_is_no_change(self, ledger: Ledger) -> None:
        idle = FIGURES._replace(added=0, removed=0, refused=0, rejected={})
        for each in (idle, idle._replace(matched=None), idle, idle._replace(contributing_rows=7, matched=None)):
            note(ledger, each)
        assert [len(each.lists) for each in ledger.history.entries(10)][::-1] == [1, 0, 0, 1]

    def test_rows_and_matched_people_are_known_as_they_were_at_a_time(self, opened: Opened) -> None:
        ledger, other = opened(), opened(account="549755885176")
        steps = [(10.0, None, None), (20.0, 100, 40), (30.0, 100, None), (40.0, 90, None), (50.0, 80, 0)]
        for started, rows, matched in steps:
            note(ledger, FIGURES._replace(contributing_rows=rows, matched=matched), started=started)
        note(ledger, FIGURES._replace(list_number=2, contributing_rows=6, matched=None), started=45.0)
        note(other, FIGURES._replace(list_number=3), started=45.0)
        assert ledger.history.matches_before(20.0) == {}
        assert ledger.history.matches_before(25.0) == {1: (100, 40)}
        assert ledger.history.matches_before(45.0) == {1: (90, 40)}
        assert ledger.history.matches_before(99.0) == {1: (80, 0), 2: (6, None)}

    def test_ad_accounts_have_their_own_history(self, opened: Opened) -> None:
        one, other = opened(), opened(account="549755885176")
        first = note(one, FIGURES)
        assert note(other, FIGURES) != first
        assert [each.number for each in one.history.entries(10)] == [first]


class TestRemovals:
    def test_removals_are_read_newest_first(self, ledger: Ledger) -> None:
        removals = [
            RemovalEntry(7, 1, 10.5, {"delete": 3, "change": 5_000_000_000}, "9007199254740993"),
            RemovalEntry(7, 2, 20.5, {"prune": 1}, None),
            RemovalEntry(8, 1, 30.5, {"refusal": 2}, "1"),
        ]
        with ledger.transaction():
            for each in removals:
                ledger.history.note_removal(each)
        assert ledger.history.removals(0, 10) == removals[::-1]
        assert ledger.history.removals(20.5, 10) == removals[:0:-1]
        assert ledger.history.removals(0, 1) == removals[2:]

    def test_ad_accounts_have_their_own_history(self, opened: Opened) -> None:
        one, other = opened(), opened(account="549755885176")
        for each in (one, other):
            with each.transaction():
                each.history.note_removal(RemovalEntry(1, 1, 10.5, {"delete": 3}, None))
        assert len(one.history.removals(0, 10)) == 1


class TestExpiry:
    def test_only_older_removals_are_deleted(self, url: str, opened: Opened) -> None:
        ledger, other = opened(), opened(account="549755885176")
        for started in (1.0, 2.0, 3.0):
            note(ledger, FIGURES, started=started)
            with ledger.transaction():
                ledger.history.note_removal(RemovalEntry(1, 1, started, {"delete": 1}, None))
        kept = note(other, FIGURES, started=1.0)
        with ledger.transaction():
            assert ledger.history.expire(3.0) == 4
        assert [(each.started, each.lists) for each in ledger.history.entries(10)] == [(3.0, (FIGURES,))]
        assert [each.accepted for each in ledger.history.removals(0, 10)] == [3.0]
        assert [(each.number, each.lists) for each in other.history.entries(10)] == [(kept, (FIGURES,))]
        assert select(url, "SELECT COUNT(*) FROM history_lists") == [(2,)]


class TestCausesOfNotes:
    def test_causes_are_read_with_their_note(self, ledger: Ledger) -> None:
        with ledger.transaction():
            removing = ledger.notes.add(1, [b"a", b"b"], bytes([2, 0]))
            adding = ledger.notes.add(1, [b"c"])
        found = [(note.number, note.identities, note.causes) for note in ledger.notes.of_list(1)]
        assert found == [(removing, [b"a", b"b"], bytes([2, 0])), (adding, [b"c"], b"")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def test_a_ledger_from_before_there_was_a_history_keeps_its_notes(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in (statement for step in MIGRATIONS[:2] for statement in step):
            connection.execute(statement.format(blob="BLOB", clustered="WITHOUT ROWID"))
        connection.execute("INSERT INTO unsettled VALUES (1, 1, x'91c40161')")
        connection.execute("PRAGMA user_version = 2")
        connection.commit()
    with closing(open_ledger(f"sqlite:///{path}", API, ACCOUNT, wait_seconds=1)) as ledger:
        assert list(ledger.notes.of_list(1)) == [Note(1, [b"a"], b"", None, None)]
        assert ledger.history.entries(10) == []


def test_a_year_of_hourly_runs_is_small(path: Path) -> None:
    url = f"sqlite:///{path}"
    open_ledger(url, API, ACCOUNT, wait_seconds=1).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")
    before = path.stat().st_size
    with closing(open_ledger(url, API, ACCOUNT, wait_seconds=1)) as ledger, ledger.transaction():
        for hour in range(24 * 365):
            entry = ledger.history.begin(RUN, 1.7e9 + hour * HOUR)
            ledger.history.end(entry, Ending(1.7e9 + hour * HOUR + 9.5, 0, 7, 0.0), [FIGURES])
            ledger.history.note_removal(RemovalEntry(entry, 1, 1.7e9 + hour * HOUR, {"change": 3}, "5103431563231134"))
    # Whoever closes a ledger last empties its log into it.
    assert 500_000 < path.stat().st_size - before < 2_500_000
