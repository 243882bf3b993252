"""Progress on a terminal: a real one, with the target as a process behind it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.reporting.progress import Snapshot, progress_line, share_of_file
from tests.support.messages import people, schema, state
from tests.support.processes import Target, command, environment, lines
from tests.support.waiting import wait_until

EMAIL = schema("email")
UPSERT = {"load_method": "upsert"}
WIDTH = 120


class Terminal:
    """What a process writes to a terminal."""

    def __init__(self, descriptor: int) -> None:
        self.seen = b""
        self._descriptor = descriptor
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while chunk := os.read(self._descriptor, 65_536):
                self.seen += chunk
        except OSError:
            """The process has closed its end."""

    @property
    def text(self) -> str:
        """What was written, without what moves the cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen.decode(errors="replace"))


@contextmanager
def on_terminal(
    config: dict[str, Any],
    folder: Path,
    *,
    stdin: Any = subprocess.PIPE,
    stdout_too: bool = False,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[subprocess.Popen[bytes], Terminal]]:
    """The target with its standard error on a terminal."""
    master, slave = pty.openpty()
    given = environment(**{"COLUMNS": str(WIDTH), "TERM": "xterm-256color", **variables})
    process = subprocess.Popen(
        command(config, folder), stdin=stdin, stdout=slave if stdout_too else subprocess.PIPE, stderr=slave, env=given
    )
    os.close(slave)
    terminal = Terminal(master)
    try:
        yield process, terminal
    finally:
        process.kill()
        process.communicate()
        os.close(master)


def write(process: subprocess.Popen[bytes], stream: list[dict[str, Any]]) -> None:
    assert process.stdin is not None
    process.stdin.write(lines(stream))
    process.stdin.flush()


def end(process: subprocess.Popen[bytes]) -> int:
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    return process.wait(30)


def test_the_line_shows_rows_rate_and_requests_during_the_run(
    emulator: Emulator, config: dict[str, Any], tmp_path: Path
) -> None:
    with on_terminal({**config, **UPSERT, "batch_size_rows": 10}, tmp_path) as (process, terminal):
        write(process, [EMAIL, *people(range(25))])
        wait_until(lambda: re.search(r"25 rows, [\d,]+/s, \d+ sent in \d requests", terminal.text))
        write(process, [*people(range(25, 40)), state(1)])
        wait_until(lambda: "40 rows" in terminal.text)
        assert end(process) == 0
        wait_until(lambda: "The run took" in terminal.text)
    assert len(emulator.backend.customer_lists()) == 1


def test_log_lines_stay_whole_above_the_line(config: dict[str, Any], tmp_path: Path) -> None:
    name = "a list with a name that makes the lines of the log much longer than the terminal is wide " * 2
    with on_terminal({**config, **UPSERT, "customer_list_name": name}, tmp_path) as (process, terminal):
        write(process, [EMAIL, *people(range(5))])
        wait_until(lambda: "5 rows" in terminal.text)
        assert end(process) == 0
        wait_until(lambda: "The run took" in terminal.text)
        assert f'Created customer list "{name}" (id ' in terminal.text
        assert f'customer list "{name}" (id ' in terminal.text.partition("5 values")[2]


def test_a_wait_for_pinterests_limit_is_shown(emulator: Emulator, config: dict[str, Any], tmp_path: Path) -> None:
    emulator.backend.create_list("customers", ["a" * 64])
    emulator.backend.inject(Fault(method="PATCH", status=429, headers={"Retry-After": "3"}))
    settings = {**config, **UPSERT, "max_backoff_ms": 5_000, "batch_size_rows": 5}
    with on_terminal(settings, tmp_path) as (process, terminal):
        write(process, [EMAIL, *people(range(5))])
        wait_until(lambda: re.search(r"5 on their way, waiting [123] s for Pinterest's rate limit", terminal.text))
        assert end(process) == 0


def test_the_remaining_time_of_a_file_is_estimated(emulator: Emulator, config: dict[str, Any], tmp_path: Path) -> None:
    emulator.backend.inject(Fault(method="GET", delay_ms=2_000))
    path = tmp_path / "stream.singer"
    path.write_bytes(lines([EMAIL, *people(range(300_000))]))
    with path.open("rb") as stream, on_terminal({**config, **UPSERT}, tmp_path, stdin=stream) as (process, terminal):
        wait_until(lambda: re.search(r"\d+% read, about \d+ (s|min) to go", terminal.text), 60)
        process.kill()


