"""A run that a zygote forks says and does what a process of its own does."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from tests.support.account import members
from tests.support.messages import digests, people, schema, state
from tests.support.processes import command, companion_command, environment
from tests.support.zygote import Zygote

STREAMS = {
    "delivered": [schema("email"), *people(range(3)), state(1)],
    "cut off": [schema("email"), {"type": "RECORD"}],
    "nothing": [],
}


def encode(messages: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def without_times(text: bytes) -> list[str]:
    """The lines without what differs from run to run."""
    return [re.sub(r"\d[\d:., -]*", "#", line) for line in text.decode().splitlines()]


@pytest.mark.parametrize("stream", STREAMS)
def test_a_forked_target_prints_the_same(zygote: Zygote, config: dict[str, Any], tmp_path: Path, stream: str) -> None:
    config |= {"load_method": "upsert", "customer_list_name": "L"}
    argv, given = command(config, tmp_path), encode(STREAMS[stream])
    first = zygote.run("target-pinterest-audience", argv[3:], given, environment())
    (tmp_path / "ledger.db").unlink(missing_ok=True)
    own = subprocess.run(argv, input=given, capture_output=True, check=False, timeout=60, env=environment())
    assert (first[0], first[1]) == (own.returncode, own.stdout)
    told = [[line for line in without_times(text) if "ustomer list" not in line] for text in (first[2], own.stderr)]
    assert told[0] == told[1]


@pytest.mark.parametrize("arguments", [("lists",), ("ledger", "show"), ("unheard",), ("clear", "--list-name", "none")])
def test_a_forked_companion_prints_the_same(
    zygote: Zygote, config: dict[str, Any], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    argv = companion_command(config, tmp_path, *arguments)
    code, out, err = zygote.run("pinterest-audience", argv[3:], b"", environment())
    own = subprocess.run(argv, input=b"", capture_output=True, check=False, timeout=60, env=environment())
    assert (code, out) == (own.returncode, own.stdout)
    assert without_times(err) == without_times(own.stderr.replace(b"-c ", b"pinterest-audience "))


def test_a_fork_has_only_the_environment_that_it_is_given(
    zygote: Zygote, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_PINTEREST_AUDIENCE_ACCES_TOKEN", "x")
    argv = [*command(config, tmp_path)[3:], "--config", "ENV"]
    assert zygote.run("target-pinterest-audience", argv, b"", environment())[0] == 0
    assert zygote.run("target-pinterest-audience", argv, b"", dict(os.environ))[0] == 2


def test_a_fork_obeys_signals(zygote: Zygote, config: dict[str, Any], emulator: Emulator, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with (tmp_path / "out").open("wb") as out, os.fdopen(writing, "wb", buffering=0) as pipe:
        argv = command({**config, "batch_size_rows": 100}, tmp_path)[3:]
        started = zygote.start(
            "target-pinterest-audience", argv, (reading, out.fileno(), out.fileno()), environment(), tmp_path
        )
        os.close(reading)
        pipe.write(encode([schema("email"), *people(range(1000)), state(1)]))
        deadline = time.monotonic() + 30
        while not emulator.backend.writes():
            assert time.monotonic() < deadline, (tmp_path / "out").read_text()
            time.sleep(0.02)
        os.kill(started.pid, signal.SIGTERM)
        assert started.wait(20) == 128 + signal.SIGTERM
    assert members(emulator) <= digests(range(1000))


def test_a_zygote_ends_with_its_owner() -> None:
    code = "from tests.support.zygote import Zygote; import os; z = Zygote(); print(z.pid); os._exit(0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60)
    with contextlib.suppress(ProcessLookupError):
        # Its number stays until somebody asks how it ended, or is soon another process's.
        zygote = os.pidfd_open(int(done.stdout))
        ended, _, _ = select.select([zygote], [], [], 30)
        os.close(zygote)
        assert ended, "it stays"
