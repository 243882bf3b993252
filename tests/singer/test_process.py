"""How the process ends: exit codes, half a stream, signals, and STATE while the pipe is silent."""

from __future__ import annotations

import json
import os
import select
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.reconcile.reconciler import WINDOW_VALUES
from target_pinterest_audience.run.run import STATE_PATIENCE_SECONDS
from target_pinterest_audience.singer.reader import MessageReader
from tests.support.messages import address, digests, people, schema, state
from tests.support.processes import Target, command, environment, feed, lines, running, unmeasured_environment
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        (b'{"type": "RECORD", "stream": "customers", "rec', "is not valid JSON in UTF-8 (malformed or truncated)"),
        (b"person1@example.com\n", "is not valid JSON"),
        (b'["person1@example.com"]\n', "is not a JSON object"),
        (b'{"stream": "customers", "record": {"id": 9, "email": "person1@example.com"}}\n', "has no message type"),
        (b'{"type": "RECODR", "email": "person1@example.com"}\n', "has an unknown message type"),
        (b'{"type": 7, "email": "person1@example.com"}\n', "has an unknown message type"),
        (b'{"type": "RECORD", "stream": "customers", "email": "person1@example.com"}\n', "lacks record"),
        (b'{"type": "RECORD", "stream": "customers", "record": "person1@example.com"}\n', "is not a JSON object"),
        (b'{"type": "RECORD", "stream": "b", "record": {"email": "person1@example.com"}}\n', "came before its SCHEMA"),
        (b'{"type": "RECORD", "stream": "customers", "record": {"email": "person1@example.com"}}\n', "key property id"),
        (b'{"type": "SCHEMA", "stream": "b", "schema": []}\n', "has no JSON schema"),
        (b'{"type": "STATE", "email": "person1@example.com"}\n', "lacks value"),
        (
            b'{"type": "RECORD", "stream": "customers", "record": {"id": 9, "email": "person1\xff"}}\n',
            "is not valid JSON in UTF-8",
        ),
        (
            b'{"type": "RECORD", "email": "person1", "record": ' + b"[" * 200_000 + b"]" * 200_000 + b"}\n",
            "is not valid JSON",
        ),
        (b'{"type": "RECORD", "stream": ["person1"], "record": {}}\n', "does not name its stream"),
        (b'{"type": "SCHEMA", "stream": null, "schema": {"properties": {}}}\n', "does not name its stream"),
    ],
)
def test_rows_before_a_broken_line_are_delivered(
    emulator: Emulator, run_target: Target, tail: bytes, words: str
) -> None:
    run = run_target(lines([schema("email"), *people(range(5)), state(1)]) + tail)
    assert run.code == 8
    assert words in run.stderr
    assert "person1" not in run.stderr
    assert run.states == [state(1)["value"]]
    (made,) = emulator.backend.customer_lists()
    assert emulator.backend.members(made.id) == digests(range(5))


def test_line_numbers_are_those_of_the_stream(run_target: Target) -> None:
    run = run_target(b"\n\r\n" + lines([schema("email")]) + b"\n" + lines([*people([1])]) + b"nonsense\n")
    assert "Line 6 of the stream is not valid JSON" in run.stderr


def test_a_last_line_without_its_newline_counts(run_target: Target) -> None:
    run = run_target(lines([schema("email"), *people(range(5)), state(1)]).rstrip(b"\n"))
    assert run.code == 0
    assert run.states == [state(1)["value"]]


def test_odd_json_that_python_accepts_is_accepted(emulator: Emulator, run_target: Target) -> None:
    stream = b"\xef\xbb\xbf" + lines([schema("email", "x")])
    stream += (
        b'\n{"type": "RECORD", "stream": "customers", "record": {"id": 1, "email": "person1@example.com", "x": NaN}}\n'
    )
    stream += b'{"type": "RECORD", "stream": "customers", "record": {"id": 2, "email": "a\\ud800@example.com"}}\r\n'
    stream += (
        b'{"type": "RECORD", "stream": "customers", "record": {"id": 3, "email": null, "x": 1e99999999999999999999}}\n'
    )
    run = run_target(stream)
    assert run.code == 0, run.stderr
    (made,) = emulator.backend.customer_lists()
    assert emulator.backend.members(made.id) == digests([1])
    assert "1 rejected)" in run.stderr


