"""A ledger in a SQLite file: one machine, no server, readable by its owner only."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.catalogue import Catalogue, places_rows, secret_of
from target_pinterest_audience.ledger.fence import COUNT, lock_key, lost, new_number
from target_pinterest_audience.ledger.file_locks import FileLocks
from target_pinterest_audience.ledger.history import History
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.pieces import Group, for_all_places, for_all_places_sorted, groups
from target_pinterest_audience.ledger.rekey import rekey
from target_pinterest_audience.ledger.schema import VERSION, missing_steps, needs_rekeying
from target_pinterest_audience.ledger.standing import StandingAlerts
from target_pinterest_audience.membership import NOBODY, Count
from target_pinterest_audience.waits import Wait

_BUSY_SECONDS: Final = 1.0
_WORD_AFTER_SECONDS: Final = 5.0
"""After how long waiting for another process's window is worth a word."""
_CACHE_KIB: Final = 8_192
_CHECKPOINT_PAGES: Final = 100_000
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
        self._turn = threading.RLock()
        self._interrupted = False
        self._wait_seconds = wait_seconds
        # Two paths that lead to one file must lead to the same locks.
        self._path = path.resolve()
        self._locks = FileLocks(self._path.with_name(f"{self._path.name}.locks"))
        self._fence = new_number()
        self._fenced: set[str] = set()
        """The names of the locks at which the fencing number of this process was written."""
        self._watch: sqlite3.Connection | None = None
        """A second connection, for `ensure_locks`: a transaction occupies the first."""
        self._watch_turn = threading.Lock()
        with self._told():
            if dry:
                # The empty name is a database that only this connection sees, in a file that nobody can open.
                self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            else:
                self._file = _create(path)
                self._connection = sqlite3.connect(
                    path,
                    timeout=min(_BUSY_SECONDS, wait_seconds),
                    isolation_level=None,
                    check_same_thread=False,
                )
        try:
            with self._told():
                if dry and path.exists():
                    self._copy(path)
                self._set_up(path)
            with self.transaction():
                self.secret = secret_of(self._query)
                self.places_rows = places_rows(self._query)
                self.catalogue = Catalogue(self._query, api_url, ad_account_id)
                self.history = History(self._query, self.catalogue.realm)
                self.alerts = StandingAlerts(self._query, self.catalogue.realm)
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
        # Who is forgotten must not stay in pages that are free; some builds of SQLite do so by themselves.
        run("PRAGMA secure_delete = ON")
        run(f"PRAGMA cache_size = -{_CACHE_KIB}")
        run(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        with self.transaction():
            steps = self._missing_steps(self._connection)
            for step in steps:
                for statement in step:
                    run(statement.format(**_TYPES))
            if needs_rekeying(steps):
                rekey(self, self._query)
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
                self._ensure_held(lambda: self._connection)
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
        wait = Wait(
            f"another process writes to {self._path}", self._wait_seconds,
            setting="lock_wait_seconds", after_seconds=_WORD_AFTER_SECONDS,
        )  # fmt: skip
        self._interrupted = False
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:  # noqa: PERF203 - one round is a second of waiting
                if "locked" not in str(error) or self._interrupted or time.monotonic() >= deadline:
                    raise
                wait.say()
            else:
                return

    def lock(self, names: Iterable[str], wait_seconds: float) -> None:
        """See `Ledger.lock`."""
        if self._dry:
            return
        self._locks.acquire(names, wait_seconds)
        new = self._locks.names - self._fenced
        if new:
            with self.transaction():
                for name in new:
                    self._query(
                        "INSERT INTO fences (name_digest, number) VALUES (?, ?) "
                        "ON CONFLICT (name_digest) DO UPDATE SET number = excluded.number",
                        lock_key(name), self._fence,
                    )  # fmt: skip
            self._fenced |= new

    def ensure_locks(self) -> None:
        """See `Ledger.ensure_locks`."""
        try:
            with self._watch_turn:
                self._ensure_held(self._open_watch)
        except (OSError, sqlite3.Error) as error:
            raise self._failed(error) from None

    def _open_watch(self) -> sqlite3.Connection:
        if self._watch is None:
            self._watch = sqlite3.connect(
                f"{self._path.as_uri()}?mode=ro",
                uri=True,
                timeout=min(_BUSY_SECONDS, self._wait_seconds),
                isolation_level=None,
                check_same_thread=False,
            )
        return self._watch

    def _ensure_held(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """Make sure that no other process took a lock of this one, and that the file is still the ledger.

        Args:
            connect: returns the connection to ask.

        Raises:
            LedgerError: it is not so.
        """
        # First: the main thread may take another lock meanwhile.
        held = len(self._fenced)
        if not held:
            return
        if not self._file_is_there():
            reason = "The file of the ledger was moved, deleted or replaced while the run was at work."
            raise lost(self.where, reason, "Put it back if you can, and run again.")
        ((standing,),) = connect().execute(COUNT, (self._fence,)).fetchall()
        if standing < held:
            reason = f"Another process took them: somebody deleted files in {self._locks.folder}."
            raise lost(self.where, reason, "Leave that folder alone, and run again.")

    def _file_is_there(self) -> bool:
        try:
            found = self._path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._file

    def interrupt(self) -> None:
        """See `Ledger.interrupt`."""
        self._interrupted = True
        self._connection.interrupt()

    def close(self) -> None:
        """See `Ledger.close`."""
        # With a thread that cannot be stopped, the process ends, and its locks with it; SQLite would crash here.
        if not self._watch_turn.acquire(blocking=False):
            return
        if self._turn.acquire(blocking=False):
            # The last one to close empties the log beside the file, which this one may not: it only reads.
            if self._watch is not None:
                self._watch.close()
                self._watch = None
            self._connection.close()
            self._locks.release()
            self._turn.release()
        self._watch_turn.release()

    # Rows

    def read_rows(self, rows: Collection[bytes]) -> dict[bytes, bytes]:
        """See `Ledger.read_rows`."""
        return {
            group.keys[place]: bytes.fromhex(said)
            for group in groups(list(rows), in_order=False)
            for place, said in self._find("hex(says)", "places JOIN row_says ON row_key = {key}", group)
        }

    def differing_rows(self, says: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """See `Ledger.differing_rows`."""
        # A piece of no bytes is NULL.
        source = "places LEFT JOIN row_says ON row_key = {key} WHERE COALESCE(says, x'') <> COALESCE({value}, x'')"
        return {
            group.keys[place]: bytes.fromhex(said)
            for group in groups(list(says), list(says.values()), in_order=False)
            for place, said in self._find("hex(COALESCE(says, x''))", source, group)
        }

    def write_rows(self, source: int, mark: int, says: Mapping[bytes, bytes]) -> None:
        """See `Ledger.write_rows`."""
        saying = {row: said for row, said in says.items() if said}
        for group in groups(list(saying), list(saying.values())):
            self._run(
                "INSERT INTO row_says (row_key, source, seen, says) SELECT {key}, :source, :mark, {value} FROM places "
                "WHERE TRUE ON CONFLICT (row_key) "
                "DO UPDATE SET source = excluded.source, seen = MAX(seen, excluded.seen), says = excluded.says",
                group, source=source, mark=mark,
            )  # fmt: skip
        readers = self.catalogue.readers(source)
        for group in groups([row for row, said in says.items() if not said]):
            self._run("DELETE FROM row_says WHERE row_key IN (SELECT {key} FROM places)", group)
            for reader in readers:
                self._run(
                    "DELETE FROM sightings WHERE reader = :reader AND row_key IN (SELECT {key} FROM places)",
                    group, reader=reader,
                )  # fmt: skip

    def insert_rows(self, source: int, mark: int, says: Mapping[bytes, bytes]) -> bool:
        """See `Ledger.insert_rows`."""
        return self._insert_new(
            groups(list(says), list(says.values())),
            "row_says (row_key, source, seen, says) SELECT {key}, :source, :mark, {value} FROM places",
            "row_says WHERE row_key IN (SELECT {key} FROM places)",
            source=source, mark=mark,
        )  # fmt: skip

    def mark_seen(self, mark: int, rows: Collection[bytes], reader: int = 0) -> None:
        """See `Ledger.mark_seen`."""
        for group in groups(list(rows)):
            if reader:
                self._run(
                    "INSERT INTO sightings (reader, row_key, mark) SELECT :reader, row_key, :mark FROM places "
                    "JOIN row_says ON row_key = {key} WHERE TRUE "
                    "ON CONFLICT (reader, row_key) DO UPDATE SET mark = MAX(mark, excluded.mark)",
                    group, reader=reader, mark=mark,
                )  # fmt: skip
            else:
                self._run(
                    "UPDATE row_says SET seen = :mark WHERE row_key IN (SELECT {key} FROM places) AND seen < :mark",
                    group, mark=mark,
                )  # fmt: skip

    def marks_of(self, rows: Collection[bytes], reader: int = 0) -> dict[bytes, int]:
        """See `Ledger.marks_of`."""
        what, source = "seen", "places JOIN row_says ON row_key = {key}"
        if reader:
            what, source = "mark", "places JOIN sightings ON reader = :reader AND row_key = {key}"
        return {
            group.keys[place]: int(mark)
            for group in groups(list(rows), in_order=False)
            for place, mark in self._find(what, source, group, **({"reader": reader} if reader else {}))
        }

    # Members

    def read_members(self, list_number: int, identities: Collection[bytes]) -> dict[bytes, Count]:
        """See `Ledger.read_members`."""
        source = "places JOIN members ON list = :list AND identity = {key}"
        return {
            group.keys[place]: Count(*map(int, counts.split()))
            for group in groups(list(identities), in_order=False)
            for place, counts in self._find("contributors || ' ' || refusers", source, group, list=list_number)
        }

    def write_members(self, list_number: int, counts: Mapping[bytes, Count]) -> None:
        """See `Ledger.write_members`."""
        counted: dict[Count, list[bytes]] = defaultdict(list)
        for identity, count in counts.items():
            counted[count].append(identity)
        for group in groups(counted.pop(NOBODY, [])):
            self._run(
                "DELETE FROM members WHERE list = :list AND identity IN (SELECT {key} FROM places)",
                group, list=list_number,
            )  # fmt: skip
        for count, identities in counted.items():
            for group in groups(identities):
                self._run(
                    "INSERT INTO members (list, identity, contributors, refusers) "
                    "SELECT :list, {key}, :contributors, :refusers FROM places WHERE TRUE "
                    "ON CONFLICT (list, identity) DO UPDATE SET contributors = excluded.contributors, "
                    "refusers = excluded.refusers",
                    group, list=list_number, **count._asdict(),
                )  # fmt: skip

    def insert_members(self, list_number: int, identities: Collection[bytes]) -> bool:
        """See `Ledger.insert_members`."""
        return self._insert_new(
            groups(list(identities)),
            "members (list, identity, contributors, refusers) SELECT :list, {key}, 1, 0 FROM places",
            "members WHERE list = :list AND identity IN (SELECT {key} FROM places)",
            list=list_number,
        )

    def _query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._told():
            return self._connection.execute(statement, parameters).fetchall()

    def _run(self, statement: str, group: Group, **parameters: object) -> None:
        with self._told():
            self._connection.execute(for_all_places(statement), {**group.parameters, **parameters})

    def _find(self, what: str, source: str, group: Group, **parameters: object) -> Iterator[tuple[int, str]]:
        """Look rows up.

        Args:
            what: is wanted of each, as a text without commas.
            source: where it is.
            group: the rows.
            parameters: further ones of the statement.

        Returns:
            Of each row that is there, the place in its group and what is wanted.
        """
        # One row, however many are found: for each, SQLite would wait for the interpreter's lock.
        statement = f"SELECT group_concat(place), group_concat({what}) FROM {source}"  # noqa: S608 - our own words
        with self._told():
            found = self._connection.execute(for_all_places_sorted(statement), {**group.parameters, **parameters})
            ((places, texts),) = found.fetchall()
        return zip(map(int, places.split(",")), texts.split(","), strict=True) if places else iter(())

    def _insert_new(self, parts: Iterable[Group], what: str, undo: str, **parameters: object) -> bool:
        """Insert rows if none of their keys is there.

        A statement that undoes itself, or a savepoint, would copy every page before it is changed.

        Args:
            parts: the rows.
            what: is inserted.
            undo: where it is to be deleted.
            parameters: further ones of both statements.
        """
        inserted: list[bytes] = []
        for group in parts:
            before = self._connection.total_changes
            with self._told():
                try:
                    self._connection.execute(
                        for_all_places(f"INSERT OR FAIL INTO {what}"), {**group.parameters, **parameters}
                    )
                except sqlite3.IntegrityError:
                    inserted += group.keys[: self._connection.total_changes - before]
                    for some in groups(inserted):
                        self._run(f"DELETE FROM {undo}", some, **parameters)  # noqa: S608 - our own words
                    return False
            inserted += group.keys
        return True

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with self._turn:
                yield
        except (OSError, sqlite3.Error) as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> LedgerError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return LedgerError(
            f"{self.where} cannot be used ({reason}). Make sure that its folder can be written to, that the disk is "
            "not full, and that no other process keeps it busy. No STATE leaves that the ledger does not cover."
        )


def _create(path: Path) -> tuple[int, int]:
    """Make the file before SQLite does, so that nobody else can read it at any time.

    SQLite gives its companion files (-wal, -shm) the same mode.

    Returns:
        The numbers of its device and of the file on it, by which it is told from a file that takes its place.

    Raises:
        OSError: the folder or the file cannot be made.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        made = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return made.st_dev, made.st_ino


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
