"""A connection to a SQLite ledger: one thread at a time uses it, and its errors are LedgerErrors."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from target_pinterest_audience.ledger.sqlite.bulk import Group, for_all_places, groups
from target_pinterest_audience.ledger.sqlite.errors import is_locked
from target_pinterest_audience.system.waits import Wait

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.sqlite.errors import Errors
    from target_pinterest_audience.ledger.sqlite.reader import Reader

T = TypeVar("T")

LOG_AFTER_SECONDS: Final = 5.0
"""How long to wait for another process's transaction before the wait is logged."""

_AGAIN_SECONDS: Final = 0.02
"""How long to wait before a statement is tried again for which SQLite itself did not wait."""

_MANY: Final = 1_000
"""The parameters of so many rows are not kept after a statement."""


def run_when_free(
    run: Callable[[], T],
    path: object,
    wait_seconds: float,
    errors: Errors,
    is_interrupted: Callable[[], bool] = bool,
) -> T:
    """Run a statement that needs a lock of the file, and return its result.

    SQLite can wait by itself, but not even a signal ends that, and it does not wait where that might be in vain. So it
    waits for a moment, again and again.

    Args:
        run: runs the statement.
        path: the file, for the log.
        wait_seconds: how long to wait.
        errors: makes the error of a file that is locked.
        is_interrupted: returns whether to give up.

    Raises:
        LedgerError: another process has kept the file locked all that time.
        sqlite3.Error: the statement failed, or was interrupted.
    """
    deadline = time.monotonic() + wait_seconds
    wait = Wait(
        f"another process writes to {path}", wait_seconds,
        setting="lock_wait_seconds", after_seconds=min(LOG_AFTER_SECONDS, wait_seconds / 2),
    )  # fmt: skip
    while True:
        try:
            return run()
        except sqlite3.OperationalError as error:  # noqa: PERF203 - one round is a second of waiting
            if not is_locked(error) or is_interrupted():
                raise
            if time.monotonic() >= deadline:
                raise errors.locked(wait_seconds) from None
            wait.log()
            time.sleep(_AGAIN_SECONDS)


class Compared(NamedTuple):
    """How the rows of a group compare with those of a table.

    Attributes:
        missing: the places of the rows that the table does not have.
        differing: place → the value in the table, if it differs from the one given.
    """

    missing: list[int]
    differing: dict[int, bytes]


