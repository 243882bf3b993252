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
from target_pinterest_audience.ledger.catalogue import Catalogue, places_rows, secret_of
from target_pinterest_audience.ledger.fence import COUNT, lock_key, lost, new_number
from target_pinterest_audience.ledger.history import History
from target_pinterest_audience.ledger.holder import Holder, held_by, wait_for
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.postgres_connection import (
    SCHEMA,
    Connection,
    Place,
    begin,
    keep_idle,
    make_schema,
    table_exists,
)
from target_pinterest_audience.ledger.rekey import rekey
from target_pinterest_audience.ledger.schema import VERSION, missing_steps, needs_rekeying
from target_pinterest_audience.ledger.standing import StandingAlerts
from target_pinterest_audience.membership import NOBODY, Count
from target_pinterest_audience.waits import waiting

_POLL_SECONDS: Final = 0.2
_WORD_AFTER_SECONDS: Final = 5.0
"""After how long waiting for another process's window is worth a word."""
_IDLE_LIMIT: Final = "5min"
"""How long a process that is cut off or suspended within a transaction keeps the others from writing."""
_DRY_PATIENCE: Final = "900ms"
"""How long a dry run waits for a row that a run writes: less than the time in which PostgreSQL finds a deadlock by
default, so that of the two it is the dry run that fails."""
_WRITER: Final = 0x7069_6E5F_7772_6974
"""The advisory lock of who writes: the bytes "pin_writ"."""
_TYPES: Final = {"blob": "BYTEA", "clustered": ""}

_LOCKS: Final = f"""
    SELECT count(*) FROM pg_catalog.pg_locks JOIN pg_catalog.pg_database ON pg_database.oid = pg_locks.database
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pid = ? AND datname = current_database()
    AND ((classid::bigint << 32) | objid::bigint) <> {_WRITER}
"""  # noqa: S608 - a number of ours
"""Counts the locks that a session has, but for that of who writes. A session of ours has no others."""
_STANDS: Final = COUNT.replace("fences", f"{SCHEMA}.fences")
_HOLDS: Final = f"SELECT pg_backend_pid() = ? AND current_setting('search_path') = ?, ({_LOCKS})"
_HOLDS_AND_STANDS: Final = f"{_HOLDS}, ({_STANDS})"
_WATCH: Final = f"SELECT ({_LOCKS}), ({_STANDS})".replace("?", "%s")
# A session that is not ours must not get a lock that nobody would let go of.
_TRY_LOCK: Final = "SELECT CASE WHEN pg_backend_pid() = ? THEN pg_try_advisory_lock(?) END"
# In turn with the windows of others: a process that has lost the lock sees the new number, or has committed before.
_FENCE: Final = f"""
    WITH holder AS (
        INSERT INTO lock_holders (name_digest, holder) VALUES (?, ?)
        ON CONFLICT (name_digest) DO UPDATE SET holder = excluded.holder
    )
    INSERT INTO fences (name_digest, number)
    SELECT ?, ? FROM (SELECT pg_advisory_xact_lock({_WRITER})) AS turn
    ON CONFLICT (name_digest) DO UPDATE SET number = excluded.number
"""  # noqa: S608 - a number of ours


