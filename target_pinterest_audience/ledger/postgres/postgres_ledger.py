"""A ledger in a PostgreSQL database, which the processes of several machines share."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import psycopg

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.alerts import StandingAlerts
from target_pinterest_audience.ledger.catalogue import Catalogue, places_rows, secret_of
from target_pinterest_audience.ledger.fence import lock_key, lost, new_number
from target_pinterest_audience.ledger.history import History
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.lock_holder import held_by, wait_for, written_by
from target_pinterest_audience.ledger.postgres.claims import Claims, holds, stands
from target_pinterest_audience.ledger.postgres.connection import (
    BEGIN,
    DIRECT,
    SCHEMA,
    Connection,
    Place,
    backend_of,
    make_schema,
    table_exists,
)
from target_pinterest_audience.ledger.postgres.copy import TEMPORARY, copy_tables
from target_pinterest_audience.ledger.rekey import rekey
from target_pinterest_audience.ledger.schema import VERSION, missing_steps, needs_rekeying
from target_pinterest_audience.membership.counts import NOBODY, Count
from target_pinterest_audience.system.waits import Wait

_POLL_SECONDS: Final = 0.2
_WORD_AFTER_SECONDS: Final = 5.0
"""After how long waiting for another process's window is worth a word."""
_TURN_SECONDS: Final = 0.025
"""How often to look whether another process has written its window."""
_WRITER: Final = 0x7069_6E5F_7772_6974
"""The advisory lock of who writes: the bytes "pin_writ"."""
_TYPES: Final = {"blob": "BYTEA", "clustered": ""}
_ENCODINGS: Final = frozenset({"UTF8", "SQL_ASCII"})
"""The encodings of databases that hold any text."""
_OWNER: Final = "target_pinterest_audience.process"
"""A setting of ours by which a session is told from one that a pooler gave to another process."""