def test_a_line_of_many_megabytes_is_read(emulator: Emulator, run_target: Target) -> None:
    long = {"type": "RECORD", "stream": "customers", "record": {"id": 1, "email": address(1), "note": "x" * 40_000_000}}
    assert run_target([schema("email"), long, *people([2])]).code == 0
    (made,) = emulator.backend.customer_lists()
    assert emulator.backend.members(made.id) == digests([1, 2])


def test_a_missing_configuration_is_reported_as_such(tmp_path: Path) -> None:
    done = subprocess.run(command({}, tmp_path)[:-2], input=b"", capture_output=True, check=False, env=environment())
    assert (done.returncode, b"Pass `--config FILE`" in done.stderr) == (2, True)


def test_empty_input_changes_nothing(emulator: Emulator, run_target: Target) -> None:
    run = run_target(b"")
    assert "No rows: the tap sent neither a row nor a STATE" in run.stderr
    assert (run.code, run.stdout) == (0, "")
    assert emulator.backend.calls == []


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_standard_output_is_reported_in_one_line(
    config: dict[str, Any], tmp_path: Path, unbuffered: str
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = lines([schema("email"), *people([1]), state(1)])
    argv, env = command(config, tmp_path), environment(PYTHONUNBUFFERED=unbuffered)
    done = subprocess.run(argv, input=stream, stdout=writing, stderr=subprocess.PIPE, check=False, env=env)
    os.close(writing)
    assert done.returncode == 1
    assert b"STATE cannot be written" in done.stderr
    assert b"Traceback" not in done.stderr
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *argv]
    done = subprocess.run(closed, input=stream, stderr=subprocess.PIPE, check=False, env=env)
    assert (done.returncode, b"Traceback" in done.stderr) == (1, False)
    assert b"STATE cannot be written" in done.stderr
    closed = ["sh", "-c", 'exec "$@" <&-', "sh", *argv]
    done = subprocess.run(closed, capture_output=True, check=False, env=env)
    assert (done.returncode, b"Pipe a tap into the target" in done.stderr) == (8, True)


def test_an_invalid_log_level_exits_2(config: dict[str, Any], tmp_path: Path) -> None:
    argv = command(config, tmp_path)
    done = subprocess.run(argv, input=b"", capture_output=True, check=False, env=environment(LOGLEVEL="loud"))
    assert (done.returncode, b"LOGLEVEL must be" in done.stderr) == (2, True)


def test_rows_that_a_filter_handles_are_not_logged(config: dict[str, Any], tmp_path: Path) -> None:
    maps = {"customers": {"__filter__": "email if email != 'canary@example.com' else None"}}
    argv = command({**config, "stream_maps": maps}, tmp_path)
    stream = lines([schema("email"), *people([1])])
    done = subprocess.run(argv, input=stream, capture_output=True, check=False, env=environment(LOGLEVEL="DEBUG"))
    assert done.returncode == 0
    assert b"DEBUG" in done.stderr
    assert b"example.com" not in done.stderr


def test_a_configuration_error_ends_the_run_before_anything_is_read(run_target: Target, tmp_path: Path) -> None:
    run = run_target(b"", consent_colum="opt_in_s3cr3t")
    assert run.code == 2
    assert "Did you mean `consent_column`" in run.stderr
    assert "s3cr3t" not in run.stderr
    argv = [*command({}, tmp_path)[:-1], str(tmp_path / "none.json")]
    done = subprocess.run(argv, capture_output=True, check=False, env=environment())
    assert done.returncode == 2
    assert b"cannot be read" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_environment_and_the_env_file_are_read(emulator: Emulator, config: dict[str, Any], tmp_path: Path) -> None:
    prefix = "TARGET_PINTEREST_AUDIENCE_"
    in_file = {"api_url": emulator.url, "access_token": config["access_token"]}
    variables = {prefix + name.upper(): str(value) for name, value in config.items() if name not in in_file}
    (tmp_path / ".env").write_text("".join(f"{prefix}{name.upper()}={value}\n" for name, value in in_file.items()))
    argv = [*command({}, tmp_path)[:-1], "ENV"]
    stream = lines([schema("email"), *people([1])])
    done = subprocess.run(
        argv, input=stream, capture_output=True, check=False, cwd=tmp_path, env=environment(**variables)
    )
    assert done.returncode == 0, done.stderr
    (made,) = emulator.backend.customer_lists()
    assert emulator.backend.members(made.id) == digests([1])


