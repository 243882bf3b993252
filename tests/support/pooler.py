"""A PgBouncer for tests, in front of a database of theirs."""

from __future__ import annotations

import dataclasses
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.postgres import Database

_DEADLINE_SECONDS = 30


@contextmanager
def run_pooler(database: Database, mode: str) -> Iterator[Database]:
    """Run a PgBouncer in a pool mode, and yield the way to the database through it."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
    with tempfile.TemporaryDirectory(prefix="test-pgbouncer-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        users, settings = Path(folder, "users.txt"), Path(folder, "pgbouncer.ini")
        users.write_text(f'"{database.user}" "{database.password}"\n')
        settings.write_text(
            f"[databases]\n* = host={database.host} port={database.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = plain\nauth_file = {users}\n"
            f"pool_mode = {mode}\ndefault_pool_size = 6\nquery_wait_timeout = 20\n"
        )
        # PgBouncer refuses to run as root.
        user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if user is not None:
            for path in (Path(folder), users, settings):
                os.chown(path, user.pw_uid, user.pw_gid)
        process = subprocess.Popen(
            [program, "--quiet", settings],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            user=user.pw_uid if user is not None else None, cwd=folder,
        )  # fmt: skip
        try:
            _wait_for(port, process)
            yield dataclasses.replace(database, port=port)
        finally:
            process.terminate()
            process.wait(_DEADLINE_SECONDS)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while True:
        assert process.poll() is None, "PgBouncer did not start"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "PgBouncer does not answer"
            time.sleep(0.02)
        else:
            return
