"""The real target in this process, a source that keeps a log, and a death at any instant."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast
from unittest.mock import patch

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.sqlite.layers import USUAL, Sizes
from target_pinterest_audience.ledger.sqlite.sqlite_ledger import SqliteLedger
from target_pinterest_audience.ledger.tenure import Tenure
from target_pinterest_audience.membership.healing import SAFE_SECONDS
from target_pinterest_audience.reconcile import reconciler
from target_pinterest_audience.reconcile.session import Session
from target_pinterest_audience.routing.plan import FormerLists
from target_pinterest_audience.run.run import Run
from target_pinterest_audience.run.states import StateGate
from target_pinterest_audience.singer.target import TargetPinterestAudience
from tests.support.accounts import Account, Fate, Killed, Pinterest
from tests.support.ledgers import take_over
from tests.support.messages import record, schema
from tests.support.model import (
    ALL_LISTS,
    CONSENT,
    DELETED,
    SEGMENT,
    TYPES,
    HoldOut,
    Member,
    Model,
    belonging,
    contributing,
    members_of,
)
from tests.support.waiting import Clock

LIST: Final = "customers"
"""The list of all streams; LR_IDs go to one of their own beside it."""

ACCOUNT: Final = "1"

SETTINGS: Final[Mapping[str, Any]] = {
    "ad_account_id": ACCOUNT,
    "access_token": "x",
    "customer_list_name": LIST,
    "max_removal_percent": 100,
    "max_deleted_percent": 100,
    "streams": {
        "accounts": {"consent_column": CONSENT},
        "blocked": {"operation": "remove"},
        "visitors": {"holdout_percent": 0},
        "segments": {"list_name_column": SEGMENT},
        "*": {},
    },
}


class MortalLedger(SqliteLedger):
    """A ledger whose process can die at its commits. A power cut is not among its deaths."""

    def __init__(self, path: Path, fate: Fate, api_url: str, sizes: Sizes) -> None:
        self._fate = fate
        super().__init__(path, api_url, ACCOUNT, wait_seconds=10, sizes=sizes)
        self._connection.raw.execute("PRAGMA synchronous = OFF")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            yield
            self._fate.instant("before commit")
        self._fate.instant("after commit")


class Columns(NamedTuple):
    """A SCHEMA in the source's log."""

    stream: str
    columns: tuple[str, ...]


class Change(NamedTuple):
    """A RECORD in the source's log."""

    stream: str
    record: dict[str, Any]


class Mark(NamedTuple):
    """A STATE in the source's log."""


Entry = Columns | Change | Mark


class Way(NamedTuple):
    """How a run goes about it."""

    batch: int = 10_000
    window: int = 50_000
    pauses: tuple[int, ...] = (0,)
    """The seconds that pass after each block of messages, over and over."""
    blocks: tuple[int, ...] = (1,)
    """How many messages come at once, over and over."""
    late: tuple[int, ...] = (0,)
    """Before how many further requests an unanswered attempt of each is carried out, over and over; 0: none is."""
    sizes: Sizes = USUAL
    """How large the tables of the ledger grow."""


def change(stream: str, key: object = None, *, deleted: bool = False, **values: Any) -> Change:
    """Return a row as it comes; a keyless stream has no key."""
    marks = {DELETED: "2026-11-21T00:00:00Z"} if deleted else {}
    return Change(stream, {"id": key, **values, **marks})


