"""The marks of runs in both databases: those at rows, and those in bulk, against a model that has one mark for each."""

from __future__ import annotations

import contextlib
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping

import pytest

from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.marks import seen_keys, settling
from target_pinterest_audience.ledger.marks.seen_keys import PIECE_KEYS, KeysInOrder, Piece, joined, unpack
from target_pinterest_audience.ledger.marks.settling import foldable, forget_deleted, settle
from tests.support.ledgers import Opened, cut_twice, select
from tests.support.lengths import examples

SOURCES, READERS = (1, 2), (0, 3)


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def unseen(ledger: Ledger, source: int, before: int, reader: int = 0, limit: int = 10) -> list[bytes]:
    pages = [*ledger.rows.unseen(source, before, limit, reader)]
    assert all(0 < len(page) <= limit for page in pages)
    return [row for page in pages for row in page]


def write(ledger: Ledger, rows: Mapping[bytes, bytes], mark: int) -> None:
    with ledger.transaction():
        ledger.rows.write(1, mark, rows)


def note(ledger: Ledger, mark: int, numbers: Iterable[int], reader: int = 0) -> None:
    with ledger.transaction():
        ledger.rows.note_seen(1, mark, {key(number) for number in numbers}, reader)


def noted(ledger: Ledger) -> set[bytes]:
    """Return the keys that any run left in bulk."""
    found = [part for reader in READERS for part in ledger.rows.seen_keys.in_order(1, reader, 0).up_to(seen_keys.END)]
    return {each for part in found for each in unpack(part)}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pieces so small that a few rows have many of them."""
    monkeypatch.setattr(seen_keys, "PIECE_KEYS", 3)
    monkeypatch.setattr(seen_keys, "_PAGE_PIECES", 2)
    monkeypatch.setattr(seen_keys, "_MOST_PARAMETERS", 3)
    monkeypatch.setattr(settling, "_STEP_PIECES", 2)
    monkeypatch.setattr(settling, "_MOST_PARTIAL", 3)


class Model:
    """What a ledger with two sources and two readers should know, and the ledger, to which the same is done."""

    def __init__(self, ledger: Ledger, chance: random.Random) -> None:
        self.ledger = ledger
        self.chance = chance
        self.mark = dict.fromkeys(SOURCES, 1)
        self.owner: dict[bytes, int] = {}
        self.marks: dict[bytes, defaultdict[int, int]] = {}
        self.deleted: list[tuple[int, bytes]] = []

    def some(self, source: int, share: float) -> list[bytes]:
        return [row for row, owner in self.owner.items() if owner == source and self.chance.random() < share]

    def come(self) -> None:
        """Let new rows come, and rows that were deleted."""
        source = self.chance.choice(SOURCES)
        back = [row for owner, row in self.deleted if owner == source and self.chance.random() < 0.3]
        rows = {*back, *(self.chance.randbytes(16) for _ in range(self.chance.randint(0, 6)))}
        with self.ledger.transaction():
            self.ledger.rows.write(source, self.mark[source], dict.fromkeys(rows, b"said"))
            self.ledger.rows.mark_seen(self.mark[source], rows, READERS[1])
        for row in rows:
            self.owner[row] = source
            self.marks[row] = defaultdict(int, dict.fromkeys(READERS, self.mark[source]))

    def change(self) -> None:
        source = self.chance.choice(SOURCES)
        rows, mark = self.some(source, 0.1), self.chance.choice([0, self.mark[source]])
        with self.ledger.transaction():
            self.ledger.rows.write(source, mark, dict.fromkeys(rows, b"other"))
        self._seen(rows, mark, 0)

    def delete(self) -> None:
        source = self.chance.choice(SOURCES)
        rows = self.some(source, 0.1)
        with self.ledger.transaction():
            self.ledger.rows.write(source, self.mark[source], dict.fromkeys(rows, b""))
        for row in rows:
            self.deleted.append((self.owner.pop(row), row))
            del self.marks[row]

    def mark_each(self) -> None:
        source, reader = self.chance.choice(SOURCES), self.chance.choice(READERS)
        rows = self.some(source, 0.1)
        with self.ledger.transaction():
            self.ledger.rows.mark_seen(self.mark[source], rows, reader)
        self._seen(rows, self.mark[source], reader)

    def overwrite(self) -> None:
        """See most or some of the rows of a source, in a few windows, as a run does that is cut short or not."""
        source, share = self.chance.choice(SOURCES), self.chance.choice([0.3, 0.9, 0.95, 1.0])
        readers = self.chance.choice([READERS, READERS[:1], READERS[1:]])
        settle(self.ledger, source)
        self._check_size(source)
        self.mark[source] += 1
        for _ in range(self.chance.randint(1, 3)):
            rows = self.some(source, share)
            with self.ledger.transaction():
                for reader in readers:
                    self.ledger.rows.note_seen(source, self.mark[source], set(rows), reader)
            for reader in readers:
                self._seen(rows, self.mark[source], reader)

    def forget(self) -> None:
        with self.ledger.transaction():
            for source in SOURCES:
                forget_deleted(self.ledger, source)
        assert noted(self.ledger) <= self.owner.keys()

    def roll_back(self) -> None:
        source = self.chance.choice(SOURCES)
        with contextlib.suppress(ZeroDivisionError), self.ledger.transaction():
            self.ledger.rows.note_seen(source, 99, self.some(source, 1))
            forget_deleted(self.ledger, source)
            raise ZeroDivisionError

    def _seen(self, rows: list[bytes], mark: int, reader: int) -> None:
        for row in rows:
            self.marks[row][reader] = max(self.marks[row][reader], mark)

    def _check_size(self, source: int) -> None:
        for reader in READERS:
            sizes = self.ledger.rows.seen_keys.sizes(source, reader).values()
            assert sum(sizes) <= 2 * max(sizes, default=0)

    def check(self) -> None:
        for source in SOURCES:
            for reader in READERS:
                for before in range(self.mark[source] - 4, self.mark[source] + 2):
                    missing = sorted(
                        row for row, owner in self.owner.items() if owner == source and self.marks[row][reader] < before
                    )
                    assert unseen(self.ledger, source, before, reader, limit=3) == missing


@pytest.mark.usefixtures("small")
@pytest.mark.random
@pytest.mark.parametrize("seed", range(examples(2, 12)))
def test_rows_are_missing_exactly_if_no_run_saw_them(opened: Opened, seed: int) -> None:
    chance = random.Random(seed)
    ledger = opened()
    if seed % 2:
        cut_twice(ledger)
    model = Model(ledger, chance)
    deeds = [
        model.come, model.come, model.change, model.delete, model.mark_each, model.overwrite, model.overwrite,
        model.forget, model.roll_back,
    ]  # fmt: skip
    for number in range(120):
        chance.choice(deeds)()
        if number % 10 == 9:
            model.check()
        if number % 40 == 39:
            ledger.close()
            ledger = model.ledger = opened()
    assert model.deleted


class TestMarksInBulk:
    @pytest.fixture(autouse=True)
    def rows(self, ledger: Ledger) -> None:
        write(ledger, {key(number): b"said" for number in range(1, 101)}, 1)

    def test_a_mark_in_bulk_changes_no_row(self, ledger: Ledger, url: str) -> None:
        note(ledger, 2, range(1, 101))
        settle(ledger, 1)
        note(ledger, 3, range(1, 101))
        settle(ledger, 1)
        assert unseen(ledger, 1, 3) == []
        assert select(url, "SELECT DISTINCT seen FROM row_says") == [(1,)]
        assert select(url, "SELECT mark, SUM(LENGTH(row_keys)) FROM seen_keys GROUP BY mark") == [(3, 1_600)]

    def test_a_row_that_vanished_keeps_the_mark_of_the_last_run_that_saw_it(self, ledger: Ledger) -> None:
        for mark, last in [(2, 101), (3, 95), (4, 90), (5, 90)]:
            note(ledger, mark, range(1, last))
            settle(ledger, 1)
        missing = {before: len(unseen(ledger, 1, before)) for before in range(1, 7)}
        assert missing == {1: 0, 2: 0, 3: 6, 4: 11, 5: 11, 6: 100}
        assert ledger.rows.seen_keys.sizes(1, 0) == {5: 89}

    @pytest.mark.usefixtures("small")
    def test_the_keys_of_runs_that_were_cut_short_stay_few(self, ledger: Ledger) -> None:
        note(ledger, 2, range(1, 101))
        for mark in range(3, 40):
            settle(ledger, 1)
            assert sum(ledger.rows.seen_keys.sizes(1, 0).values()) <= 200
            note(ledger, mark, range(1, 41))
        assert unseen(ledger, 1, 3) == [key(number) for number in range(41, 101)]
        note(ledger, 40, range(1, 101))
        settle(ledger, 1)
        assert ledger.rows.seen_keys.sizes(1, 0) == {40: 100}

    @pytest.mark.usefixtures("small")
    def test_a_process_that_dies_while_it_settles_loses_no_mark(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        note(ledger, 2, range(1, 101))
        note(ledger, 3, range(1, 91))
        steps, drop = iter([True, True, True]), ledger.rows.seen_keys.drop

        def drop_or_die(source: int, reader: int, mark: int, numbers: list[int]) -> None:
            drop(source, reader, mark, numbers)
            if not next(steps, False):
                raise ZeroDivisionError

        with monkeypatch.context() as dying:
            dying.setattr(ledger.rows.seen_keys, "drop", drop_or_die)
            with pytest.raises(ZeroDivisionError):
                settle(ledger, 1)
        assert 0 < ledger.rows.seen_keys.sizes(1, 0)[2] < 100
        for _ in range(2):
            missing = [unseen(ledger, 1, before) for before in (2, 3, 4)]
            assert [len(each) for each in missing] == [0, 10, 100]
            settle(ledger, 1)
        assert ledger.rows.seen_keys.sizes(1, 0) == {3: 90}

    def test_pages_are_full_however_few_rows_of_a_source_are_missing(self, ledger: Ledger) -> None:
        note(ledger, 2, range(1, 101))
        note(ledger, 3, [number for number in range(1, 101) if number % 10])
        pages = [*ledger.rows.unseen(1, 3, 4)]
        assert pages == [
            [key(number) for number in numbers] for numbers in ((10, 20, 30, 40), (50, 60, 70, 80), (90, 100))
        ]

    def test_readers_are_marked_apart(self, ledger: Ledger) -> None:
        note(ledger, 2, range(1, 51), reader=3)
        note(ledger, 2, range(51, 101))
        assert [len(unseen(ledger, 1, 2, reader)) for reader in READERS] == [50, 50]
        note(ledger, 3, range(1, 41), reader=3)
        settle(ledger, 1)
        assert ledger.rows.marks([key(40), key(41)], 3) == {key(41): 2}
        assert len(unseen(ledger, 1, 3, 3)) == 60

    def test_the_key_of_a_deleted_row_goes_with_the_next_runs(self, ledger: Ledger) -> None:
        note(ledger, 2, range(1, 101))
        write(ledger, {key(7): b""}, 3)
        note(ledger, 4, range(8, 101))
        settle(ledger, 1)
        assert key(7) not in noted(ledger)
        assert key(6) not in noted(ledger)
        assert ledger.rows.marks([key(6), key(7)]) == {key(6): 2}

    def test_the_key_of_a_deleted_row_can_be_erased_at_once(self, ledger: Ledger) -> None:
        note(ledger, 2, range(1, 101))
        note(ledger, 2, range(1, 101), reader=3)
        write(ledger, {key(1): b"", key(100): b""}, 3)
        with ledger.transaction():
            forget_deleted(ledger, 1)
        assert noted(ledger) == {key(number) for number in range(2, 100)}
        write(ledger, dict.fromkeys(map(key, range(1, 101)), b""), 3)
        with ledger.transaction():
            forget_deleted(ledger, 1)
        assert ledger.rows.seen_keys.readers(1) == []

    def test_a_deleted_row_that_comes_back_has_its_newest_mark(self, ledger: Ledger) -> None:
        note(ledger, 2, range(1, 101))
        write(ledger, {key(7): b""}, 3)
        write(ledger, {key(7): b"back"}, 4)
        assert unseen(ledger, 1, 4) == [key(number) for number in range(1, 101) if number != 7]
        note(ledger, 5, range(1, 101))
        settle(ledger, 1)
        assert ledger.rows.marks([key(7)]) == {key(7): 4}

    def test_a_dry_run_changes_no_mark(self, ledger: Ledger, opened: Opened) -> None:
        note(ledger, 2, range(1, 51))
        dry = opened(dry=True)
        note(dry, 3, range(1, 101))
        settle(dry, 1)
        assert unseen(dry, 1, 3) == []
        assert len(unseen(ledger, 1, 2)) == 50
        assert ledger.rows.seen_keys.sizes(1, 0) == {2: 50}


@pytest.mark.parametrize(
    ("sizes", "folded"),
    [
        ({}, []),
        ({4: 10}, []),
        ({4: 100, 5: 100}, [4]),
        ({4: 100, 5: 51, 6: 50}, [4, 5]),
        ({4: 100, 5: 10, 6: 20}, []),
        ({3: 5, 4: 100, 5: 10, 6: 99}, [3, 4, 5]),
        ({4: 100, 5: 49, 6: 49}, []),
        ({4: 100, 5: 49, 6: 49, 7: 3}, [5, 6, 7]),
        ({4: 1_000, **dict.fromkeys(range(5, 60), 1)}, [*range(5, 60)]),
    ],
)
def test_the_newest_run_that_saw_most_rows_keeps_its_keys(sizes: dict[int, int], folded: list[int]) -> None:
    assert foldable(sizes) == folded


def test_keys_are_cut_into_sorted_pieces() -> None:
    chance = random.Random(1)
    keys = {chance.randbytes(16) for _ in range(2 * PIECE_KEYS + 5)}
    pieces = joined(keys)
    assert [len(piece) // 16 for piece in pieces] == [PIECE_KEYS, PIECE_KEYS, 5]
    assert [each for piece in pieces for each in unpack(piece)] == sorted(keys)
    assert joined(set()) == []


@pytest.mark.parametrize("seed", range(10))
def test_pieces_are_merged_stretch_by_stretch(seed: int) -> None:
    chance = random.Random(seed)
    keys = [[key(chance.randrange(200)) for _ in range(chance.randint(1, 9))] for _ in range(40)]
    pieces = sorted(Piece(min(some), 1, number, b"".join(sorted(some))) for number, some in enumerate(keys))

    def read(after: Piece, last: bytes) -> list[Piece]:
        return [each for each in pieces if each[:3] > after[:3] and each.first <= last][:3]

    merged, finished = KeysInOrder(read), list[int]()
    stretches = [*sorted(key(chance.randrange(200)) for _ in range(8)), seen_keys.END]
    after = b""
    for last in stretches:
        parts = [[*unpack(part)] for part in merged.up_to(last)]
        assert all(part == sorted(part) for part in parts)
        expected = sorted(each for some in keys for each in some if after < each <= last)
        assert sorted(each for part in parts for each in part) == expected
        finished += merged.take_finished()
        assert sorted(finished) == [number for number, some in enumerate(keys) if max(some) <= last]
        after = last
