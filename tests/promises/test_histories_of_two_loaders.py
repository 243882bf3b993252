"""Random histories of one table that two loaders read, each for its own list, with settings that change between runs.

The model is a line: after a full read and a prune, a loader's list holds whom the table names, but for those who
refuse; and no other list has changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from target_pinterest_audience.companion.operations.missing_rows import PruneOptions
from target_pinterest_audience.companion.operations.prune import prune
from target_pinterest_audience.ledger.marks import seen_keys, settling
from target_pinterest_audience.ledger.sqlite.sqlite_ledger import SqliteLedger
from target_pinterest_audience.reconcile.books import Books
from target_pinterest_audience.reconcile.session import Session
from target_pinterest_audience.routing.plan import FormerLists
from target_pinterest_audience.run.dispatcher import Dispatcher
from target_pinterest_audience.run.run import Run
from target_pinterest_audience.run.states import StateGate
from target_pinterest_audience.singer.target import TargetPinterestAudience
from tests.support.accounts import Fate, Pinterest
from tests.support.lengths import examples
from tests.support.memory import MEMORY
from tests.support.messages import record, schema
from tests.support.model import email, idfa

LOADERS: Final = ("newsletter", "buyers")
"""The lists, one for each loader."""
KEYS: Final = tuple(range(6))
PEOPLE: Final = tuple(range(8))
OPTIONS: Final = PruneOptions(max_age_minutes=60, missing_runs=1, full_table=True, max_removal_percent=100)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few rows fill several pieces of `seen_keys`."""
    monkeypatch.setattr(seen_keys, "PIECE_KEYS", 2)
    monkeypatch.setattr(seen_keys, "_PAGE_PIECES", 1)
    monkeypatch.setattr(settling, "_STEP_PIECES", 1)


class Row:
    def __init__(self, person: int, device: int | None) -> None:
        self.person = person
        self.device = device


