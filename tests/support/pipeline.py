"""tap-postgres and the target as two processes with a pipe between them, the way a runner starts them."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from typing_extensions import Self

from tests.support.postgres import Database
from tests.support.processes import environment

_RUN_SECONDS = 120


def clean_environment(**variables: str) -> dict[str, str]:
    """Return our environment without what configures the programs under test, and with what is given."""
    kept = {name: value for name, value in environment().items() if not name.startswith("TAP_POSTGRES_")}
    return {**kept, "NO_PROXY": "127.0.0.1,localhost", **variables}


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it did not come about; `what` says which it was.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left behind."""

    tap_code: int
    tap_errors: str
    target_code: int
    target_output: str
    target_errors: str
    messages: list[dict[str, Any]]
    """What the target was given."""

    @property
    def records(self) -> list[dict[str, Any]]:
        """The rows that the target was given."""
        return [message["record"] for message in self.messages if message["type"] == "RECORD"]

    @property
    def tap_states(self) -> list[Any]:
        """Each STATE that the target was given."""
        return [message["value"] for message in self.messages if message["type"] == "STATE"]

    @property
    def states(self) -> list[Any]:
        """Each STATE that the target wrote."""
        return [json.loads(line) for line in self.target_output.splitlines()]

    @property
    def printed(self) -> str:
        """All that the target printed."""
        return self.target_output + self.target_errors

    def check(self) -> Self:
        """Fail unless both programs did."""
        assert self.tap_code == 0, self.tap_errors
        assert self.target_code == 0, self.target_errors
        return self


class Run:
    """A tap and a target, and between them what keeps each line that passes. What is left over is killed."""

    def __init__(
        self, tap: list[str], target: list[str], folder: Path, variables: Mapping[str, str], hold_after: int | None
    ) -> None:
        """Start them.

        Args:
            tap: the tap's command.
            target: the target's command.
            folder: for what they write.
            variables: their environment.
            hold_after: after how many lines nothing more passes until `wait`, so that the tap has to wait, too.
        """
        self.folder = folder
        self.passed = folder / "stream.jsonl"
        self.held = threading.Event()
        self._hold_after = hold_after
        self._released = threading.Event()
        self._open = [(folder / name).open("wb") for name in ("tap.stderr", "target.stdout", "target.stderr")]
        tap_errors, target_output, target_errors = self._open
        self.tap = subprocess.Popen(tap, stdout=subprocess.PIPE, stderr=tap_errors, cwd=folder, env=variables)
        self.target = subprocess.Popen(
            target, stdin=subprocess.PIPE, stdout=target_output, stderr=target_errors, cwd=folder, env=variables
        )
        self._between = threading.Thread(target=self._pass_on)
        self._between.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in (self.tap, self.target):
            if process.poll() is None:
                process.kill()
            process.wait()
        self._released.set()
        self._between.join()
        for file in self._open:
            file.close()

    def _pass_on(self) -> None:
        """Be a pipe: a target that gives up breaks it for the tap, and a tap that ends ends it for the target."""
        source, sink = self.tap.stdout, self.target.stdin
        assert source is not None
        assert sink is not None
        # Closing tries again to write what a broken pipe did not take.
        with suppress(BrokenPipeError), source, self.passed.open("wb") as kept, sink:
            for number, line in enumerate(source, start=1):
                kept.write(line)
                sink.write(line)
                sink.flush()
                if number == self._hold_after:
                    self.held.set()
                    self._released.wait()

    def wait(self) -> Outcome:
        """Let pass what was held, wait for the end, and tell how it was."""
        self._released.set()
        tap_code = self.tap.wait(_RUN_SECONDS)
        target_code = self.target.wait(_RUN_SECONDS)
        self._between.join()
        return Outcome(
            tap_code,
            self._text("tap.stderr"),
            target_code,
            self._text("target.stdout"),
            self._text("target.stderr"),
            # A tap that is killed, or whose pipe breaks, may stop in the middle of a line.
            [json.loads(line) for line in self.passed.read_text().split("\n")[:-1]],
        )

    def _text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


class Pipeline:
    """A tap on a database and a target, whose STATE is handed from run to run as a runner does it."""

    def __init__(
        self, tap: str, target: str, folder: Path, database: Database, config: Mapping[str, Any], **tap_config: object
    ) -> None:
        """Prepare.

        Args:
            tap: the program tap-postgres.
            target: the program target-pinterest-audience.
            folder: for the files of all runs.
            database: what the tap reads.
            config: the target's settings.
            **tap_config: more settings of the tap.
        """
        self._tap = tap
        self._target = target
        self._folder = folder
        self._runs = 0
        self.state: Any = None
        self.environment = clean_environment()
        self._tap_config = self._write(
            "tap.json",
            {
                "host": database.host,
                "port": database.port,
                "user": database.user,
                "password": database.password,
                "database": database.name,
                "filter_schemas": ["public"],
                **tap_config,
            },
        )
        self._target_config = self._write("target.json", config)
        self._catalog: Path | None = None

    @property
    def target_command(self) -> list[str]:
        """The target and its arguments."""
        return [self._target, "--config", str(self._target_config)]

    @property
    def tap_command(self) -> list[str]:
        """The tap and its arguments, without a STATE."""
        return [self._tap, "--config", str(self._tap_config), "--catalog", str(self._catalog)]

    def select(self, *tables: str, method: str, replication_key: str | None = None) -> None:
        """Let the tap discover the database, and choose what it reads, and how."""
        done = subprocess.run(
            [self._tap, "--config", self._tap_config, "--discover"],
            check=True, capture_output=True, cwd=self._folder, env=self.environment, timeout=_RUN_SECONDS,
        )  # fmt: skip
        catalog = json.loads(done.stdout)
        for stream in catalog["streams"]:
            root = next(entry["metadata"] for entry in stream["metadata"] if not entry["breadcrumb"])
            root["selected"] = stream["table_name"] in tables
            # The tap's log-based side looks at the one, its other side at the other.
            stream["replication_method"] = root["replication-method"] = method
            if replication_key is not None:
                root["replication-key"] = replication_key
        self._catalog = self._write("catalog.json", catalog)

    def start(self, *, hold_after: int | None = None) -> Run:
        """Start a run from the last STATE, which may be held after that many lines."""
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        folder.mkdir()
        tap = self.tap_command
        if self.state is not None:
            tap += ["--state", str(self._write(f"run-{self._runs}/state.json", self.state))]
        return Run(tap, self.target_command, folder, self.environment, hold_after)

    def run(self) -> Outcome:
        """Do a run to its end, and keep its last STATE for the next."""
        with self.start() as run:
            outcome = run.wait()
        if outcome.states:
            self.state = outcome.states[-1]
        return outcome

    def _write(self, name: str, value: object) -> Path:
        path = self._folder / name
        path.write_text(json.dumps(value), encoding="utf-8")
        return path


MakePipeline: TypeAlias = Callable[..., Pipeline]
