"""What `overwrite` marks as seen, and how: rows that did not change are not written."""

from __future__ import annotations

from pathlib import Path

import pytest

from target_pinterest_audience.membership.events import Kind
from tests.support.ledgers import select
from tests.support.runs import Desk, Stage, digest, row
from tests.support.waiting import Clock

OVERWRITE = {"load_method": "overwrite"}


@pytest.fixture
def stage(tmp_path: Path, clock: Clock) -> Stage:
    return Stage(tmp_path, clock)


def read(stage: Stage, *people: int, key: tuple[str, ...] = ("id",)) -> None:
    with stage.session(**OVERWRITE) as desk:
        writer = desk.open(key=key)
        for line, person in enumerate(people, 1):
            writer.write(row(person, line, kind=Kind.GRANTED))
        desk.send()


def count_unseen(desk: Desk, before: int) -> int:
    return sum(map(len, desk.ledger.rows.unseen(1, before, 10)))


def test_rows_that_did_not_change_are_seen_and_not_written(stage: Stage, tmp_path: Path) -> None:
    read(stage, 1, 2, 3)
    url = f"sqlite:///{tmp_path}/ledger.db"
    before = select(url, "SELECT * FROM row_says ORDER BY row_key")
    for mark in (2, 3, 4):
        read(stage, 1, 2, 3)
        assert select(url, "SELECT * FROM row_says ORDER BY row_key") == before
        assert select(url, "SELECT MAX(mark), COUNT(DISTINCT mark) <= 2 FROM seen_keys") == [(mark, 1)]
        with stage.session() as desk:
            assert [count_unseen(desk, each) for each in (mark, mark + 1)] == [0, 3]


def test_upsert_leaves_no_marks_in_bulk(stage: Stage, tmp_path: Path) -> None:
    read(stage, 1, 2)
    with stage.session() as desk:
        desk.open().write(row(1, 1))
        desk.send()
    assert select(f"sqlite:///{tmp_path}/ledger.db", "SELECT * FROM seen_keys") == []


def test_rows_that_say_nothing_leave_no_key(stage: Stage, tmp_path: Path) -> None:
    read(stage, 1)
    with stage.session(**OVERWRITE) as desk:
        writer = desk.open()
        writer.write(row(1, 1))
        writer.write(row(2, 2)._replace(named={}))
        writer.write(row(3, 3, kind=Kind.DELETED))
        desk.send()
    assert select(f"sqlite:///{tmp_path}/ledger.db", "SELECT LENGTH(row_keys) FROM seen_keys") == [(16,)]


def test_a_refusal_without_a_key_stays_whatever_comes_later_in_the_run(stage: Stage) -> None:
    read(stage, 1, 2, key=())
    for _ in range(2):
        with stage.session(**OVERWRITE) as desk:
            writer = desk.open(key=())
            writer.write(row(1, 1, kind=Kind.REFUSED))
            desk.send()
            for line in (2, 3):
                writer.write(row(1, line, kind=Kind.GRANTED))
                writer.write(row(2, line, kind=Kind.GRANTED))
                desk.send()
            assert stage.account.members == {"1": {digest(2)}}
    read(stage, 1, 2, key=())
    assert stage.account.members == {"1": {digest(1), digest(2)}}


def test_a_process_that_dies_between_runs_leaves_few_keys(stage: Stage, tmp_path: Path) -> None:
    read(stage, *range(20))
    for _ in range(8):
        # No run ends cleanly.
        read(stage, *range(20))
        ((size,),) = select(f"sqlite:///{tmp_path}/ledger.db", "SELECT SUM(LENGTH(row_keys)) FROM seen_keys")
        assert size <= 2 * 20 * 16