def test_about_needs_no_configuration_and_no_network(tmp_path: Path) -> None:
    argv = [*command({}, tmp_path)[:-2], "--about", "--format", "json"]
    done = subprocess.run(argv, capture_output=True, check=True, env=environment())
    about = json.loads(done.stdout)
    assert about["name"] == "target-pinterest-audience"
    assert about["settings"]["properties"]["access_token"]["secret"] is True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_with_what_was_accepted(
    emulator: Emulator, config: dict[str, Any], tmp_path: Path, number: signal.Signals
) -> None:
    with running(config, tmp_path, batch_size_rows=10) as process:
        feed(process, [schema("email"), *people(range(10)), state(1), *people(range(10, 15)), state(2)])
        wait_until(lambda: len(emulator.backend.writes()) == 1)
        time.sleep(0.3)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=10)
    assert process.returncode == 128 + number
    assert [json.loads(line) for line in stdout.splitlines()] == [state(1)["value"]]
    assert signal.Signals(number).name.encode() in stderr
    (made,) = emulator.backend.customer_lists()
    assert emulator.backend.members(made.id) == digests(range(10))


@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)])
@pytest.mark.parametrize("pause", [0, pytest.param(0.5, marks=pytest.mark.slow)])
@pytest.mark.parametrize("load_method", ["append-only", "upsert"])
def test_a_second_signal_ends_the_run_like_the_first(
    emulator: Emulator,
    config: dict[str, Any],
    run_target: Target,
    tmp_path: Path,
    load_method: str,
    pause: float,
    numbers: tuple[signal.Signals, signal.Signals],
) -> None:
    emulator.backend.create_list("customers")
    emulator.backend.inject(Fault(method="PATCH", skip=1, delay_ms=6000))
    stream = [schema("email"), *people(range(10)), state(1), *people(range(10, 25)), state(2)]
    settings = {"batch_size_rows": 10, "load_method": load_method, "report_path": str(tmp_path / "report.json")}
    with running(config, tmp_path, **settings) as process:
        feed(process, stream)
        assert process.stdout is not None
        # An upsert sends what a window brings, which a silent pipe ends.
        first = json.loads(process.stdout.readline())
        for number in numbers:
            process.send_signal(number)
            time.sleep(pause)
        stdout, stderr = process.communicate(timeout=10)
    # The interpreter hands over signals that it finds at once by their numbers, so either may be the first to it. On a
    # busy machine it may find both even after the pause.
    assert process.returncode in {128 + number for number in numbers}, stderr
    assert (first, stdout) == (state(1)["value"], b"")
    assert stderr.count(b"stopped. What Pinterest accepted is kept") == 1
    assert b"bug" not in stderr
    assert json.loads((tmp_path / "report.json").read_text())["exit_code"] == process.returncode
    emulator.backend.clear_faults()
    again = run_target(stream, **settings)
    assert (again.code, again.states[-1]) == (0, state(2)["value"]), again.stderr
    (made,) = emulator.backend.customer_lists()
    assert emulator.backend.members(made.id) == digests(range(25))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_from_the_start(config: dict[str, Any], tmp_path: Path, number: signal.Signals) -> None:
    ended = set()
    for tenths in range(0, 12, 2):
        # Not forked: the start of the interpreter is what it is about.
        with subprocess.Popen(
            command(config, tmp_path), stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=unmeasured_environment()
        ) as process:
            time.sleep(tenths / 10)
            process.send_signal(number)
            _, stderr = process.communicate(timeout=15)
        if b"Could not import runpy" in stderr:
            continue  # On a machine under load, the interpreter may take so long to start that it tells of the signal.
        assert b"Traceback" not in stderr
        assert b"bug" not in stderr
        ended.add(process.returncode)
    # Before the interpreter runs any line of ours, the signal ends it in its own way.
    assert ended <= {128 + number, -number}
    assert 128 + number in ended


def test_a_signal_ends_the_run_while_pinterest_hangs(
    emulator: Emulator, config: dict[str, Any], tmp_path: Path
) -> None:
    emulator.backend.inject(Fault(method="POST", delay_ms=8000))
    with running(config, tmp_path, batch_size_rows=10) as process:
        feed(process, [schema("email"), *people(range(10)), state(1)])
        wait_until(lambda: len(emulator.backend.calls) == 1)
        time.sleep(0.3)
        asked = time.monotonic()
        process.terminate()
        stdout, _ = process.communicate(timeout=10)
        assert time.monotonic() - asked < 5
    assert (process.returncode, stdout) == (143, b"")


