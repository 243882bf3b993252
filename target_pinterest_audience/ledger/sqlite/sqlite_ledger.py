"""A ledger in a SQLite file: one machine, no server, readable by its owner only."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.alerts import StandingAlerts
from target_pinterest_audience.ledger.catalogue import Catalogue, places_rows, secret_of
from target_pinterest_audience.ledger.fence import COUNT, lock_key, lost, new_number
from target_pinterest_audience.ledger.history import History
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.lock_holder import Holder, held_by, wait_for
from target_pinterest_audience.ledger.rekey import rekey
from target_pinterest_audience.ledger.schema import VERSION, missing_steps, needs_rekeying
from target_pinterest_audience.ledger.sqlite.bulk import Group, for_all_places, for_all_places_sorted, groups
from target_pinterest_audience.ledger.sqlite.claims import POLL_SECONDS, Claim, byte_of
from target_pinterest_audience.ledger.sqlite.file import (
    RESTORE,
    Reader,
    caveat,
    close_to_others,
    create,
    damage,
    identity_of,
    is_mounted_alone,
    is_ours,
    log_of,
    missing_tables,
)
from target_pinterest_audience.membership.counts import NOBODY, Count
from target_pinterest_audience.system.waits import Wait

_BUSY_SECONDS: Final = 1.0
_WORD_AFTER_SECONDS: Final = 5.0
"""After how long waiting for another process's window is worth a word."""
_CACHE_KIB: Final = 8_192
_CHECKPOINT_PAGES: Final = 100_000
_ENTER_SECONDS: Final = 5.0
_HOLDER: Final = "holder "
"""Begins the names in `meta` under which the processes are written that hold locks; their numbers follow."""
_NO_VERSION: Final = "damaged: the number of its version is missing"
_NO_TABLE: Final = "damaged: a table is missing"
_NO_SALT: Final = "damaged: the secret of its digests is missing"
_TYPES: Final = {"blob": "BLOB", "clustered": "WITHOUT ROWID"}