class PostgresLedger(Ledger):
    """One process at a time writes, each for the length of a window, as with a SQLite file."""

    def __init__(self, url: str, api_url: str, ad_account_id: str, *, dry: bool = False) -> None:
        """Open a ledger, and create it unless it exists.

        Args:
            url: `postgresql://…`.
            api_url: the API that its lists are at.
            ad_account_id: the ad account that owns them.
            dry: whether to create nothing and to commit nothing.

        Raises:
            LedgerError: the database cannot be used, or its tables come from a newer version.
            ConfigurationError: the address is none.
        """
        self._place = Place(url)
        self.where = f"The ledger in {self._place}"
        self._dry = dry
        self._held: set[int] = set()
        self._fence = new_number()
        self._watch: Connection | None = None
        """A second connection, for `ensure_locks`: a transaction occupies the first."""
        self._watch_turn = threading.Lock()
        self._turn = threading.RLock()
        with self._told():
            self._connection = self._place.connect()
        try:
            with self._told():
                self._schema = self._begin_session()
            with self.transaction():
                self._set_up()
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

    def _begin_session(self) -> str:
        """Prepare the session.

        Returns:
            The schema of the tables: of temporary ones, if a dry run finds none.
        """
        self._backend = self._connection.info.backend_pid
        schema = SCHEMA if not self._dry or table_exists(self._connection, "schema_version") else "pg_temp"
        self._set("search_path", schema)
        # A STATE must not outlive the commit that it speaks of, not even a power cut.
        if self._connection.execute("SHOW synchronous_commit").fetchone() == ("off",):
            self._set("synchronous_commit", "on")
        self._set("idle_in_transaction_session_timeout", "0" if self._dry else _IDLE_LIMIT)
        keep_idle(self._connection)
        if self._dry:
            self._set("lock_timeout", _DRY_PATIENCE)
            begin(self._connection)
        return schema

    def _set(self, name: str, value: str) -> None:
        self._connection.execute("SELECT set_config(%s, %s, false)", (name, value))

    def _set_up(self) -> None:
        run = self._connection.execute
        if not self._dry:
            make_schema(self._connection)
        if not table_exists(self._connection, "schema_version"):
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
            if self._dry:
                run("SAVEPOINT block")
            else:
                begin(self._connection)
            try:
                if not self._dry:
                    with waiting(f"another process writes to {self._place}", None, after_seconds=_WORD_AFTER_SECONDS):
                        run("SELECT pg_advisory_xact_lock(%s)", (_WRITER,))
                self._ensure_held()
                yield
                run("RELEASE block" if self._dry else "COMMIT")
            except BaseException:
                # If the connection is lost, so is the transaction, and what matters is the error that told.
                with contextlib.suppress(psycopg.Error):
                    run("ROLLBACK TO block" if self._dry else "ROLLBACK")
                raise

    def lock(self, names: Iterable[str], wait_seconds: float) -> None:
        """See `Ledger.lock`."""
        if self._dry:
            return
        deadline = time.monotonic() + wait_seconds
        for name in names:
            key = lock_key(name)
            if key in self._held:
                continue
            wait = wait_for(name, wait_seconds)
            while not self._try_lock(key):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise held_by(self._holder(key), wait_seconds)
                wait.say(partial(self._holder, key))
                time.sleep(min(_POLL_SECONDS, remaining))
            self._ensure_held(new=1)
            self._query(_FENCE, key, Holder.this_process().encode(), key, self._fence)
            # Last: `ensure_locks` may look at any time.
            self._held.add(key)

    def _holder(self, key: int) -> Holder | None:
        """Return who has a lock; None if that is not known."""
        found = self._query("SELECT holder FROM lock_holders WHERE name_digest = ?", key)
        return Holder.read(found[0][0]) if found else None

    def _try_lock(self, key: int) -> bool:
        ((taken,),) = self._query(_TRY_LOCK, self._backend, key)
        if taken is None:
            self._refuse_loss(len(self._held), 0, same=False)
        return bool(taken)

    def _ensure_held(self, new: int = 0) -> None:
        """Make sure that this is the session which has the settings and the locks, and that nobody took them over.

        Args:
            new: how many locks it must have besides, which have no fencing number yet.

        Raises:
            LedgerError: it is not so.
        """
        held = len(self._held)
        session = (self._backend, self._schema, self._backend)
        if held:
            ((same, locks, standing),) = self._query(_HOLDS_AND_STANDS, *session, self._fence)
        else:
            ((same, locks),), standing = self._query(_HOLDS, *session), 0
        self._refuse_loss(held, standing, same=same and locks >= held + new)

    def ensure_locks(self) -> None:
        """See `Ledger.ensure_locks`."""
        # First: the main thread may take another lock meanwhile.
        held = len(self._held)
        if not held:
            return
        try:
            with self._watch_turn:
                locks, standing = self._look()
        except psycopg.Error as error:
            reason = f"Whether it still has them cannot be checked {self._place.explain(error)}"
            raise lost(self.where, reason, "Run again when the server is there.") from None
        self._refuse_loss(held, standing, same=locks >= held)

    def _look(self) -> tuple[int, int]:
        """Return how many locks the session has, and at how many the fencing number stands.

        Raises:
            psycopg.Error: the server cannot be asked.
        """
        if self._watch is not None:
            # It may have been idle for so long that somebody on the way gave it up; the locks are not its own.
            with contextlib.suppress(psycopg.OperationalError):
                return self._ask(self._watch)
            self._watch.close()
        self._watch = self._place.connect()
        keep_idle(self._watch)
        return self._ask(self._watch)

    def _ask(self, watch: Connection) -> tuple[int, int]:
        ((locks, standing),) = watch.execute(_WATCH, (self._backend, self._fence)).fetchall()
        return locks, standing

    def _refuse_loss(self, held: int, standing: int, *, same: bool) -> None:
        """Raise unless the locks are those of this process.

        Args:
            held: how many it took.
            standing: at how many its fencing number stands.
            same: whether the session is still the one that took them, and has them.

        Raises:
            LedgerError: they are lost.
        """
        if not same:
            reason = "Its session with the server ended, or the connection leads to another session."
            advice = (
                "Give `ledger_url` a direct connection, not one through a transaction-pooling PgBouncer; if it is one, "
                "the log of the server says why the session ended."
            )
            raise lost(self.where, reason, advice)
        if standing < held:
            reason = "Its session with the server ended or let go of them, and another process took them."
            raise lost(self.where, reason, "Run again; the log of the server may say why.")

    def interrupt(self) -> None:
        """See `Ledger.interrupt`."""
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
            if self._held and self._connection.closed:
                reason = f"Its session with the server ended {self._place.explain(error)}"
                raise lost(self.where, reason, "Then run again.") from None
            msg = (
                f"{self.where} cannot be used {self._place.explain(error)} No STATE leaves that the ledger does not "
                "cover."
            )
            raise LedgerError(msg) from None