@pytest.mark.slow
def test_a_signal_ends_the_run_while_the_ledger_is_busy(
    config: dict[str, Any], tmp_path: Path, run_target: Target
) -> None:
    config["load_method"] = "upsert"
    run_target([schema("email"), *people(range(3))])
    path = Path(config["ledger_url"].removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other, running(config, tmp_path) as process:
        feed(process, [schema("email"), *people(range(3)), state(1)])
        assert process.stdout is not None
        select.select([process.stdout], [], [], 20)
        other.execute("BEGIN IMMEDIATE")
        feed(process, [*people(range(WINDOW_VALUES + 10)), state(2)])
        time.sleep(3)
        asked = time.monotonic()
        process.terminate()
        stdout, stderr = process.communicate(timeout=10)
        assert time.monotonic() - asked < 6
        other.execute("ROLLBACK")
    assert process.returncode == 143, stderr
    assert [json.loads(line) for line in stdout.splitlines()] == [state(1)["value"]]
    again = run_target([schema("email"), *people(range(WINDOW_VALUES + 10)), state(3)])
    assert again.states == [state(3)["value"]]


def test_a_full_batch_is_sent_while_the_pipe_stays_open(
    emulator: Emulator, config: dict[str, Any], tmp_path: Path
) -> None:
    with running(config, tmp_path, batch_size_rows=10) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(lines([schema("email"), *people(range(10)), state(1)]))
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == state(1)["value"]
        (made,) = emulator.backend.customer_lists()
        assert emulator.backend.members(made.id) == digests(range(10))


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_state_is_written_whole_although_a_signal_arrives(
    config: dict[str, Any], tmp_path: Path, unbuffered: str
) -> None:
    long = {"type": "STATE", "value": {"at": "x" * 500_000}}
    stream = tmp_path / "stream"
    stream.write_bytes(lines([long]))
    with stream.open("rb") as source:
        process = subprocess.Popen(
            command(config, tmp_path), stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment(PYTHONUNBUFFERED=unbuffered),
        )  # fmt: skip
        readable = process.stdout
        assert readable is not None
        wait_until(lambda: select.select([readable], [], [], 0)[0])
        time.sleep(0.2)
        process.terminate()
        time.sleep(0.5)
        stdout, _ = process.communicate(timeout=10)
    assert process.returncode == 143
    assert json.loads(stdout) == long["value"]


def test_a_slow_pipe_does_not_count_as_silent() -> None:
    ticks: list[int] = []
    reader = MessageReader(lambda: ticks.append(reader.line))
    reading, writing = os.pipe()

    def trickle() -> None:
        with os.fdopen(writing, "wb", buffering=0) as sink:
            for piece in (b'{"type": "STATE", ', b'"val', b'ue": ', b"{", b" ", b" ", b" ", b" ", b"}}\n"):
                sink.write(piece)
                time.sleep(0.1)

    writer = threading.Thread(target=trickle)
    with os.fdopen(reading, "rb") as source:
        writer.start()
        reader.process_lines(source, {"STATE": lambda _message: None})
        writer.join()
    assert ticks[0] == 0
    assert ticks[-1] == 1


@pytest.mark.timeout(150)
@pytest.mark.slow
def test_a_state_waits_a_minute_for_a_half_full_batch_on_a_silent_pipe(
    emulator: Emulator, config: dict[str, Any], tmp_path: Path
) -> None:
    with running(config, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(lines([schema("email"), *people(range(5)), state(1)]))
        process.stdin.flush()
        sent = time.monotonic()
        assert json.loads(process.stdout.readline()) == state(1)["value"]
        waited = time.monotonic() - sent
        assert STATE_PATIENCE_SECONDS - 1 < waited < STATE_PATIENCE_SECONDS + 10
        (made,) = emulator.backend.customer_lists()
        assert emulator.backend.members(made.id) == digests(range(5))


def test_a_failure_ends_the_run_while_the_pipe_is_silent(
    emulator: Emulator, config: dict[str, Any], tmp_path: Path
) -> None:
    emulator.backend.create_list("customers")
    emulator.backend.inject(Fault(method="PATCH", status=403, body={"code": 29, "message": "no"}))
    with running(config, tmp_path, batch_size_rows=5) as process:
        feed(process, [schema("email"), *people(range(5))])
        started = time.monotonic()
        assert process.wait(timeout=20) == 3
    assert time.monotonic() - started < 10