def test_the_remaining_time_of_a_pipe_is_estimated_from_the_last_run(
    config: dict[str, Any], run_target: Target, tmp_path: Path
) -> None:
    run_target([EMAIL, *people(range(200))], **UPSERT)
    with on_terminal({**config, **UPSERT}, tmp_path) as (process, terminal):
        write(process, [EMAIL, *people(range(50))])
        wait_until(lambda: "25% read, about " in terminal.text)
        assert end(process) == 0


def test_states_on_the_same_terminal_stay_whole(config: dict[str, Any], tmp_path: Path) -> None:
    with on_terminal({**config, **UPSERT}, tmp_path, stdout_too=True) as (process, terminal):
        write(process, [EMAIL, *people(range(5))])
        wait_until(lambda: "5 rows" in terminal.text)
        write(process, [state(1)])
        assert end(process) == 0
        wait_until(lambda: "The run took" in terminal.text)
        assert re.search(r"^\r?\{\"bookmarks\":\{\"at\":1\}\}\r$", terminal.text, re.MULTILINE)


def test_a_signal_removes_the_line(config: dict[str, Any], tmp_path: Path) -> None:
    with on_terminal({**config, **UPSERT}, tmp_path) as (process, terminal):
        write(process, [EMAIL, *people(range(5))])
        wait_until(lambda: "5 rows" in terminal.text)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143
        wait_until(lambda: "SIGTERM: stopped" in terminal.text)
        # The cursor is shown again.
        assert terminal.seen.rfind(b"\x1b[?25h") > terminal.seen.rfind(b"\x1b[?25l") >= 0


@pytest.mark.parametrize("variables", [{"LOGLEVEL": "WARNING"}, {"TERM": "dumb"}])
def test_a_quiet_log_level_or_another_terminal_has_no_line(
    config: dict[str, Any], tmp_path: Path, variables: dict[str, str]
) -> None:
    with on_terminal({**config, **UPSERT}, tmp_path, variables=variables) as (process, terminal):
        write(process, [EMAIL, *people(range(5))])
        assert end(process) == 0
    assert "\x1b" not in terminal.seen.decode()
    assert "/s" not in terminal.text


def test_without_a_terminal_the_module_is_not_imported(config: dict[str, Any], tmp_path: Path) -> None:
    program = (
        "import sys; from target_pinterest_audience.singer.command import run; code = run(sys.argv[1:]); "
        "sys.exit(code or 'rich' in sys.modules)"
    )
    argv = [sys.executable, "-c", program, *command(config, tmp_path)[3:]]
    done = subprocess.run(
        argv, input=lines([EMAIL, *people([1])]), capture_output=True, check=False, timeout=60, env=environment()
    )
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stderr


SNAPSHOT = Snapshot(1_000, None, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "elapsed", "words"),
    [
        ({}, 4, "1,000 rows, 250/s"),
        ({"share": 0.25}, 60, "1,000 rows, 250/s, 25% read, about 3 min to go"),
        ({"share": 0.5}, 50, "1,000 rows, 250/s, 50% read, about 50 s to go"),
        ({"share": 0.1}, 3_600, "1,000 rows, 250/s, 10% read, about 9.0 h to go"),
        ({"share": 0.001}, 4, "1,000 rows, 250/s"),
        ({"share": 1.0, "requests": 2, "identities": 9}, 4, "1,000 rows, 250/s, 9 sent in 2 requests, all read"),
        ({"under_way": 5, "waiting_seconds": 61.4}, 4,
         "1,000 rows, 250/s, 0 sent in 0 requests, 5 on their way, waiting 61 s for Pinterest's rate limit"),
        ({"waiting_seconds": -4.0}, 4, "1,000 rows, 250/s"),
    ],
)  # fmt: skip
def test_the_line_has_what_is_known(changes: dict[str, Any], elapsed: float, words: str) -> None:
    assert progress_line(SNAPSHOT._replace(**changes), elapsed, 250) == words


def test_the_share_of_an_input_that_is_not_a_file_is_unknown(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb"):
        assert share_of_file(pipe) is None
    path = tmp_path / "stream"
    path.write_bytes(b"")
    with path.open("rb", buffering=0) as empty:
        assert share_of_file(empty) is None
    path.write_bytes(bytes(100))
    with path.open("rb", buffering=0) as file:
        file.read(25)
        assert share_of_file(file) == 0.25
    assert share_of_file(None) is None
