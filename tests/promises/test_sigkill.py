"""The real process is killed without warning, again and again; the lists end up as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import ACCOUNT, TOKEN
from tests.support.messages import record, schema, state
from tests.support.model import DELETED, LISTS, Member, Model, email, lr_id, members_of, phone
from tests.support.processes import command, environment

STREAM: Final = "customers"
COLUMNS: Final = ("email", "phone", "lr_id")
BATCH: Final = 20
EVENTS: Final = 800
"""How much happens at the source between two runs."""
STATE_EVERY: Final = 50
CHUNK: Final = 40
"""How many messages go down the pipe at once, so that a stream fills several windows."""


class Source:
    """A table whose rows come, change and go, and the log of it."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._model = Model()
        self._model.set_columns(STREAM, COLUMNS)
        self._keys: list[int] = []
        self.log: list[dict[str, Any]] = []

    def grow(self, rows: int) -> None:
        for _ in range(rows):
            self._arrive(len(self.log))

    def change(self, events: int) -> None:
        for _ in range(events):
            what = self._chance.random()
            if what < 0.45 or not self._keys:
                self._arrive(self._chance.randrange(10 * EVENTS))
            elif what < 0.75:
                self._arrive(self._chance.choice(self._keys))
            else:
                key = self._keys.pop(self._chance.randrange(len(self._keys)))
                self._happen(id=key, **{DELETED: "2026-11-21T00:00:00Z"})

    def members(self) -> set[Member]:
        return members_of(self._model.statements())

    def messages(self, since: int) -> Iterator[dict[str, Any]]:
        yield schema(*COLUMNS, DELETED, stream=STREAM)
        for number, message in enumerate(self.log[since:], since + 1):
            yield message
            if number % STATE_EVERY == 0:
                yield state(number)
        yield state(len(self.log))

    def _arrive(self, key: int) -> None:
        # Few enough that rows share them.
        person = self._chance.randrange(2 * EVENTS)
        values = {"email": email(person), "phone": phone(person), "lr_id": lr_id(person)}
        for column in ("phone", "lr_id"):
            if self._chance.random() < 0.3:
                del values[column]
        if key not in self._keys:
            self._keys.append(key)
        self._happen(id=key, **values)

    def _happen(self, **values: Any) -> None:
        self._model.apply(STREAM, values)
        self.log.append(record(STREAM, **values))


class Attempt:
    """A run of the target that is going to be killed, fed slowly through a pipe that stays open."""

    def __init__(self, argv: list[str], messages: list[dict[str, Any]], halfway: Callable[[], object]) -> None:
        """Start it.

        Args:
            argv: its command line.
            messages: the stream.
            halfway: tells when the second half of the stream may come, which is then in a window of its own.
        """
        self._halfway = halfway
        self.states: list[int] = []
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
        )
        self._lines = [json.dumps(message).encode() + b"\n" for message in messages]
        self._threads = [threading.Thread(target=self._feed), threading.Thread(target=self._listen)]
        for thread in self._threads:
            thread.start()

    def _feed(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError):
            for start in range(0, len(self._lines), CHUNK):
                pipe.write(b"".join(self._lines[start : start + CHUNK]))
                pipe.flush()
                time.sleep(0.05)
                while start > len(self._lines) // 2 and not self._halfway() and self._process.poll() is None:
                    time.sleep(0.01)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # Half a line is what a reader of STATE passes over.
            if line.endswith(b"\n"):
                self.states.append(json.loads(line)["bookmarks"]["at"])

    def wrote_a_state(self) -> bool:
        return bool(self.states)

    def kill_when(self, condition: Callable[[], object], then: float) -> None:
        """Kill the process some seconds after a condition holds, and wait for what it had written."""
        deadline = time.monotonic() + 60
        try:
            while not condition():
                assert time.monotonic() < deadline, "it did not come so far"
                assert self._process.poll() is None, "it ended by itself"
                time.sleep(0.005)
            time.sleep(then)
        finally:
            self._process.kill()
            self._process.wait()
            for thread in self._threads:
                thread.join()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def called(emulator: Emulator) -> Callable[[], bool]:
    """Return what tells whether Pinterest was called from now on."""
    before = len(emulator.backend.calls)
    return lambda: len(emulator.backend.calls) > before


def wrote(emulator: Emulator, requests: int) -> Callable[[], bool]:
    """Return what tells whether Pinterest has carried out so many writes from now on."""
    due = len(emulator.backend.writes()) + requests
    return lambda: len(emulator.backend.writes()) >= due


def everybody(emulator: Emulator) -> set[Member]:
    lists = emulator.backend.customer_lists()
    assert len({each.name for each in lists}) == len(lists)
    return {Member(each.name, who) for each in lists for who in emulator.backend.members(each.id)}


def unsettled(folder: Path) -> int:
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM unsettled WHERE due IS NULL").fetchone()[0])


def run_to_the_end(config: dict[str, Any], folder: Path, messages: list[dict[str, Any]]) -> list[Any]:
    stream = "".join(json.dumps(message) + "\n" for message in messages).encode()
    argv = command(config, folder)
    done = subprocess.run(argv, input=stream, capture_output=True, check=False, timeout=120, env=environment())
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_process_that_is_killed_at_any_moment_leaves_nobody_behind(
    emulator: Emulator, config: dict[str, Any], tmp_path: Path, seed: int
) -> None:
    config |= {
        "load_method": "upsert",
        "batch_size_rows": BATCH,
        "max_removal_percent": 100,
        "max_deleted_percent": 100,
    }
    chance, source, covered = random.Random(seed), Source(seed), 0
    source.grow(EVENTS)
    phases = ["sending", "begun"]
    chance.shuffle(phases)
    left: dict[str, int] = {}
    for phase in ["STATE written", *phases]:
        emulator.backend.inject(Fault(method="PATCH", delay_ms=40, times=None))
        writes = len(emulator.backend.writes())
        attempt = Attempt(command(config, tmp_path), list(source.messages(covered)), wrote(emulator, 1))
        phase_is_reached = {
            "begun": called(emulator),
            "sending": wrote(emulator, chance.randrange(1, 20)),
            "STATE written": attempt.wrote_a_state,
        }
        attempt.kill_when(phase_is_reached[phase], chance.random() * 0.3)
        emulator.backend.clear_faults()
        # What was on its way is carried out, whoever asked for it.
        time.sleep(0.2)
        left[phase] = unsettled(tmp_path)
        # One that had only begun may have sent what others left.
        assert phase == "begun" or len(emulator.backend.writes()) > writes
        covered = max([covered, *attempt.states])
        source.change(EVENTS)
    assert covered > 0
    assert max(left["sending"], left["STATE written"]) > 0, "no death left a request without its answer"
    assert run_to_the_end(config, tmp_path, list(source.messages(covered)))[-1] == state(len(source.log))["value"]
    assert unsettled(tmp_path) == 0
    assert everybody(emulator) == source.members()
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT) as other:
        there = {**config, "api_url": other.url, "ledger_url": f"sqlite:///{undisturbed}/ledger.db"}
        run_to_the_end(there, undisturbed, list(source.messages(0)))
        assert everybody(other) == source.members()
    assert {each.list_name for each in source.members()} == set(LISTS.values())