class SqliteLedger(Ledger):
    """Several processes may share a file: each holds the database only while it writes a window."""

    def __init__(
        self,
        path: Path,
        api_url: str,
        ad_account_id: str,
        *,
        wait_seconds: float,
        dry: bool = False,
        read_only: bool = False,
    ) -> None:
        """Open a ledger, and create it unless it exists.

        Args:
            path: the file.
            api_url: the API that its lists are at.
            ad_account_id: the ad account that owns them.
            wait_seconds: how long to wait while another process writes, or uses the file by another path.
            dry: whether to create nothing and to commit nothing.
            read_only: whether nothing is written at all. Like `dry`, it needs no right but to read the file.

        Raises:
            LedgerError: the file cannot be opened, is none of ours, or comes from a newer version.
        """
        self.where = f"The ledger {path}"
        self._dry = dry or read_only
        self._turn = threading.RLock()
        self._interrupted = False
        self._wait_seconds = wait_seconds
        # Two paths that lead to one file must lead to the same files beside it.
        self._path = path.resolve()
        self._log: tuple[int, int] | None = None
        self._claim: Claim | None = None
        self._resources = contextlib.ExitStack()
        self._fence = new_number()
        self._fenced: set[int] = set()
        """The locks at which the fencing number of this process was written."""
        self._reader: Reader | None = None
        self._watch: sqlite3.Connection | None = None
        """A second connection, for `ensure_locks`: a transaction occupies the first."""
        self._watch_turn = threading.Lock()
        try:
            with self._told():
                if self._dry:
                    self._connection = self._open_reader(api_url, ad_account_id, read_only=read_only)
                else:
                    self._connection = self._open_writer()
                self._resources.callback(self._connection.close)
                if self._reader is None:
                    self._set_up()
            with self.transaction():
                self._ensure_secret()
                self.secret = secret_of(self._query)
                self.places_rows = places_rows(self._query)
                self.catalogue = Catalogue(self._query, api_url, ad_account_id)
                self.history = History(self._query, self.catalogue.realm)
                self.alerts = StandingAlerts(self._query, self.catalogue.realm)
        except BaseException:
            self._resources.close()
            raise

    def _open_writer(self) -> sqlite3.Connection:
        create(self._path)
        self._claim = Claim(self._path)
        # After SQLite has closed the file.
        self._resources.callback(self._claim.close)
        self._refuse_empty()
        self._claim.take_path(self._wait_seconds)
        self.caveat = caveat(self._path)
        return sqlite3.connect(self._path, timeout=self._patience, isolation_level=None, check_same_thread=False)

    def _open_reader(self, api_url: str, ad_account_id: str, *, read_only: bool) -> sqlite3.Connection:
        """Return a connection to the file itself if it has all that is asked for, else to a copy.

        A dry run writes to its copy, so that real runs need not wait for it.
        """
        reader = None
        if self._path.exists():
            self._refuse_empty()
            self.caveat = caveat(self._path)
            reader = Reader(self._path, self._patience)
        try:
            if reader is not None and read_only and self._is_complete(reader.connection, api_url, ad_account_id):
                self._reader = reader
                return reader.connection
            # The empty name is a database that only this connection sees, in a file that nobody can open.
            copy = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            if reader is not None:
                self._missing_steps(reader.connection)
                reader.connection.backup(copy)
                self._refuse_outdated(reader)
            return copy
        finally:
            if reader is not None and self._reader is None:
                reader.connection.close()

    def _is_complete(self, connection: sqlite3.Connection, api_url: str, ad_account_id: str) -> bool:
        """Return whether nothing would have to be written to use a ledger."""
        return not self._missing_steps(connection) and connection.execute(
            "SELECT EXISTS (SELECT 1 FROM meta WHERE name = 'secret') "
            "AND EXISTS (SELECT 1 FROM realms WHERE api_url = ? AND ad_account_id = ?)",
            (api_url, ad_account_id),
        ).fetchone() == (1,)

    def _refuse_empty(self) -> None:
        # SQLite would make a new database of it, as if nobody had ever been sent. But a file must be made before it can
        # be mounted.
        if not self._path.stat().st_size and not is_mounted_alone(self._path):
            msg = f"{self.where} is an empty file, which no ledger is: a copy or a restore did not finish. {RESTORE}"
            raise LedgerError(msg)

    def _refuse_outdated(self, reader: Reader) -> None:
        if reader.is_outdated:
            msg = f"{self.where} was written to by a run while it was read. Call the command again."
            raise LedgerError(msg)

    @property
    def _patience(self) -> float:
        """How long SQLite waits by itself."""
        return min(_BUSY_SECONDS, self._wait_seconds)

    def _set_up(self) -> None:
        run = self._connection.execute
        # Before anything is changed: the file may be none of ours.
        self._missing_steps(self._connection)
        if not self._dry:
            close_to_others(self._path)
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
            if steps:
                run(f"PRAGMA user_version = {VERSION}")
        if not self._dry:
            self._log = identity_of(log_of(self._path))

    def _missing_steps(self, connection: sqlite3.Connection) -> tuple[tuple[str, ...], ...]:
        # In one statement, lest another process makes the tables in between.
        version, names = connection.execute(
            "SELECT user_version, (SELECT group_concat(name) FROM sqlite_master WHERE type = 'table') "
            "FROM pragma_user_version"
        ).fetchone()
        tables = frozenset((names or "").split(","))
        if names and not is_ours(tables):
            msg = f"{self.where} is a database of something else. Correct `ledger_url`."
            raise LedgerError(msg)
        if names and not version:
            raise self._damaged(_NO_VERSION)
        steps = missing_steps(version, self.where)
        if missing_tables(version, tables):
            raise self._damaged(_NO_TABLE)
        return steps

    def _ensure_secret(self) -> None:
        # With a new one, no row that is here would ever be found again.
        (found,) = self._query(
            "SELECT EXISTS (SELECT 1 FROM row_says) AND NOT EXISTS (SELECT 1 FROM meta WHERE name = 'secret')"
        )
        if found == (1,):
            raise self._damaged(_NO_SALT)

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
                # After it: what follows from a commit, such as a STATE, must not follow from one that nobody will find.
                self._ensure_in_place()
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
                self._connection.execute("BEGIN IMMEDIATE" if self._reader is None else "BEGIN")
            except sqlite3.OperationalError as error:  # noqa: PERF203 - one round is a second of waiting
                if "locked" not in str(error) or self._interrupted or time.monotonic() >= deadline:
                    raise
                wait.say()
            else:
                return

    def lock(self, names: Iterable[str], wait_seconds: float) -> None:
        """See `Ledger.lock`."""
        if self._claim is None:
            return
        deadline = time.monotonic() + wait_seconds
        named = {lock_key(name): name for name in names}
        wanted = [key for key in named if key not in self._fenced]
        waits: dict[int, Wait] = {}
        if wanted and not self._fenced:
            self._enter(self._claim, deadline)
        while wanted:
            holder = self._holder_of(self._claim, wanted[0])
            if holder is None:
                taken = self._take(self._claim, wanted)
                # Last: `ensure_locks` may look at any time.
                self._fenced.update(taken)
                wanted = wanted[len(taken) :]
            elif time.monotonic() >= deadline:
                raise held_by(self._who(holder), wait_seconds)
            else:
                wait = waits.setdefault(wanted[0], wait_for(named[wanted[0]], wait_seconds))
                wait.say(partial(self._who, holder))
                time.sleep(max(0.0, min(POLL_SECONDS, deadline - time.monotonic())))

    def _who(self, holder: int) -> Holder | None:
        """Return the process with a number, as it has written itself down; None if that is not there."""
        found = self._query("SELECT value FROM meta WHERE name = ?", f"{_HOLDER}{holder}")
        return Holder.read(found[0][0]) if found else None

    def _enter(self, claim: Claim, deadline: float) -> None:
        """Show that this process is alive, and who it is.

        Args:
            claim: the claim on the file.
            deadline: how long to wait for others whose writing cannot be seen here.

        Raises:
            LedgerError: there are some.
        """
        claim.show_life(self._fence)
        # Another process may be between showing life and writing who it is.
        deadline = max(deadline, time.monotonic() + _ENTER_SECONDS)
        wait = Wait("another process is at work whose changes cannot be seen", None, after_seconds=_WORD_AFTER_SECONDS)
        while True:
            with self.transaction():
                self._query(
                    "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                    f"{_HOLDER}{self._fence}", Holder.this_process().encode(),
                )  # fmt: skip
                alive = claim.alive() | {byte_of(self._fence)}
                for (name,) in self._query("SELECT name FROM meta WHERE name LIKE ?", f"{_HOLDER}%"):
                    byte = byte_of(int(name.removeprefix(_HOLDER)))
                    if byte not in alive:
                        self._query("DELETE FROM meta WHERE name = ?", name)
                    alive.discard(byte)
            if not alive:
                return
            if time.monotonic() >= deadline:
                msg = (
                    f"{self.where} is in use by another process whose changes cannot be seen: somebody deleted "
                    f"{self._path.name}-wal while it was at work. End that process, and run again."
                )
                raise LedgerError(msg)
            wait.say()
            time.sleep(POLL_SECONDS)

    def _holder_of(self, claim: Claim, key: int) -> int | None:
        """Return the number of the process that has a lock; None if none has, or this one."""
        found = self._query("SELECT number FROM fences WHERE name_digest = ?", key)
        number = int(found[0][0]) if found else self._fence
        return number if number != self._fence and claim.is_alive(number) else None

    def _take(self, claim: Claim, wanted: Sequence[int]) -> list[int]:
        """Take locks, up to the first that another process has."""
        taken = []
        with self.transaction():
            for key in wanted:
                if self._holder_of(claim, key) is not None:
                    break
                self._query(
                    "INSERT INTO fences (name_digest, number) VALUES (?, ?) "
                    "ON CONFLICT (name_digest) DO UPDATE SET number = excluded.number",
                    key, self._fence,
                )  # fmt: skip
                taken.append(key)
        return taken

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
                timeout=self._patience,
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
        self._ensure_in_place()
        if not held:
            return
        ((standing,),) = connect().execute(COUNT, (self._fence,)).fetchall()
        if standing < held:
            reason = "Another process took them: an older version of this target, or the ledger was overwritten."
            raise lost(self.where, reason, "Let all runs use one version, and run again.")

    def _ensure_in_place(self) -> None:
        """Make sure that the path still leads to the file that is open: whoever opens it next must find the changes.

        Raises:
            LedgerError: it does not.
        """
        if self._claim is None:
            return
        what = None
        if identity_of(self._path) != self._claim.file:
            what = "it"
        elif self._log is not None and identity_of(log_of(self._path)) != self._log:
            what = f"{self._path.name}-wal beside it"
        if what is not None:
            msg = (
                f"{self.where} cannot be used any more: {what} was moved, deleted or replaced while this process was "
                "at work. Nothing more is sent, and no further STATE leaves. If you moved it, put it back and run "
                "again. If you restored a backup, run the tap once with a full refresh: the backup does not know what "
                "this run has sent."
            )
            raise LedgerError(msg)

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
            self._resources.close()
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
            found = self._connection.execute(statement, parameters).fetchall()
            if self._reader is not None:
                self._refuse_outdated(self._reader)
            return found

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
        told = damage(error)
        if told is not None:
            return self._damaged(told)
        reason = error.strerror if isinstance(error, OSError) else str(error)
        if self._dry:
            return LedgerError(
                f"{self.where} cannot be read ({reason}). Make sure that this user may read the file, the files beside "
                "it (-wal, -shm) and its folder."
            )
        return LedgerError(
            f"{self.where} cannot be used ({reason}). Make sure that its folder can be written to, that the disk is "
            "not full, and that no other process keeps it busy. No STATE leaves that the ledger does not cover."
        )

    def _damaged(self, told: str) -> LedgerError:
        return LedgerError(f"{self.where} is {told}. {RESTORE}")