class World:
    """A source that keeps a log, the target with its ledger, Pinterest, and the model of it all.

    Attributes:
        log: all that happened at the source.
        covered: how much of the log the last STATE covers.
        runs: what the target's runs saw before they ended, the newest last.
    """

    def __init__(
        self,
        folder: Path,
        columns: Mapping[str, tuple[str, ...]],
        strangers: Iterable[Member] = (),
        account: Account | None = None,
    ) -> None:
        self._folder = folder
        self.pinterest = Pinterest()
        self._account: Account = account or self.pinterest
        self._model = Model(
            consents={"accounts"},
            removing={"blocked"},
            keyless={"visitors"},
            routed={"segments"},
            strangers=set(strangers),
        )
        for name, those in itertools.groupby(sorted(strangers), lambda each: each.list_name):
            self._account.place(name, [each.identity for each in those])
        self.log: list[Entry] = []
        self.covered = 0
        self.runs: list[Fate] = []
        self._said = [self._model.statements()]
        """What rows say after so many entries of the log."""
        self._known = 0
        """How much of the log the target has ever read."""
        self.clock = Clock()
        self.clock.now = 1e9
        self._haunted: dict[Member, float | None] = {}
        """Whom a late request may put anywhere → from when on a run puts that right; None: another run comes before."""
        self._may_owe = False
        """Whether something may be there to be sent once more."""
        self._holdout: dict[str, Any] = {}
        """The settings of the hold-out."""
        self._start = dict(columns)
        for stream, names in columns.items():
            self._model.set_columns(stream, names)

    def begin_log(self) -> None:
        """Let the source begin a new log, in which nothing has happened yet."""
        for entry in self.log:
            if isinstance(entry, Columns):
                self._start[entry.stream] = entry.columns
        self.log.clear()
        self.covered = self._known = 0
        self._said = [self._model.statements()]

    def hold_out(self, holdout: HoldOut) -> None:
        """Change the hold-out, once all that happened is read, and show each row again as it is.

        A change concerns only the rows that are read after it, so the source begins a new log.
        """
        assert self.run()
        self.show_latest()
        shown = [entry for entry in self.log if isinstance(entry, Change)]
        self.begin_log()
        self._model.holdout = holdout
        self._holdout = {"holdout_percent": holdout.percent, "holdout_salt": holdout.salt}
        self.happen(*shown)

    def happen(self, *entries: Entry) -> None:
        """Let things happen at the source."""
        for entry in entries:
            if isinstance(entry, Columns):
                self._model.set_columns(*entry)
            elif isinstance(entry, Change):
                self._model.apply(*entry)
            self.log.append(entry)
            self._said.append(self._model.statements())

    def show_latest(self) -> None:
        """Let the source show each row in its last form only, as a table does."""
        columns, seen = dict(self._start), set()
        for entry in self.log:
            if isinstance(entry, Columns):
                columns[entry.stream] = entry.columns
        for place, entry in reversed(list(enumerate(self.log))):
            if isinstance(entry, Change):
                row = (entry.stream, entry.record["id"])
                if row in seen:
                    self.log[place] = Columns(entry.stream, columns[entry.stream])
                seen.add(row)

    def run(self, way: Way = Way(), dies: int | str | None = None, *, early: bool = False) -> bool:  # noqa: B008 - immutable
        """Replay the log from the last STATE.

        Args:
            way: how the run goes about it.
            dies: after how many instants it dies, or in which; None if it does not.
            early: whether instants count before it reads rows.

        Returns:
            Whether it survived.
        """
        fate = Fate(last=dies) if isinstance(dies, str) else Fate(dies)
        fate.reads_rows = early
        began = self.clock.now
        survived = self._read(self._messages(fate), way, fate)
        self._note_haunted(began, survived=survived)
        if survived:
            assert self.covered == len(self.log), "the last STATE was not written"
            if not self._account.refused:
                self._check()
        return survived

    def run_overtaken(self, way: Way, blocks: int, entries: Iterable[Entry], by: Way) -> bool:
        """Let another run take the locks of one that is at work; what that one still holds is out of date then.

        Args:
            way: how the first goes about it.
            blocks: after how many blocks of messages it happens.
            entries: what has happened at the source by then.
            by: how the second goes about it.

        Returns:
            Whether it came to that before the first ended.
        """

        def overtake() -> None:
            first = self._account.fate, self._account.late, self._account.tenure
            take_over(self._folder / "ledger.db")
            self.happen(*entries)
            assert self.run(by)
            written.append(self._account.count_writes())
            self._account.fate, self._account.late, self._account.tenure = first

        written: list[int] = []
        began, fate = self.clock.now, Fate()
        survived = self._read(self._messages(fate), way, fate, {blocks: overtake})
        self._note_haunted(began, survived=survived)
        assert survived == (not written)
        assert written in ([], [self._account.count_writes()]), "it sent something after it had lost its locks"
        return not survived

    def heal(self) -> None:
        """Let so much time pass that no request is carried out any more, and put right what late ones did."""
        if self._may_owe:
            assert self.run()
            self.wait(SAFE_SECONDS + 1)
            assert self.run()
            assert not self._haunted
            self._may_owe = False

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds
        self._account.pass_time(self.clock.now)

    def _note_haunted(self, began: float, *, survived: bool) -> None:
        """Keep in mind whom late requests may put anywhere, after a run.

        Args:
            began: when it began.
            survived: whether it came to its end.
        """
        self._take_haunted()
        self._may_owe = self._may_owe or not survived
        healed = {each for each, due in self._haunted.items() if due is not None and due <= began}
        for each in healed:
            if survived:
                del self._haunted[each]
            else:
                # Perhaps it was being sent once more.
                self._haunted[each] = None
        if survived:
            due = self.clock.now + SAFE_SECONDS
            self._haunted.update({each: due for each, known in self._haunted.items() if known is None})

    def _take_haunted(self) -> None:
        new = self._account.haunted()
        self._haunted.update(dict.fromkeys(new))
        self._may_owe = self._may_owe or bool(new)

    def repeat(self, way: Way = Way()) -> None:  # noqa: B008 - immutable
        """Read the last event of each row once more: nothing is new, so nothing is sent."""
        self.heal()
        last: dict[tuple[object, ...], list[str]] = {}
        columns = dict(self._start)
        for entry in self.log:
            if isinstance(entry, Columns):
                columns[entry.stream] = entry.columns
            elif isinstance(entry, Change):
                described = self._schema(entry.stream, columns)
                for key, row in _by_row(entry, columns[entry.stream]):
                    # What came last for one row comes after what came last for another.
                    last.pop(key, None)
                    last[key] = [described, json.dumps(record(entry.stream, **row))]
        # All streams are there: one that only removes creates no list by itself.
        begin = [self._schema(stream, self._start) for stream in self._start]
        messages = itertools.chain(begin, *last.values())
        before = self._account.count_writes()
        assert self._read(messages, way._replace(late=(0,)), Fate())
        assert self._account.count_writes() == before
        self._check()

    def _messages(self, fate: Fate) -> Iterator[str]:
        columns, end = dict(self._start), len(self.log)
        for entry in self.log[: self.covered]:
            if isinstance(entry, Columns):
                columns[entry.stream] = entry.columns
        yield from [self._schema(stream, columns) for stream in columns]
        fate.reads_rows = True
        for number, entry in enumerate(self.log[self.covered :], self.covered + 1):
            self._known = max(self._known, number)
            if isinstance(entry, Columns):
                yield self._schema(entry.stream, {entry.stream: entry.columns})
            elif isinstance(entry, Change):
                yield json.dumps(record(entry.stream, **entry.record))
            else:
                yield json.dumps({"type": "STATE", "value": number})
        yield json.dumps({"type": "STATE", "value": end})

    @staticmethod
    def _schema(stream: str, columns: Mapping[str, Sequence[str]]) -> str:
        extra = {"accounts": [CONSENT], "segments": [SEGMENT]}.get(stream, [])
        key = () if stream == "visitors" else ("id",)
        return json.dumps(schema(*columns[stream], DELETED, *extra, stream=stream, key=key))

    def _read(
        self,
        messages: Iterator[str],
        way: Way,
        fate: Fate,
        meanwhile: Mapping[int, Callable[[], None]] = MappingProxyType({}),
    ) -> bool:
        """Let the target read messages; return whether it survived.

        Args:
            messages: the stream.
            way: how the run goes about it.
            fate: when it dies.
            meanwhile: after how many blocks of messages → what happens then.
        """
        self.runs.append(fate)
        self._account.fate = fate
        self._account.late = itertools.cycle(way.late)
        clock = self.clock
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        target = self._target(way, fate, clock)

        def paced() -> Iterator[str]:
            sizes = zip(itertools.cycle(way.blocks), itertools.cycle(way.pauses), strict=False)
            for number, (size, pause) in enumerate(sizes):
                block = "".join(line + "\n" for line in itertools.islice(messages, size))
                if not block:
                    return
                meanwhile.get(number, int)()
                yield block
                self.wait(pause)

        try:
            with patch.object(reconciler, "WINDOW_VALUES", way.window):
                target.listen(cast("Any", paced()))
        except self._account.failures:
            return False
        except LedgerError as error:
            if not meanwhile:
                raise
            assert "lost its locks" in str(error)  # noqa: PT017 - it may not come
            return False
        finally:
            # The dead write nothing.
            with contextlib.suppress(Killed):
                target.current_run.close()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        assert all(tally.is_balanced for tally in target.run_log.tallies.values()), target.run_log.tallies
        return True

    def _target(self, way: Way, fate: Fate, clock: Callable[[], float]) -> TargetPinterestAudience:
        path = self._folder / "ledger.db"
        target = TargetPinterestAudience(
            config={
                **SETTINGS,
                **self._account.settings,
                **self._holdout,
                "batch_size_rows": way.batch,
                "ledger_url": f"sqlite:///{path}",
            }
        )
        settings, logger = target.settings, logging.getLogger("test")

        def write_state(number: Any) -> None:
            fate.instant("before STATE")
            self._state_written(number)
            fate.instant("after STATE")

        tenure = self._account.tenure = Tenure()

        def find_ledger(*, create: bool) -> Ledger | None:
            ledger = self._ledger(fate, way.sizes) if create or path.exists() else None
            if ledger is not None:
                tenure.begin(ledger)
            return ledger

        target.current_run = Run(
            self._account.delivery(settings, logger),
            find_ledger,
            lambda ledger, delivery, *, in_history: Session(
                ledger, settings, delivery, logger, clock, clock, in_history=in_history
            ),
            lambda *_: FormerLists([], []),
            StateGate(write_state, clock),
        )
        return target

    def _ledger(self, fate: Fate, sizes: Sizes = USUAL) -> MortalLedger:
        return MortalLedger(self._folder / "ledger.db", fate, self._account.settings["api_url"], sizes)

    # What must be so

    def _state_written(self, number: int) -> None:
        """Hold a STATE against Pinterest, as far as nothing that was read since can have changed it."""
        self.covered = number
        since = self._said[number : max(self._known, number) + 1]
        touched = {each.member for each in frozenset().union(*since) - frozenset.intersection(*since)}
        touched |= {Member(name, identity) for name in ALL_LISTS for identity in self._account.refused}
        self._take_haunted()
        touched |= self._haunted.keys()
        due = members_of(self._said[number]) - touched
        assert self._account.everybody() - touched == due, "a STATE was written ahead of what it covers"

    def _check(self) -> None:
        said = self._said[-1]
        haunted = set(self._haunted)
        assert self._account.everybody() - haunted == members_of(said) - haunted
        with contextlib.closing(self._ledger(Fate())) as ledger:
            for name in {LIST, *(each.list_name for each in belonging(said))}:
                entry = ledger.catalogue.lists.pinned(f'customer list "{name}"')
                assert entry is not None
                assert list(ledger.notes.unsettled(entry.number)) == []
                assert entry.members == sum(each.list_name == name for each in belonging(said))
                fewest, most = contributing(said, name)
                assert fewest <= entry.contributing_rows <= most


def _by_row(entry: Change, columns: Sequence[str]) -> Iterator[tuple[tuple[object, ...], dict[str, Any]]]:
    """Yield the rows that a record is about: where there is no key, each identity is one."""
    if entry.stream != "visitors":
        yield (entry.stream, entry.record["id"]), entry.record
        return
    others = {name: each for name, each in entry.record.items() if name not in columns}
    for column in columns:
        value = entry.record.get(column, [])
        for each in value if isinstance(value, list) else [value]:
            yield (entry.stream, TYPES[column], each), {**others, column: each}