class Loader:
    """The settings of one loader, which change now and then."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.algorithm = "sha256"
        self.by_id = False
        self.reads_devices = True

    def config(self, pinterest: Pinterest) -> dict[str, Any]:
        columns = {"email": "EMAIL", **({"idfa": "IDFA"} if self.reads_devices else {})}
        numbers = [number for number, name in pinterest.names.items() if name == self.name]
        chosen = {"customer_list_id": numbers[0]} if self.by_id and numbers else {"customer_list_name": self.name}
        return {**chosen, "identity_columns": columns, "hash_algorithm": self.algorithm}

    def reads(self, rows: dict[int, Row]) -> dict[int, Row]:
        """The newsletter is for everybody; only some have bought."""
        return {key: row for key, row in rows.items() if self.name == "newsletter" or row.person % 2}

    def identities(self, rows: dict[int, Row]) -> set[str]:
        plain = {email(row.person) for row in self.reads(rows).values()}
        if self.reads_devices:
            plain |= {idfa(row.device) for row in self.reads(rows).values() if row.device is not None}
        return {self.digest(each) for each in plain}

    def digest(self, plain: str) -> str:
        return hashlib.new(self.algorithm, plain.encode()).hexdigest()


class Table(RuleBasedStateMachine):
    """A table changes, and its loaders read it in full, prune, or see a delete in its log."""

    @initialize()
    def begin(self) -> None:
        self._folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self._path = Path(self._folder.name) / "ledger.db"
        self.pinterest = Pinterest()
        self.rows = {key: Row(key, key) for key in KEYS}
        self.loaders = {name: Loader(name) for name in LOADERS}
        self.said: dict[str, dict[int, set[str]]] = {}
        """Loader → key → the identities that it read of the row last."""
        # Only when the first one runs again is it clear that these are two loaders, and no changed setting.
        for name in (*LOADERS, LOADERS[0]):
            self._run(self.loaders[name])

    @rule(key=st.sampled_from(KEYS), person=st.sampled_from(PEOPLE), device=st.sampled_from([None, *PEOPLE]))
    def a_row_changes(self, key: int, person: int, device: int | None) -> None:
        self.rows[key] = Row(person, device)

    @rule(key=st.sampled_from(KEYS))
    def a_row_leaves_the_table(self, key: int) -> None:
        self.rows.pop(key, None)

    @rule(name=st.sampled_from(LOADERS), meanwhile=st.booleans())
    def a_loader_reads_the_table_and_prunes(self, name: str, *, meanwhile: bool) -> None:
        loader = self.loaders[name]
        others = self._others(name)
        if not loader.reads(self.rows):
            return
        self._run(loader)
        assert loader.identities(self.rows) <= self._members(name)
        assert self._others(name) == others
        if meanwhile:
            (other,) = set(LOADERS) - {name}
            self._run(self.loaders[other])
        others = self._others(name)
        self._prune(loader)
        assert self._members(name) == loader.identities(self.rows)
        assert self._others(name) == others

    @rule(name=st.sampled_from(LOADERS), key=st.sampled_from(KEYS))
    def a_loader_sees_a_row_deleted(self, name: str, key: int) -> None:
        self.rows.pop(key, None)
        others, said = self._others(name), self.said[name]
        gone = said.pop(key, set())
        self._run(self.loaders[name], [record(id=key, _sdc_deleted_at="2026-11-28T00:00:00Z")], load_method="upsert")
        assert not self._members(name) & (gone - set().union(*said.values()))
        assert self._others(name) == others

    @rule(name=st.sampled_from(LOADERS), algorithm=st.sampled_from(["sha256", "sha1", "md5"]))
    def an_algorithm_changes(self, name: str, algorithm: str) -> None:
        self.loaders[name].algorithm = algorithm

    @rule(name=st.sampled_from(LOADERS))
    def a_list_is_chosen_in_another_way(self, name: str) -> None:
        self.loaders[name].by_id = not self.loaders[name].by_id

    @rule(name=st.sampled_from(LOADERS))
    def a_column_is_read_no_more_or_again(self, name: str) -> None:
        self.loaders[name].reads_devices = not self.loaders[name].reads_devices

    def teardown(self) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()

    def _members(self, name: str) -> set[str]:
        return {each.identity for each in self.pinterest.everybody() if each.list_name == name}

    def _others(self, name: str) -> set[str]:
        return {each.identity for each in self.pinterest.everybody() if each.list_name != name}

    def _target(self, loader: Loader, **config: Any) -> TargetPinterestAudience:
        return TargetPinterestAudience(
            config={
                "ad_account_id": "1", "access_token": "x", "max_removal_percent": 100, "max_deleted_percent": 100,
                "load_method": "overwrite",
                "ledger_url": f"sqlite:///{self._path}", **self.pinterest.settings, **loader.config(self.pinterest),
                **config,
            }
        )  # fmt: skip

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[SqliteLedger]:
        with contextlib.closing(SqliteLedger(self._path, "https://127.0.0.1", "1", wait_seconds=0)) as ledger:
            yield ledger

    def _run(self, loader: Loader, rows: list[dict[str, Any]] | None = None, **config: Any) -> None:
        target = self._target(loader, **config)
        logger = logging.getLogger("test")
        target.current_run = Run(
            self.pinterest.delivery(target.settings, logger),
            lambda *, create: SqliteLedger(self._path, "https://127.0.0.1", "1", wait_seconds=0),  # noqa: ARG005
            lambda ledger, delivery, *, in_history: Session(
                ledger, target.settings, delivery, logger, time.monotonic, time.time, in_history=in_history
            ),
            lambda *_: FormerLists([], []),
            StateGate(lambda _: None, time.monotonic),
        )
        if rows is None:
            rows = [
                record(id=key, email=email(row.person), idfa=None if row.device is None else idfa(row.device))
                for key, row in loader.reads(self.rows).items()
            ]
        if not config:
            read = {key: loader.identities({key: row}) for key, row in loader.reads(self.rows).items()}
            self.said.setdefault(loader.name, {}).update(read)
        stream = [schema("email", "idfa", "_sdc_deleted_at"), *rows]
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self.pinterest.fate = Fate()
        try:
            target.listen(iter([json.dumps(each) + "\n" for each in stream]))  # type: ignore[arg-type]
        finally:
            target.current_run.close()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _prune(self, loader: Loader) -> None:
        target = self._target(loader)
        logger = logging.getLogger("test")
        with self._ledger() as ledger:
            delivery = self.pinterest.delivery(target.settings, logger)
            books = Books.make(ledger, target.settings, delivery, logger, time.time)
            dispatcher = Dispatcher(delivery, books.outbox)
            prune(ledger, books, dispatcher, OPTIONS, now=time.time(), warn=lambda _: None)
            books.outbox.tidy()


TestTable = pytest.mark.random(Table.TestCase)
TestTable.settings = settings(max_examples=examples(10, 200), stateful_step_count=25, deadline=None, derandomize=True)
