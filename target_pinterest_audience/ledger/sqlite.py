"""A ledger in a SQLite file: one machine, no server, readable by its owner only."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.catalogue import Catalogue, secret_of
from target_pinterest_audience.ledger.file_locks import FileLocks
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.schema import VERSION, missing_steps
from target_pinterest_audience.membership import NOBODY, Count

_BUSY_SECONDS: Final = 1.0
_KEYS_AT_ONCE: Final = 500
_ROWS_AT_ONCE: Final = 100
_STATEMENTS: Final = 256
_CACHE_KIB: Final = 65_536
_CHECKPOINT_PAGES: Final = 10_000
_TYPES: Final = {"blob": "BLOB", "clustered": "WITHOUT ROWID"}


class SqliteLedger(Ledger):
    """Several processes may share a file: each holds the database only while it writes a window."""

    def __init__(self, path: Path, api_url: str, ad_account_id: str, *, wait_seconds: float, dry: bool = False) -> None:
        """Open a ledger, and create it unless it exists.

        Args:
            path: the file.
            api_url: the API that its lists are at.
            ad_account_id: the ad account that owns them.
            wait_seconds: how long to wait while another process writes.
            dry: whether to create nothing and to commit nothing.

        Raises:
            LedgerError: the file cannot be opened, is none of ours, or comes from a newer version.
        """
        self.where = f"The ledger {path}"
        self._dry = dry
        self._wait_seconds = wait_seconds
        self._locks = FileLocks(path.with_name(f"{path.name}.locks"))
        with self._told():
            if dry:
                # The empty name is a database that only this connection sees, in a file that nobody can open.
                self._connection = sqlite3.connect("", isolation_level=None, cached_statements=_STATEMENTS)
            else:
                _create(path)
                self._connection = sqlite3.connect(
                    path,
                    timeout=min(_BUSY_SECONDS, wait_seconds),
                    isolation_level=None,
                    cached_statements=_STATEMENTS,
                )
        try:
            with self._told():
                if dry and path.exists():
                    self._copy(path)
                self._set_up(path)
            with self.transaction():
                self.secret = secret_of(self._query)
                self.catalogue = Catalogue(self._query, api_url, ad_account_id)
        except BaseException:
            self._connection.close()
            raise

    def _copy(self, path: Path) -> None:
        """Take a copy for a dry run, so that real runs need not wait for it."""
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as original:
            self._missing_steps(original)
            original.backup(self._connection)

    def _set_up(self, path: Path) -> None:
        run = self._connection.execute
        # Before anything is changed: the file may be none of ours.
        self._missing_steps(self._connection)
        if not self._dry:
            _close_to_others(path)
            run("PRAGMA journal_mode = WAL")
        # A STATE must not outlive the commit that it speaks of, not even a power cut.
        run("PRAGMA synchronous = FULL")
        run(f"PRAGMA cache_size = -{_CACHE_KIB}")
        run(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        with self.transaction():
            for step in self._missing_steps(self._connection):
                for statement in step:
                    run(statement.format(**_TYPES))
            run(f"PRAGMA user_version = {VERSION}")

    def _missing_steps(self, connection: sqlite3.Connection) -> tuple[tuple[str, ...], ...]:
        # In one statement, lest another process makes the tables in between.
        version, has_tables = connection.execute(
            "SELECT user_version, EXISTS (SELECT 1 FROM sqlite_master) FROM pragma_user_version"
        ).fetchone()
        if has_tables and not version:
            msg = f"{self.where} is a database of something else. Correct `ledger_url`."
            raise LedgerError(msg)
        return missing_steps(version, self.where)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Ledger.transaction`."""
        run = self._connection.execute
        with self._told():
            self._begin()
            try:
                yield
                run("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself if the disk is full, for example.
                if self._connection.in_transaction:
                    run("ROLLBACK")
                raise

    def _begin(self) -> None:
        """Begin to write, as soon as no other process does.

        SQLite waits by itself, but not even a signal can end that; so it waits a little, and again.
        """
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:  # noqa: PERF203 - one round is a second of waiting
                if "locked" not in str(error) or time.monotonic() >= deadline:
                    raise
            else:
                return

    def lock(self, names: Iterable[str], wait_seconds: float) -> None:
        """See `Ledger.lock`."""
        if not self._dry:
            self._locks.acquire(names, wait_seconds)

    def close(self) -> None:
        """See `Ledger.close`."""
        self._connection.close()
        self._locks.release()

    # Rows

    def read_rows(self, rows: Collection[bytes]) -> dict[bytes, bytes]:
        """See `Ledger.read_rows`."""
        found: dict[bytes, bytes] = {}
        for some in self._look_up("SELECT row_key, says FROM row_says WHERE row_key IN ({keys})", rows):
            found.update(some)
        return found

    def write_rows(self, source: int, run: int, says: Mapping[bytes, bytes]) -> None:
        """See `Ledger.write_rows`."""
        with self._told():
            in_order = sorted(says)
            self._insert(
                "INSERT INTO row_says (row_key, source, seen, says) VALUES {values} ON CONFLICT (row_key) "
                "DO UPDATE SET source = excluded.source, seen = MAX(seen, excluded.seen), says = excluded.says",
                ((row, source, run, says[row]) for row in in_order if says[row]),
            )
            self._connection.executemany(
                "DELETE FROM row_says WHERE row_key = ?", ((row,) for row in in_order if not says[row])
            )

    def insert_rows(self, source: int, run: int, says: Mapping[bytes, bytes]) -> bool:
        """See `Ledger.insert_rows`."""
        return self._insert_new(
            "INSERT INTO row_says (row_key, source, seen, says) VALUES {values}",
            ((row, source, run, says[row]) for row in sorted(says)),
            "DELETE FROM row_says WHERE row_key = ?",
        )

    def mark_seen(self, run: int, rows: Collection[bytes]) -> None:
        """See `Ledger.mark_seen`."""
        for _ in self._look_up("UPDATE row_says SET seen = ? WHERE row_key IN ({keys})", rows, run):
            pass

    def unseen_rows(self, source: int, before_run: int, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """See `Ledger.unseen_rows`."""
        return [
            (bytes(row), bytes(said))
            for row, said in self._query(
                "SELECT row_key, says FROM row_says WHERE row_key > ? AND source = ? AND seen < ? ORDER BY row_key "
                "LIMIT ?",
                after, source, before_run, limit,
            )
        ]  # fmt: skip

    # Members

    def read_members(self, list_number: int, identities: Collection[bytes]) -> dict[bytes, Count]:
        """See `Ledger.read_members`."""
        found = self._look_up(
            "SELECT identity, contributors, refusers FROM members WHERE list = ? AND identity IN ({keys})",
            identities,
            list_number,
        )
        return {identity: Count(contributors, refusers) for some in found for identity, contributors, refusers in some}

    def write_members(self, list_number: int, counts: Mapping[bytes, Count]) -> None:
        """See `Ledger.write_members`."""
        with self._told():
            in_order = sorted(counts)
            self._insert(
                "INSERT INTO members (list, identity, contributors, refusers) VALUES {values} "
                "ON CONFLICT (list, identity) DO UPDATE SET contributors = excluded.contributors, "
                "refusers = excluded.refusers",
                ((list_number, identity, *counts[identity]) for identity in in_order if counts[identity] != NOBODY),
            )
            self._connection.executemany(
                "DELETE FROM members WHERE list = ? AND identity = ?",
                ((list_number, identity) for identity in in_order if counts[identity] == NOBODY),
            )

    def insert_members(self, list_number: int, identities: Collection[bytes]) -> bool:
        """See `Ledger.insert_members`."""
        return self._insert_new(
            "INSERT INTO members (identity, list, contributors, refusers) VALUES {values}",
            ((identity, list_number, 1, 0) for identity in sorted(identities)),
            "DELETE FROM members WHERE identity = ? AND list = ?",
        )

    def _query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._told():
            return self._connection.execute(statement, parameters).fetchall()

    def _insert_new(self, statement: str, rows: Iterator[tuple[Any, ...]], undo: str) -> bool:
        """Insert rows if none of their keys is there; see `_insert`.

        Not with a savepoint, which would copy every page that is changed.

        Args:
            statement: fails if a key is there.
            rows: in the order of the table.
            undo: deletes a row, by as many of its first columns as it has marks.
        """
        inserted: list[tuple[Any, ...]] = []
        columns = undo.count("?")

        def noted() -> Iterator[tuple[Any, ...]]:
            for row in rows:
                inserted.append(row[:columns])
                yield row

        with self._told():
            try:
                self._insert(statement, noted())
            except sqlite3.IntegrityError:
                # The statement that failed has inserted nothing.
                whole = (len(inserted) - 1) // _ROWS_AT_ONCE * _ROWS_AT_ONCE
                self._connection.executemany(undo, inserted[:whole])
                return False
        return True

    def _insert(self, statement: str, rows: Iterator[tuple[Any, ...]]) -> None:
        """Insert rows, many with one statement: measured, a third faster than one by one.

        Args:
            statement: with `{values}` where they go.
            rows: at most one for each key, in the order of the table.
        """
        while some := list(itertools.islice(rows, _ROWS_AT_ONCE)):
            marks = f"({', '.join('?' * len(some[0]))})"
            values = ", ".join([marks] * len(some))
            self._connection.execute(statement.format(values=values), tuple(itertools.chain.from_iterable(some)))

    def _look_up(self, statement: str, keys: Collection[bytes], *before: object) -> Iterator[list[Any]]:
        """Run a statement for many keys, some hundred at a time: measured, twice as fast as joining a temporary table.

        Args:
            statement: with `{keys}` where the keys go.
            keys: in the order of the table if possible, so that each of its pages is read once.
            before: the parameters before the keys.

        Yields:
            The rows of the results, many at a time.
        """
        in_order = sorted(keys)
        with self._told():
            for start in range(0, len(in_order), _KEYS_AT_ONCE):
                some = in_order[start : start + _KEYS_AT_ONCE]
                marks = ", ".join("?" * len(some))
                yield self._connection.execute(statement.format(keys=marks), (*before, *some)).fetchall()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> LedgerError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return LedgerError(
            f"{self.where} cannot be used ({reason}). Make sure that its folder can be written to, that the disk is "
            "not full, and that no other process keeps it busy. No STATE leaves that the ledger does not cover."
        )


def _create(path: Path) -> None:
    """Make the file before SQLite does, so that nobody else can read it at any time.

    SQLite gives its companion files (-wal, -shm) the same mode.

    Raises:
        OSError: the folder or the file cannot be made.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _close_to_others(path: Path) -> None:
    """Take other users' rights to a file that was there before, and to its companions.

    Raises:
        OSError: it belongs to somebody else.
    """
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        # The last process to close the ledger deletes the companions.
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)
