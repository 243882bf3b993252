"""The layers of the big tables of a SQLite ledger, against a model that has no tables."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.sqlite.big_tables import ROWS
from target_pinterest_audience.ledger.sqlite.connection import Connection
from target_pinterest_audience.ledger.sqlite.errors import Errors
from target_pinterest_audience.ledger.sqlite.keys import known_keys
from target_pinterest_audience.ledger.sqlite.keys.key_filter import KeyFilter
from target_pinterest_audience.ledger.sqlite.layers import USUAL, Layer, Layers, Sizes, due
from target_pinterest_audience.ledger.sqlite.sqlite_ledger import SqliteLedger
from target_pinterest_audience.membership.counts import NOBODY, Count
from tests.support.account import ACCOUNT
from tests.support.ledgers import API, select
from tests.support.lengths import examples

SMALL = Sizes(young=6, merged=2, filtered=4, counted=3, sampled=5)
SOURCES, LISTS = (1, 2), (1, 2, 3, 4, 5, 6)


def opened(path: Path, sizes: Sizes = SMALL) -> SqliteLedger:
    return SqliteLedger(path, API, ACCOUNT, wait_seconds=5, sizes=sizes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    with closing(opened(path)) as ledger:
        yield ledger


class Model:
    """What a ledger with two sources and two lists should know, and the ledger, to which the same is done."""

    def __init__(self, ledger: SqliteLedger, chance: random.Random) -> None:
        self.ledger = ledger
        self.chance = chance
        self.rows: dict[bytes, tuple[int, int, bytes]] = {}
        self.members: dict[tuple[int, bytes], Count] = {}
        with ledger.transaction():
            for name in LISTS:
                ledger.catalogue.lists.add(None, str(name))
        self.realm_keys: set[bytes] = set()
        self.prepared: list[tuple[int, dict[bytes, bytes], object, dict[int, list[bytes]], object]] = []

    def keys(self, known: list[bytes], most: int) -> list[bytes]:
        """Return some keys, known ones and new ones; those of one source or list have one form."""
        some = self.chance.sample(known, min(len(known), self.chance.randint(0, most)))
        return [*some, *(self.chance.randbytes(16) for _ in range(self.chance.randint(0, most)))]

    def write_rows(self) -> None:
        source = self.chance.choice(SOURCES)
        of_source = [key for key, (owner, _, _) in self.rows.items() if owner == source]
        mark = self.chance.randint(1, 9)
        says = {key: self.chance.randbytes(self.chance.choice([0, 5, 5, 9])) for key in self.keys(of_source, 8)}
        with self.ledger.transaction():
            self.ledger.rows.write(source, mark, says)
        for key, said in says.items():
            seen = max(mark, self.rows[key][1] if key in self.rows else 0)
            self.rows.pop(key, None)
            if said:
                self.rows[key] = (source, seen, said)

    def insert_rows(self) -> None:
        source, mark = self.chance.choice(SOURCES), self.chance.randint(1, 9)
        of_source = [key for key, (owner, _, _) in self.rows.items() if owner == source]
        known = [key for key in of_source if self.chance.random() < 1 / (4 * len(of_source))]
        says = {key: self.chance.randbytes(5) for key in [*self.keys([], 8), *known]}
        with self.ledger.transaction():
            inserted = self.ledger.rows.insert(source, mark, says)
        assert inserted == (not known)
        if inserted:
            self.rows.update((key, (source, mark, said)) for key, said in says.items())

    def mark_rows(self) -> None:
        mark, keys = self.chance.randint(1, 9), self.keys([*self.rows], 8)
        with self.ledger.transaction():
            self.ledger.rows.mark_seen(mark, keys)
        for key in keys:
            if key in self.rows:
                source, seen, said = self.rows[key]
                self.rows[key] = (source, max(seen, mark), said)

    def write_members(self) -> None:
        number = self.chance.choice(LISTS)
        known = [key for name, key in self.members if name == number]
        counts = {key: Count(self.chance.randint(0, 2), self.chance.randint(0, 1)) for key in self.keys(known, 8)}
        with self.ledger.transaction():
            self.ledger.members.write(number, counts)
        for key, count in counts.items():
            self.members.pop((number, key), None)
            if count != NOBODY:
                self.members[number, key] = count

    def insert_members(self) -> None:
        keys = self.new_members()
        with self.ledger.transaction():
            inserted = self.ledger.members.insert(keys)
        self.take_members(keys, inserted)

    def new_members(self) -> dict[int, list[bytes]]:
        """Return members for some lists, rarely one that the list knows or is about to."""
        keys = {}
        for number in self.chance.sample(LISTS, self.chance.choice([1, 1, 2, 4])):
            of_list = [key for name, key in self.members if name == number]
            of_list += [key for *_, given, _ in self.prepared for key in given.get(number, ())]
            some = [key for key in of_list if self.chance.random() < 1 / (4 * len(of_list))]
            keys[number] = [*self.keys([], 8), *some]
        return keys

    def take_members(self, keys: Mapping[int, list[bytes]], inserted: set[int]) -> None:
        """Do in the model what was done in the ledger, which may also decline the lists beside one with a known key."""
        known = {number for number, some in keys.items() if any((number, key) in self.members for key in some)}
        assert not inserted & known
        assert known or inserted == keys.keys()
        for number in inserted:
            self.members.update(((number, key), Count(1, 0)) for key in keys[number])

    def prepare(self) -> None:
        """Prepare a window, as the thread that reads the stream does, up to one ahead of the window being written."""
        if len(self.prepared) < 2:
            number = self.chance.choice(SOURCES)
            known = [key for key, (owner, _, _) in self.rows.items() if owner == number]
            known += [key for owner, says, _, _, _ in self.prepared for key in says if owner == number]
            rows = dict.fromkeys([*self.keys([], 8), *self.chance.sample(known, min(len(known), 1))][:8], b"12345")
            keys = self.new_members()
            ledger = self.ledger
            self.prepared.append((number, rows, ledger.rows.prepare(number, rows), keys, ledger.members.prepare(keys)))

    def write_prepared(self) -> None:
        if not self.prepared:
            return
        number, says, prepared_rows, keys, prepared_keys = self.prepared.pop(0)
        with self.ledger.transaction():
            inserted = self.ledger.rows.insert(number, 3, says, prepared_rows)
            # If one half is declined, the other half is often not tried.
            tried = inserted or self.chance.random() < 0.5
            counted = self.ledger.members.insert(keys, prepared_keys) if tried else None
        assert inserted == self.rows.keys().isdisjoint(says)
        if inserted:
            self.rows.update((key, (number, 3, said)) for key, said in says.items())
        if counted is not None:
            self.take_members(keys, counted)

    def suppress(self) -> None:
        key = self.chance.choice([*self.keys([key for _, key in self.members], 1), self.chance.randbytes(16)])
        with self.ledger.transaction():
            new = self.ledger.catalogue.suppressions.add(key, 1.0)
        assert new == (key not in self.realm_keys)
        self.realm_keys.add(key)
        for number in LISTS if new else ():
            was = self.members.get((number, key), NOBODY)
            self.members[number, key] = Count(was.contributors, was.refusers + 1)

    def lift(self) -> None:
        if not self.realm_keys:
            return
        key = self.chance.choice(sorted(self.realm_keys))
        # `write_members` knows nothing of refusals that must stay.
        if any(self.members.get((number, key), NOBODY).refusers == 0 for number in LISTS):
            return
        with self.ledger.transaction():
            lists = self.ledger.catalogue.suppressions.lift(key)
        self.realm_keys.discard(key)
        for number in LISTS:
            was = self.members.pop((number, key))
            now = Count(was.contributors, was.refusers - 1)
            if now != NOBODY:
                self.members[number, key] = now
        assert lists == [
            number for number in LISTS if (count := self.members.get((number, key))) and not count.refusers
        ]

    def tidy(self) -> None:
        self.ledger.tidy(self.chance.choice([1, 3, 5, 100]))

    def roll_back(self) -> None:
        with contextlib.suppress(ZeroDivisionError), self.ledger.transaction():
            gone = [key for name, key in self.members if name == 1]
            self.ledger.members.write(1, dict.fromkeys(gone, NOBODY))
            self.ledger.rows.write(1, 9, {key: b"" for key, (source, _, _) in self.rows.items() if source == 1})
            self.ledger.members.read(1, [self.chance.randbytes(16) for _ in range(5)])
            self.ledger.rows.insert(1, 1, {self.chance.randbytes(16): b"12345" for _ in range(5)})
            self.ledger.members.insert({1: [self.chance.randbytes(16) for _ in range(5)]})
            raise ZeroDivisionError

    def check(self) -> None:
        rows, members = self.ledger.rows, self.ledger.members
        strangers = [self.chance.randbytes(16) for _ in range(3)]
        assert rows.read([*self.rows, *strangers]) == {key: said for key, (_, _, said) in self.rows.items()}
        assert rows.marks([*self.rows, *strangers]) == {key: seen for key, (_, seen, _) in self.rows.items()}
        claimed = {key: self.chance.choice([said, said, b"", b"other"]) for key, (_, _, said) in self.rows.items()}
        differing = {key: self.rows[key][2] for key, said in claimed.items() if said != self.rows[key][2]}
        assert rows.differing({**claimed, strangers[0]: b"", strangers[1]: b"says"}) == {**differing, strangers[1]: b""}
        for source in SOURCES:
            of_source = {key: (seen, said) for key, (owner, seen, said) in self.rows.items() if owner == source}
            assert pages(partial(rows.of_source, source, limit=3)) == {
                key: said for key, (_, said) in of_source.items()
            }
            unseen = [key for page in rows.unseen(source, 5, 3) for key in page]
            assert unseen == sorted(key for key, (seen, _) in of_source.items() if seen < 5)
        for number in LISTS:
            of_list = {key: count for (name, key), count in self.members.items() if name == number}
            assert members.read(number, [*of_list, *strangers]) == of_list


def pages(page: Callable[..., list[tuple[bytes, bytes]]]) -> Mapping[bytes, bytes]:
    found: list[tuple[bytes, bytes]] = []
    while some := page(after=found[-1][0] if found else b""):
        found += some
    assert found == sorted(found)
    return dict(found)


@pytest.mark.random
@pytest.mark.parametrize("seed", range(examples(3, 24)))
def test_a_ledger_knows_the_same_whichever_layers_its_rows_are_in(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    ledger = opened(path)
    model = Model(ledger, chance)
    deeds = [
        model.write_rows, model.insert_rows, model.mark_rows, model.write_members, model.insert_members, model.suppress,
        model.lift, model.tidy, model.tidy, model.tidy, model.roll_back, model.prepare, model.prepare,
        model.write_prepared, model.write_prepared,
    ]  # fmt: skip
    layers = 0
    for number in range(250):
        chance.choice(deeds)()
        if number % 10 == 9:
            model.check()
            layers = max(layers, *(count for _, count in select(f"sqlite:///{path}", PER_TABLE)), 0)
        if number % 40 == 39:
            ledger.close()
            model.prepared.clear()
            ledger = model.ledger = opened(path, chance.choice([SMALL, SMALL, USUAL]))
    ledger.close()
    assert layers >= 3


PER_TABLE = "SELECT 'none', 0 UNION ALL SELECT table_name, COUNT(*) FROM layers GROUP BY table_name"


def fill(ledger: SqliteLedger, keys: Sequence[bytes]) -> None:
    """Add rows to a ledger, seven at a time."""
    for start in range(0, len(keys), 7):
        some = keys[start : start + 7]
        ledger.tidy(len(some))
        with ledger.transaction():
            assert ledger.rows.insert(1, 1, dict.fromkeys(some, b"said"))


def test_rows_that_are_not_new_move_nothing_after_the_first_window(path: Path, ledger: SqliteLedger) -> None:
    chance = random.Random(7)
    keys = [chance.randbytes(16) for _ in range(200)]
    fill(ledger, keys)
    state = "SELECT * FROM layers ORDER BY 1, 2"
    ledger.tidy(100)
    before = select(f"sqlite:///{path}", state)
    assert any(target is not None for *_, target in before)
    for start in range(0, 200, 50):
        ledger.tidy(50)
        with ledger.transaction():
            ledger.rows.write(1, 1, dict.fromkeys(keys[start : start + 50], b"else"))
    ledger.tidy(50)
    assert select(f"sqlite:///{path}", state) == before


def test_each_key_is_in_one_table_only_and_no_table_is_left_over(path: Path, ledger: SqliteLedger) -> None:
    chance = random.Random(1)
    fill(ledger, [chance.randbytes(16) for _ in range(200)])
    for _ in range(200):
        with closing(opened(path)) as next_run:
            next_run.tidy(100)
    names = {
        name for (name,) in select(f"sqlite:///{path}", "SELECT name FROM sqlite_master WHERE name LIKE 'row_says%'")
    }
    layers = select(f"sqlite:///{path}", "SELECT layer, row_count, target FROM layers WHERE table_name = 'row_says'")
    assert names == {"row_says", *(f"row_says_layer_{number}" for number, _, _ in layers)}
    counts = {
        name: count
        for name in names
        for ((count,),) in [select(f"sqlite:///{path}", f"SELECT COUNT(*) FROM {name}")]  # noqa: S608 - names of ours
    }
    assert sum(counts.values()) == 200
    assert {f"row_says_layer_{number}": rows for number, rows, _ in layers}.items() <= counts.items()
    assert [target for _, _, target in layers if target is not None] == []
    assert len(layers) < 12


def test_a_large_ledger_without_layers_becomes_one(path: Path) -> None:
    keys = [bytes([number]) * 16 for number in range(40)]
    with closing(opened(path, USUAL)) as ledger, ledger.transaction():
        ledger.rows.write(1, 1, dict.fromkeys(keys, b"said"))
    with closing(opened(path)) as ledger:
        ledger.tidy(100)
        assert select(f"sqlite:///{path}", "SELECT table_name, layer, row_count FROM layers") == [("row_says", 1, 40)]
        with ledger.transaction():
            assert not ledger.rows.insert(1, 1, {keys[7]: b"other", b"n" * 16: b"new"})
        assert ledger.rows.read([*keys, b"n" * 16]) == dict.fromkeys(keys, b"said")


def test_a_reader_finds_every_row_while_another_process_moves_them(path: Path) -> None:
    chance = random.Random(4)
    keys = [chance.randbytes(16) for _ in range(30)]
    with closing(opened(path)) as writer, closing(opened(path)) as reader:
        with writer.transaction():
            writer.rows.write(1, 1, dict.fromkeys(keys, b"said"))
            writer.members.write(1, dict.fromkeys(keys, Count(1, 0)))
        moved = threading.Event()

        def move() -> None:
            for _ in range(150):
                with writer.transaction():
                    writer.rows.insert(1, 1, {chance.randbytes(16): b"new" for _ in range(4)})
                    writer.members.insert({1: [chance.randbytes(16) for _ in range(4)]})
                writer.tidy(4)
            moved.set()

        mover = threading.Thread(target=move)
        mover.start()
        try:
            while not moved.is_set():
                assert len(reader.rows.read(keys)) == len(keys)
                assert len(reader.rows.marks(keys)) == len(keys)
                assert not reader.rows.differing(dict.fromkeys(keys, b"said"))
                assert len(reader.members.read(1, keys)) == len(keys)
                assert {*keys} <= {row for row, _ in reader.rows.of_source(1, b"", 10_000)}
        finally:
            mover.join()


def test_a_few_rows_move_nothing(path: Path) -> None:
    with closing(opened(path, USUAL)) as ledger, ledger.transaction():
        ledger.rows.write(1, 1, {bytes([number]) * 16: b"said" for number in range(40)})
    with closing(opened(path)) as ledger:
        ledger.tidy(SMALL.counted - 1)
    assert select(f"sqlite:///{path}", "SELECT * FROM layers") == []


def test_a_ledger_without_the_table_of_a_layer_is_damaged(path: Path) -> None:
    with closing(opened(path)) as ledger:
        with ledger.transaction():
            ledger.members.write(1, {bytes([number]) * 16: Count(1, 0) for number in range(40)})
        ledger.tidy(100)
    with closing(sqlite3.connect(path)) as file:
        file.execute("DROP TABLE members_layer_1")
    with pytest.raises(LedgerError, match="damaged: a table is missing"):
        opened(path)


def test_layers_of_about_the_same_size_become_one() -> None:
    sizes = Sizes(young=100, merged=3)
    small, medium, large = (Layer(number, rows, None) for number, rows in [(1, 40), (2, 250), (3, 700)])
    assert due([small, medium, large], sizes) == []
    assert due([small, medium, small, medium], sizes) == []
    assert due([medium, small, small, large, small, medium], sizes) == [[small, small, small]]
    assert due([medium, small, small, large, small, medium, medium], sizes) == [[small] * 3, [medium] * 3]


def test_layers_that_move_or_are_moved_to_are_left_alone() -> None:
    sizes = Sizes(young=100, merged=2)
    moving, target, others = Layer(1, 40, 2), Layer(2, 40, None), [Layer(3, 40, None), Layer(4, 40, None)]
    assert due([moving, moving, target, others[0]], sizes) == []
    assert due([moving, moving, target, *others], sizes) == [others]


def test_small_layers_do_not_wait_until_large_ones_have_moved(path: Path) -> None:
    chance = random.Random(5)
    most = 0
    with closing(opened(path, Sizes(young=8, merged=4, pace=2, filtered=4, counted=4))) as ledger:
        for _ in range(400):
            ledger.tidy(5)
            with ledger.transaction():
                assert ledger.rows.insert(1, 1, {chance.randbytes(16): b"said" for _ in range(5)})
            ((layers,),) = select(f"sqlite:///{path}", "SELECT COUNT(*) FROM layers WHERE table_name = 'row_says'")
            most = max(most, layers)
        assert len(ledger.rows.of_source(1, b"", 10_000)) == 2000
    assert most < 40


def test_rows_are_looked_for_first_where_a_sample_of_them_is(path: Path) -> None:
    keys = [number.to_bytes(16, "big") for number in range(400)]
    sizes = Sizes(young=40, merged=1000, counted=1, sampled=40)
    with closing(opened(path, sizes)) as ledger:
        for start in range(0, len(keys), 40):
            ledger.tidy(40)
            with ledger.transaction():
                ledger.rows.write(1, 1, dict.fromkeys(keys[start : start + 40], b"said"))
    with closing(sqlite3.connect(path)) as raw:
        layers = Layers(Connection(raw, Errors("The ledger", writes=False)), ROWS, sizes)
        names = layers.names()
        assert len(names) == 10
        assert {*[*layers.guess(keys[130:190], 1)][:2]} == {"row_says_layer_4", "row_says_layer_5"}
        assert next(iter(layers.guess(keys[360:], 1))) == "row_says"
        assert sorted(layers.guess(keys[130:190], 1)) == sorted(names)
        assert [*layers.guess(keys[130:150], 1)] == names


def test_rows_are_found_in_any_number_of_layers(path: Path) -> None:
    chance = random.Random(6)
    keys = [chance.randbytes(16) for _ in range(680)]  # more layers than SQLite takes arguments
    with closing(opened(path, Sizes(young=4, merged=1000, filtered=4, counted=4))) as ledger:
        for start in range(0, len(keys), 5):
            ledger.tidy(5)
            some = keys[start : start + 5]
            with ledger.transaction():
                assert ledger.rows.insert(1, 1, dict.fromkeys(some, b"said"))
                assert ledger.members.insert({1: some})
        assert ledger.rows.read(keys) == dict.fromkeys(keys, b"said")
        assert ledger.members.read(1, keys) == dict.fromkeys(keys, Count(1, 0))
        with ledger.transaction():
            ledger.rows.write(1, 1, dict.fromkeys(keys, b"else"))
        assert len(ledger.rows.differing(dict.fromkeys(keys, b"said"))) == len(keys)


@pytest.mark.parametrize(("memory", "reads"), [(1 << 40, [False, True]), (1, [True, True])])
def test_all_keys_are_read_once_looking_keys_up_has_taken_as_long(
    path: Path, monkeypatch: pytest.MonkeyPatch, memory: int, reads: list[bool]
) -> None:
    made: list[KeyFilter] = []

    def make() -> KeyFilter:
        made.append(KeyFilter(1 << 20))
        return made[-1]

    monkeypatch.setattr(known_keys, "memory_bytes", lambda: memory)
    monkeypatch.setattr(known_keys, "_new_filter", make)
    chance = random.Random(8)
    with closing(opened(path, Sizes(young=40, merged=1000, filtered=10, counted=1))) as ledger:
        for _ in range(10):
            ledger.tidy(40)
            with ledger.transaction():
                ledger.members.write(1, {chance.randbytes(16): Count(1, 0) for _ in range(40)})
        ledger.tidy(40)
        made.clear()
        # A look-up in ten layers, each of 40 members, is as good as ten keys that are read for the filter.
        for expected in reads:
            with ledger.transaction():
                assert ledger.members.read(1, [chance.randbytes(16) for _ in range(30)]) == {}
            assert bool(made) is expected


def test_a_change_looks_a_row_up_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(9)
    keys = [chance.randbytes(16) for _ in range(200)]
    asked: list[bytes] = []
    find = Layers.find

    def watched(self: Layers, value: str, keys: list[bytes], owner: int) -> object:
        asked.extend(keys)
        return find(self, value, keys, owner)

    with closing(opened(path)) as ledger:
        fill(ledger, keys)
        monkeypatch.setattr(Layers, "find", watched)
        with ledger.transaction():
            assert ledger.rows.read(keys[:50]).keys() == {*keys[:50]}
            ledger.rows.write(1, 1, {**dict.fromkeys(keys[:25], b"else"), **dict.fromkeys(keys[25:50], b"")})
        assert asked == keys[:50]
        assert ledger.rows.read(keys).keys() == {*keys[:25], *keys[50:]}


def tables_of(path: Path, key: bytes) -> list[str]:
    """Return the names of the tables that a key is in."""
    names = select(f"sqlite:///{path}", "SELECT name FROM sqlite_master WHERE name GLOB '*_layer_*'")
    columns = [("row_says", "row_key"), ("members", "identity")]
    columns += [(name, "row_key" if name.startswith("row") else "identity") for (name,) in names]
    with closing(sqlite3.connect(path)) as raw:
        return [
            name
            for name, column in columns
            if raw.execute(f"SELECT 1 FROM {name} WHERE {column} = ?", (key,)).fetchall()  # noqa: S608 - names of ours
        ]


def test_what_is_remembered_of_a_key_ends_with_a_write(path: Path) -> None:
    chance = random.Random(10)
    keys = [chance.randbytes(16) for _ in range(200)]
    one, two, three = keys[:3]
    with closing(opened(path)) as ledger:
        fill(ledger, keys)
        with ledger.transaction():
            number = ledger.catalogue.lists.add(None, "1").number
            ledger.members.write(number, dict.fromkeys(keys, Count(1, 0)))
        ledger.tidy(200)
        with ledger.transaction():
            assert ledger.members.read(number, [one, two, three]).keys() == {one, two, three}
            ledger.members.write(number, {one: NOBODY, two: NOBODY})
            assert ledger.members.insert({number: [one]})
            ledger.catalogue.suppressions.add(two, 1.0)
            ledger.members.write(number, {one: Count(2, 0), two: Count(1, 1)})
            new = chance.randbytes(16)
            assert ledger.rows.differing({one: b"new", new: b"new"}) == {one: b"said", new: b""}
            ledger.rows.write(1, 1, {one: b""})
            assert ledger.rows.insert(1, 1, {one: b"new", new: b"new"})
            ledger.rows.write(1, 1, {one: b"newer", new: b""})
        assert len(tables_of(path, one)) == len(tables_of(path, two)) == 2  # one of the rows, and one of the members
        assert tables_of(path, new) == []