class Connection:
    """The connection that all threads share."""

    def __init__(self, raw: sqlite3.Connection, errors: Errors, reader: Reader | None = None) -> None:
        """Wrap a connection.

        Args:
            raw: the connection of SQLite.
            errors: translates its errors.
            reader: the reader that opened it, if the file is only read.
        """
        self.raw = raw
        self._errors = errors
        self._reader = reader
        self._turn = threading.RLock()
        self._interrupted = False

    @property
    def reads_file(self) -> bool:
        """Whether the connection only reads the file of the ledger itself."""
        return self._reader is not None

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other thread uses the connection, and raise errors in the block as LedgerErrors."""
        with self._errors.translated(), self._turn:
            yield

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all statements in a block see the same state, also where the caller is not in a transaction."""
        with self.turn():
            if self.raw.in_transaction:
                yield
                return
            self.raw.execute("BEGIN")
            try:
                yield
            finally:
                self.raw.execute("ROLLBACK")

    def begin(self, path: object, wait_seconds: float) -> None:
        """Begin a transaction as soon as no other process is in one.

        Args:
            path: the file, for the log.
            wait_seconds: how long to wait.

        Raises:
            LedgerError: another process has been in a transaction all that time.
        """
        self._execute_when_free("BEGIN IMMEDIATE" if self._reader is None else "BEGIN", path, wait_seconds)

    def read(self, path: object, wait_seconds: float) -> None:
        """Read the file for the first time, as soon as no other process is giving it a log; see `begin`."""
        self._execute_when_free("SELECT 1 FROM sqlite_master LIMIT 1", path, wait_seconds)

    def use_log(self, path: object, wait_seconds: float) -> None:
        """Give the file a write-ahead log, as soon as no other process uses it without one; see `begin`."""
        self._execute_when_free("PRAGMA journal_mode = WAL", path, wait_seconds)

    def _execute_when_free(self, statement: str, path: object, wait_seconds: float) -> None:
        self._interrupted = False
        run_when_free(lambda: self.raw.execute(statement), path, wait_seconds, self._errors, lambda: self._interrupted)

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement, and return the rows of its result."""
        with self.turn():
            found = self.raw.execute(statement, parameters).fetchall()
            if self._reader is not None:
                self._reader.ensure_current()
            return found

    def change(self, statement: str, parameters: Mapping[str, object]) -> int:
        """Run a statement with named parameters, and return how many rows it wrote or deleted."""
        with self.turn():
            return self.raw.execute(statement, parameters).rowcount

    def run(self, statement: str, group: Group, /, **parameters: object) -> None:
        """Run a statement for all rows of a group; see `bulk.for_all_places`."""
        with self.turn():
            self._execute(statement, group, parameters)

    def _execute(
        self, statement: str, group: Group, parameters: Mapping[str, object], *, in_order: bool = True
    ) -> list[tuple[Any, ...]]:
        """Run a statement for all rows of a group, and return the rows of its result; see `bulk.for_all_places`.

        Raises:
            sqlite3.Error: the statement failed. The caller has the turn, and translates it.
        """
        complete = for_all_places(statement, in_order=in_order)
        given = {**group.parameters, **parameters}
        found = self.raw.execute(complete, given).fetchall()
        if len(group.keys) >= _MANY:
            # Python keeps many statements for later, and SQLite keeps the parameters of each until it runs again. That
            # would be several megabytes for every layer. Without a count, it does nothing.
            self.raw.execute(complete, dict.fromkeys(given))
        return found

    def find(
        self, value: str, source: str, keys: Sequence[bytes], /, *, in_order: bool, **parameters: object
    ) -> dict[bytes, str]:
        """Look keys up.

        Args:
            value: the expression to return for each key, as text without commas.
            source: the FROM clause, which joins `places`.
            keys: keys without duplicates.
            in_order: whether they are sorted.
            parameters: further parameters of the statement.

        Returns:
            Key → value, for those that were found.
        """
        # The result is one row: for each further one, SQLite would wait for the interpreter's lock.
        statement = f"SELECT group_concat(place), group_concat({value}) FROM {source}"
        found: dict[bytes, str] = {}
        for group in groups(keys, in_order=False):
            with self.turn():
                ((places, texts),) = self._execute(statement, group, parameters, in_order=in_order)
            if places:
                found.update(zip((group.keys[int(each)] for each in places.split(",")), texts.split(","), strict=True))
        return found

    def compare(self, value: str, table: str, key: str, group: Group, /, *, in_order: bool) -> Compared:
        """Look up the rows of a group in a table, and compare a value with the one given for each.

        Args:
            value: the value, which is compared as it is.
            table: the table.
            key: the column of its key.
            group: the rows.
            in_order: whether they are in the order of their keys.
        """
        # A value of no bytes is NULL.
        differs = f"{value} <> COALESCE({{value}}, x'')"
        statement = (
            f"SELECT group_concat(CASE WHEN {key} IS NULL THEN place END), group_concat(CASE WHEN {differs} THEN place "
            f"END), group_concat(CASE WHEN {differs} THEN hex({value}) END) "
            f"FROM places LEFT JOIN {table} ON {key} = {{key}}"
        )
        with self.turn():
            ((missing, places, texts),) = self._execute(statement, group, {}, in_order=in_order)
        return Compared(
            [*map(int, missing.split(","))] if missing else [],
            dict(zip(map(int, places.split(",")), map(bytes.fromhex, texts.split(",")), strict=True)) if places else {},
        )

    def insert_new(self, parts: Iterable[Group], rows: str, inserted: str, **parameters: object) -> bool:
        """Insert rows if none of their keys is in the table.

        Rows that were inserted before a known key was met are deleted again. A statement that undoes itself, or a
        savepoint, would copy every page before it is changed.

        Args:
            parts: the rows.
            rows: what follows INSERT INTO.
            inserted: what follows DELETE FROM, for the same rows.
            parameters: further parameters of both statements.

        Returns:
            Whether they were inserted.
        """
        done: list[bytes] = []
        for group in parts:
            before = self.raw.total_changes
            with self.turn():
                try:
                    self._execute(f"INSERT OR FAIL INTO {rows}", group, parameters)
                except sqlite3.IntegrityError:
                    done += group.keys[: self.raw.total_changes - before]
                    for some in groups(done):
                        self.run(f"DELETE FROM {inserted}", some, **parameters)
                    return False
            done += group.keys
        return True

    def interrupt(self) -> None:
        """End what another thread does on the connection."""
        self._interrupted = True
        self.raw.interrupt()

    @contextlib.contextmanager
    def idle(self) -> Iterator[bool]:
        """Yield whether no other thread uses the connection; if so, none can before the block ends."""
        is_idle = self._turn.acquire(blocking=False)
        try:
            yield is_idle
        finally:
            if is_idle:
                self._turn.release()