class PostgresLedger(Ledger):
    """One process at a time writes, each for the length of a window, as with a SQLite file.

    No transaction is open while anybody else is waited for: the tap, Pinterest, or another process.
    """

    def __init__(
        self,
        url: str,
        api_url: str,
        ad_account_id: str,
        *,
        wait_seconds: float,
        dry: bool = False,
        read_only: bool = False,
    ) -> None:
        """Open a ledger, and create it unless it exists.

        Args:
            url: `postgresql://…`.
            api_url: the API that its lists are at.
            ad_account_id: the ad account that owns them.
            wait_seconds: how long to wait while another process writes.
            dry: whether to work on a copy that only this session sees, and that is gone with it.
            read_only: whether nothing is written at all; then a copy is made only if the tables lack something.

        Raises:
            LedgerError: the database cannot be used, or its tables come from a newer version.
            ConfigurationError: the address is none.
        """
        self._place = Place(url)
        self.where = f"The ledger in {self._place}"
        self._dry = dry or read_only
        self._reads = False
        """Whether the tables themselves are only read."""
        self._schema = TEMPORARY if self._dry else SCHEMA
        self._wait_seconds = wait_seconds
        self._fence = new_number()
        self._claims = Claims(self._query, self._fence)
        self._interrupted = False
        self._end = ""
        """Why the session ended."""
        self._watch: Connection | None = None
        """A second connection, for `ensure_locks`: a transaction occupies the first."""
        self._watch_turn = threading.Lock()
        self._turn = threading.RLock()
        self._connection = self._connect()
        try:
            self._refuse_encoding()
            with self._told():
                self._begin_session()
                is_there = table_exists(self._connection, "schema_version")
                if read_only and is_there and self._is_complete(api_url, ad_account_id):
                    self._reads, self._schema = True, SCHEMA
                    self._set("search_path", SCHEMA)
                elif self._dry and is_there:
                    copy_tables(self._connection, api_url, ad_account_id)
            with self.transaction():
                if not self._reads:
                    self._set_up(is_new=not is_there)
                self.secret = secret_of(self._query)
                self.places_rows = places_rows(self._query)
                self.catalogue = Catalogue(self._query, api_url, ad_account_id)
                self.history = History(self._query, self.catalogue.realm)
                self.alerts = StandingAlerts(self._query, self.catalogue.realm)
        except BaseException:
            self._connection.close()
            raise

    @staticmethod
    def exists(url: str) -> bool:
        """Return whether a database holds a ledger; nothing is made in it.

        Raises:
            LedgerError: the database cannot be used.
            ConfigurationError: the address is none.
        """
        place = Place(url)
        try:
            with contextlib.closing(place.connect()) as connection:
                return table_exists(connection, "schema_version")
        except psycopg.Error as error:
            msg = f"The ledger in {place} cannot be used {place.explain(error)}"
            raise LedgerError(msg) from None

    def _is_complete(self, api_url: str, ad_account_id: str) -> bool:
        """Return whether nothing would have to be written to use the ledger."""
        run = self._connection.execute
        ((version,),) = run(f"SELECT version FROM {SCHEMA}.schema_version")  # noqa: S608 - our own name
        question = (
            f"SELECT EXISTS (SELECT FROM {SCHEMA}.meta WHERE name = 'secret') "  # noqa: S608 - likewise
            f"AND EXISTS (SELECT FROM {SCHEMA}.realms WHERE api_url = %s AND ad_account_id = %s)"
        )
        return not missing_steps(version, self.where) and run(question, (api_url, ad_account_id)).fetchone() == (True,)

    def _connect(self) -> Connection:
        try:
            return self._place.connect()
        except psycopg.Error as error:
            raise self._failed(self._place.explain(error)) from None

    def _refuse_encoding(self) -> None:
        """Raise a LedgerError if the database cannot hold every name."""
        encoding = self._connection.info.parameter_status("server_encoding")
        if encoding not in _ENCODINGS:
            msg = (
                f"{self.where} cannot be used: the database has the encoding {encoding}, which cannot hold every name. "
                "Create one with `CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0`, move the schema "
                f"{SCHEMA} to it with pg_dump if there is one, and name it in `ledger_url`."
            )
            raise LedgerError(msg)

    def _begin_session(self) -> None:
        """Prepare the session.

        Raises:
            LedgerError: it is not for this process alone.
        """
        self._backend = backend_of(self._connection)
        if self._place.shares_sessions(self._connection, self._backend):
            msg = f"{self.where} cannot be used: a connection pooler lets other programs have its session. {DIRECT}"
            raise LedgerError(msg)
        self._set("search_path", self._schema)
        self._set(_OWNER, str(self._fence))
        # A STATE must not outlive the commit that it speaks of, not even a power cut.
        if self._connection.execute("SHOW synchronous_commit").fetchone() == ("off",):
            self._set("synchronous_commit", "on")

    def _set(self, name: str, value: str) -> None:
        self._connection.execute("SELECT set_config(%s, %s, false)", (name, value))

    def _set_up(self, *, is_new: bool) -> None:
        run = self._connection.execute
        # Another process may have made it since.
        if is_new and (self._dry or not table_exists(self._connection, "schema_version")):
            if not self._dry:
                make_schema(self._connection)
            run("CREATE TABLE schema_version (version INTEGER NOT NULL)")
            run("INSERT INTO schema_version VALUES (0)")
            run("CREATE TABLE lock_holders (name_digest BIGINT PRIMARY KEY, holder BYTEA NOT NULL)")
        # The search path passes over a schema that one may not use; the whole name tells that a right is missing.
        ((version,),) = run(f"SELECT version FROM {self._schema}.schema_version")  # noqa: S608 - our own name
        steps = missing_steps(version, self.where)
        for step in steps:
            for statement in step:
                run(statement.format(**_TYPES))
        if needs_rekeying(steps):
            rekey(self, self._query)
        if version != VERSION:
            run("UPDATE schema_version SET version = %s", (VERSION,))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Ledger.transaction`."""
        run = self._connection.execute
        with self._told():
            try:
                self._begin()
                yield
                run("COMMIT")
            except BaseException:
                # If the connection is lost, so is the transaction, and what matters is the error that told.
                with contextlib.suppress(psycopg.Error):
                    run("ROLLBACK")
                raise

    def _begin(self) -> None:
        """Begin to write, as soon as no other process does, if this process still has its session and its locks.

        Raises:
            LedgerError: another process writes for too long, or the locks are lost.
        """
        self._interrupted = False
        if self._reads:
            self._connection.execute("BEGIN READ ONLY")
            return
        deadline = time.monotonic() + self._wait_seconds
        wait = Wait(
            f"another process writes to {self._place}", self._wait_seconds,
            setting="lock_wait_seconds", after_seconds=_WORD_AFTER_SECONDS,
        )  # fmt: skip
        while not self._try_begin():
            self._connection.execute("ROLLBACK")
            remaining = deadline - time.monotonic()
            if remaining <= 0 or self._interrupted:
                raise written_by(self.where, self._claims.holder_of(_WRITER), self._wait_seconds)
            wait.say(partial(self._claims.holder_of, _WRITER))
            time.sleep(min(_TURN_SECONDS, remaining))

    def _try_begin(self) -> bool:
        """Begin a transaction, and return whether it is this process's turn to write."""
        turn = "true" if self._dry else f"pg_try_advisory_xact_lock({_WRITER})"
        # Sent together: each statement still sees what was committed before it.
        cursor = self._connection.execute(f"{BEGIN}; SELECT {turn}; {self._question()}", prepare=False)
        cursor.nextset()
        ((is_our_turn,),) = cursor.fetchall()
        if is_our_turn:
            cursor.nextset()
            ((same, standing),) = cursor.fetchall()
            self._refuse_loss(same=same, standing=standing)
        return bool(is_our_turn)

    def _question(self) -> str:
        """Return what asks whether this is the session that has the settings and the locks, and they still stand."""
        same = (
            f"pg_backend_pid() = {self._backend:d} AND current_setting('search_path') = '{self._schema}' "
            f"AND current_setting('{_OWNER}', true) = '{self._fence:d}'"
        )
        held = holds(self._backend, self._fence) if self._claims.has_number else "true"
        standing = stands(self._schema, self._fence) if self._claims.held else "true"
        return f"SELECT {same} AND {held}, {standing}"

    def lock(self, names: Iterable[str], wait_seconds: float) -> None:
        """See `Ledger.lock`."""
        if self._dry:
            return
        deadline = time.monotonic() + wait_seconds
        named = {lock_key(name): name for name in names}
        keys = [key for key in named if key not in self._claims.held]
        waits: dict[int, Wait] = {}
        if keys and not self._claims.take_number(self._backend):
            self._refuse_loss(same=False, standing=True)
        while keys:
            with self.transaction():
                taken = self._claims.claim(keys)
            # Last: `ensure_locks` may look at any time.
            self._claims.held.update(taken)
            keys = keys[len(taken) :]
            while keys and (busy := self._claims.busy(keys[:1])):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise held_by(self._claims.holder(busy[keys[0]]), wait_seconds)
                wait = waits.setdefault(keys[0], wait_for(named[keys[0]], wait_seconds))
                wait.say(partial(self._claims.holder, busy[keys[0]]))
                time.sleep(min(_POLL_SECONDS, remaining))

    def ensure_locks(self) -> None:
        """See `Ledger.ensure_locks`."""
        if not self._claims.held:
            return
        try:
            with self._watch_turn:
                held, standing = self._look()
        except psycopg.Error as error:
            reason = f"Whether it still has them cannot be checked {self._place.explain(error)}"
            raise lost(self.where, reason, "Run again when the server is there.") from None
        if not held:
            reason = "Its session with the server ended."
            raise lost(self.where, reason, "Run again; the log of the server says why the session ended.")
        self._refuse_loss(same=True, standing=standing)

    def _look(self) -> tuple[bool, bool]:
        """Return whether the session has the advisory lock of the process, and whether its locks stand.

        Raises:
            psycopg.Error: the server cannot be asked.
        """
        if self._watch is not None:
            # It may have been idle for so long that somebody on the way gave it up; the locks are not its own.
            with contextlib.suppress(psycopg.OperationalError):
                return self._ask(self._watch)
            self._watch.close()
        self._watch = self._place.connect()
        return self._ask(self._watch)

    def _ask(self, watch: Connection) -> tuple[bool, bool]:
        question = f"SELECT {holds(self._backend, self._fence)}, {stands(SCHEMA, self._fence)}"
        ((held, standing),) = watch.execute(question).fetchall()
        return held, standing

    def _refuse_loss(self, *, same: bool, standing: bool) -> None:
        """Raise unless the locks are those of this process.

        Args:
            same: whether the session is still the one that took them, and has them.
            standing: whether nobody took one over.

        Raises:
            LedgerError: they are lost.
        """
        if not same:
            reason = "Its connection leads to another session than before, or the session was reset."
            raise lost(self.where, reason, DIRECT)
        if not standing:
            reason = "Its session with the server ended or let go of them, and another process took them."
            raise lost(self.where, reason, "Run again; the log of the server may say why.")

    def interrupt(self) -> None:
        """See `Ledger.interrupt`."""
        self._interrupted = True
        with contextlib.suppress(psycopg.Error):
            self._connection.cancel()

    def close(self) -> None:
        """See `Ledger.close`."""
        # With a thread that cannot be stopped, the process ends, and its session with it.
        if self._turn.acquire(blocking=False):
            self._connection.close()
            self._turn.release()
        if self._watch_turn.acquire(blocking=False):
            if self._watch is not None:
                self._watch.close()
                self._watch = None
            self._watch_turn.release()

    # Rows

    def read_rows(self, rows: Collection[bytes]) -> dict[bytes, bytes]:
        """See `Ledger.read_rows`."""
        return dict(self._bulk("SELECT row_key, says FROM row_says WHERE row_key = ANY(%b)", sorted(rows)))

    def write_rows(self, source: int, mark: int, says: Mapping[bytes, bytes]) -> None:
        """See `Ledger.write_rows`."""
        saying = sorted((row, said) for row, said in says.items() if said)
        self._bulk(
            "INSERT INTO row_says (row_key, source, seen, says) "
            "SELECT row_key, %s, %s, says FROM unnest(%b::bytea[], %b::bytea[]) AS given (row_key, says) "
            "ON CONFLICT (row_key) "
            "DO UPDATE SET source = excluded.source, seen = GREATEST(row_says.seen, excluded.seen), "
            "says = excluded.says",
            source, mark, [row for row, _ in saying], [said for _, said in saying],
        )  # fmt: skip
        silent = sorted(row for row, said in says.items() if not said)
        self._bulk("DELETE FROM row_says WHERE row_key = ANY(%b)", silent)
        for reader in self.catalogue.readers(source) if silent else ():
            self._bulk("DELETE FROM sightings WHERE reader = %s AND row_key = ANY(%b)", reader, silent)

    def mark_seen(self, mark: int, rows: Collection[bytes], reader: int = 0) -> None:
        """See `Ledger.mark_seen`."""
        if reader:
            self._bulk(
                "INSERT INTO sightings (reader, row_key, mark) SELECT %s, row_key, %s FROM row_says "
                "WHERE row_key = ANY(%b) "
                "ON CONFLICT (reader, row_key) DO UPDATE SET mark = GREATEST(sightings.mark, excluded.mark)",
                reader, mark, sorted(rows),
            )  # fmt: skip
        else:
            self._bulk("UPDATE row_says SET seen = %s WHERE row_key = ANY(%b) AND seen < %s", mark, sorted(rows), mark)

    def marks_of(self, rows: Collection[bytes], reader: int = 0) -> dict[bytes, int]:
        """See `Ledger.marks_of`."""
        if reader:
            return dict(
                self._bulk(
                    "SELECT row_key, mark FROM sightings WHERE reader = %s AND row_key = ANY(%b)", reader, sorted(rows)
                )
            )
        return dict(self._bulk("SELECT row_key, seen FROM row_says WHERE row_key = ANY(%b)", sorted(rows)))

    # Members

    def read_members(self, list_number: int, identities: Collection[bytes]) -> dict[bytes, Count]:
        """See `Ledger.read_members`."""
        found = self._bulk(
            "SELECT identity, contributors, refusers FROM members WHERE list = %s AND identity = ANY(%b)",
            list_number, sorted(identities),
        )  # fmt: skip
        return {identity: Count(contributors, refusers) for identity, contributors, refusers in found}

    def write_members(self, list_number: int, counts: Mapping[bytes, Count]) -> None:
        """See `Ledger.write_members`."""
        counted = sorted((identity, *count) for identity, count in counts.items() if count != NOBODY)
        self._bulk(
            "INSERT INTO members (list, identity, contributors, refusers) "
            "SELECT %s, given.* FROM unnest(%b::bytea[], %b::integer[], %b::integer[]) AS given "
            "ON CONFLICT (list, identity) "
            "DO UPDATE SET contributors = excluded.contributors, refusers = excluded.refusers",
            list_number, *([each[column] for each in counted] for column in range(3)),
        )  # fmt: skip
        nobodies = sorted(identity for identity, count in counts.items() if count == NOBODY)
        self._bulk("DELETE FROM members WHERE list = %s AND identity = ANY(%b)", list_number, nobodies)

    def _query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement that every database knows; see `Query`."""
        with self._told():
            cursor = self._connection.execute(statement.replace("?", "%s"), parameters)
            return cursor.fetchall() if cursor.description else []

    def _bulk(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement whose arrays may be long, unless they are empty."""
        if [] in parameters:
            return []
        with self._told(), self._connection.cursor(binary=True) as cursor:
            # Planned each time: a plan for arrays of any length may be a bad one for these.
            cursor.execute(statement, parameters, prepare=False)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with self._turn:
                yield
        except psycopg.Error as error:
            reason = self._place.explain(error)
            if self._connection.closed:
                # Later errors say no more than that it is closed.
                reason = self._end = self._end or reason
            if self._connection.closed and self._claims.held:
                raise lost(self.where, f"Its session with the server ended {reason}", "Then run again.") from None
            raise self._failed(reason) from None

    def _failed(self, reason: str) -> LedgerError:
        return LedgerError(f"{self.where} cannot be used {reason} No STATE leaves that the ledger does not cover.")
