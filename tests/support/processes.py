"""The target and its companion as processes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.zygote import PipedProcess, start_with_pipes


@dataclass(frozen=True, slots=True)
class Run:
    """How a run of the target ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def states(self) -> list[Any]:
        return [json.loads(line) for line in self.stdout.splitlines()]


def environment(**variables: str) -> dict[str, str]:
    """The process's environment without what would change how the target runs."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TARGET_PINTEREST", "MELTANO", "LOGLEVEL"))}
    return {**kept, **variables}


def unmeasured_environment() -> dict[str, str]:
    """The same without coverage, which imports modules of its own, writes a file, and hides a signal at the start."""
    return {name: value for name, value in environment().items() if not name.startswith("COVERAGE_")}


def command(config: dict[str, Any], folder: Path) -> list[str]:
    """The command line of the target, with its configuration in a file."""
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return [sys.executable, "-m", "target_pinterest_audience", "--config", str(path)]


Target = Callable[..., Run]
"""What the fixture `run_target` is."""


def companion_command(config: dict[str, Any], folder: Path, *arguments: str) -> list[str]:
    """The command line of a command of `pinterest-audience` that needs settings, with these in a file."""
    path = folder / "companion.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    program = "from target_pinterest_audience.companion.main import main; main()"
    return [sys.executable, "-c", program, *arguments, "--config", str(path)]


Companion = Callable[..., Run]
"""What the fixture `run_companion` is."""


KillCompanion = Callable[..., None]
"""What the fixture `kill_companion` is."""


Prune = Callable[..., Run]
"""What the fixture `run_prune` is."""


def lines(messages: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(message) + "\n" for message in messages).encode()


@contextmanager
def running(config: dict[str, Any], folder: Path, **settings: Any) -> Iterator[PipedProcess[bytes]]:
    """The target with an open pipe to it."""
    arguments = command({**config, **settings}, folder)[3:]
    process = start_with_pipes("target-pinterest-audience", arguments, environment())
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def feed(process: PipedProcess[bytes], stream: list[dict[str, Any]]) -> None:
    """Write messages to a target that waits for more."""
    assert process.stdin is not None
    process.stdin.write(lines(stream))
    process.stdin.flush()
