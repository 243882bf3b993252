"""A ledger in a SQLite file: for one machine, without a server, readable by its owner only."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.sqlite.big_tables import MEMBERS, ROWS
from target_pinterest_audience.ledger.sqlite.claims import Claim
from target_pinterest_audience.ledger.sqlite.connection import Connection, run_when_free
from target_pinterest_audience.ledger.sqlite.errors import RESTORE, Errors
from target_pinterest_audience.ledger.sqlite.fence import Fence, FenceCheck
from target_pinterest_audience.ledger.sqlite.file import (
    OpenFile,
    caveat,
    close_to_others,
    create,
    is_mounted_alone,
)
from target_pinterest_audience.ledger.sqlite.keys.known_keys import KnownKeys
from target_pinterest_audience.ledger.sqlite.layers import USUAL, Layers, Sizes
from target_pinterest_audience.ledger.sqlite.locks import SqliteLocks
from target_pinterest_audience.ledger.sqlite.log import ensure_own_log
from target_pinterest_audience.ledger.sqlite.members import SqliteMembers
from target_pinterest_audience.ledger.sqlite.migration import (
    ensure_layers,
    ensure_secret,
    is_complete,
    migrate,
    steps_to_do,
)
from target_pinterest_audience.ledger.sqlite.reader import Reader
from target_pinterest_audience.ledger.sqlite.rows import SqliteRows

_BUSY_SECONDS: Final = 1.0
_CACHE_KIB: Final = 8_192
_CHECKPOINT_PAGES: Final = 10_000


class SqliteLedger(Ledger):
    """Several processes may share the file: each occupies the database only while it writes a window."""

    locks: SqliteLocks

    def __init__(
        self,
        path: Path,
        api_url: str,
        ad_account_id: str,
        *,
        wait_seconds: float,
        dry: bool = False,
        read_only: bool = False,
        sizes: Sizes = USUAL,
    ) -> None:
        """Open a ledger, and create it unless it exists.

        Args:
            path: the file.
            api_url: the API of its lists.
            ad_account_id: the ad account of its lists.
            wait_seconds: how long to wait while another process writes, or uses the file by another path.
            dry: whether to create nothing and to commit nothing.
            read_only: whether to write nothing at all. As with `dry`, the right to read the file is enough.
            sizes: how large tables grow.

        Raises:
            LedgerError: the file cannot be opened, is not a ledger, or comes from a newer version.
        """
        self.where = f"The ledger {path}"
        self._writes = not (dry or read_only)
        self._errors = Errors(self.where, writes=self._writes)
        self._wait_seconds = wait_seconds
        # Two paths that lead to one file must lead to the same files beside it.
        self._path = path.resolve()
        self._big_tables: tuple[KnownKeys, ...] = ()
        fence = Fence()
        self._fence_check = FenceCheck(fence, self.where)
        with contextlib.ExitStack() as resources:
            with self._errors.translated():
                claim = self._claim(resources) if self._writes else None
                self._file = OpenFile(self._path, self.where, claim, self._patience)
                resources.callback(self._file.close)
                self._connection = (
                    Connection(self._connect(), self._errors)
                    if self._writes
                    else self._open_reader(api_url, ad_account_id, read_only=read_only)
                )
                resources.callback(self._connection.raw.close)
                if not self._connection.reads_file:
                    self._set_up()
            of_rows, of_members = (KnownKeys(Layers(self._connection, table, sizes)) for table in (ROWS, MEMBERS))
            self._big_tables = (of_rows, of_members)
            self.members = SqliteMembers(self._connection, of_members)
            with self.transaction():
                ensure_layers(self._connection, self._errors)
                ensure_secret(self._connection, self._errors)
                self._open_tables(self._connection.query, api_url, ad_account_id)
            self._resources = resources.pop_all()
        self.locks = SqliteLocks(self, self._connection, fence, self._file, self._errors)
        self.rows = SqliteRows(self._connection, self.catalogue.feeds, of_rows)

    def _claim(self, resources: contextlib.ExitStack) -> Claim:
        """Create the file unless it exists, and claim it for this path."""
        create(self._path)
        claim = Claim(self._path)
        # The first callback, because it must follow the one that closes the connection.
        resources.callback(claim.close)
        self._refuse_empty()
        claim.take_path(self._wait_seconds)
        ensure_own_log(self._path, self.where)
        self.caveat = caveat(self._path)
        return claim

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=self._patience, isolation_level=None, check_same_thread=False)

    def _open_reader(self, api_url: str, ad_account_id: str, *, read_only: bool) -> Connection:
        """Return a connection to the file itself if it can just be read, otherwise to a copy.

        A dry run writes to its copy, so that real runs need not wait for it.
        """
        reader = None
        if self._path.exists():
            self._refuse_empty()
            self.caveat = caveat(self._path)
            reader = run_when_free(
                lambda: Reader(self._path, self.where, self._patience), self._path, self._wait_seconds, self._errors
            )
        reads_file = False
        try:
            if reader is not None:
                steps = steps_to_do(reader.connection, self.where, self._errors)
                reads_file = read_only and not steps and is_complete(reader.connection, api_url, ad_account_id)
                if reads_file:
                    return Connection(reader.connection, self._errors, reader)
            # The empty name is a database that only this connection sees, in a file that no other process can open.
            copy = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            if reader is not None:
                reader.connection.backup(copy)
                reader.ensure_current()
            return Connection(copy, self._errors)
        finally:
            if reader is not None and not reads_file:
                reader.connection.close()

    def _refuse_empty(self) -> None:
        """Raise a LedgerError if the file is empty: SQLite would take it for a new database.

        A file that is mounted by itself may be, because it had to exist before it could be mounted.
        """
        if not self._path.stat().st_size and not is_mounted_alone(self._path):
            msg = f"{self.where} is an empty file: a copy or a restore did not finish. {RESTORE}"
            raise LedgerError(msg)

    @property
    def _patience(self) -> float:
        """How many seconds SQLite waits by itself."""
        return min(_BUSY_SECONDS, self._wait_seconds)

    def _set_up(self) -> None:
        """Prepare the connection, and bring the tables up to date."""
        raw = self._connection.raw
        self._connection.read(self._path, self._wait_seconds)
        # Before anything is changed, because the file may belong to another program.
        steps_to_do(raw, self.where, self._errors)
        if self._writes:
            close_to_others(self._path)
            self._connection.use_log(self._path, self._wait_seconds)
        # A STATE must not outlive the commit that it follows, not even in a power cut.
        raw.execute("PRAGMA synchronous = FULL")
        # Forgotten people must not stay in free pages. Some builds of SQLite do this by default.
        raw.execute("PRAGMA secure_delete = ON")
        raw.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        raw.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        with self.transaction():
            # By now it exists.
            self._file.claim_log()
            migrate(self._connection, steps_to_do(raw, self.where, self._errors))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Ledger.transaction`."""
        raw = self._connection.raw
        with self._connection.turn():
            self._connection.begin(self._path, self._wait_seconds)
            try:
                self._file.ensure_in_place()
                self._fence_check.ensure(raw)
                for known in self._big_tables:
                    known.begin()
                yield
                raw.execute("COMMIT")
                # After the commit, because a STATE must not follow from one that the next process cannot find.
                self._file.ensure_in_place()
            except BaseException:
                # SQLite has rolled back by itself after some errors, such as a full disk.
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                # They may lack keys that the block had deleted.
                for known in self._big_tables:
                    known.drop_filter()
                raise
            finally:
                for known in self._big_tables:
                    known.end()

    def tidy(self, rows: int) -> None:
        """See `Ledger.tidy`."""
        for known in self._big_tables:
            with self.transaction():
                known.layers.tidy(rows)

    def interrupt(self) -> None:
        """See `Ledger.interrupt`."""
        self._connection.interrupt()

    def close(self) -> None:
        """See `Ledger.close`."""
        # A thread that cannot be stopped may still use a connection. SQLite would crash if it were closed then; the
        # locks end with the process.
        with self._connection.idle() as is_idle:
            # The first connection is closed last, because it empties the log, which the second one may not.
            if is_idle and self.locks.close():
                self._file.clear_log(self._connection.raw)
                self._resources.close()
