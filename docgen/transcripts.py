"""Transcripts: runs the commands of the pages against the emulator, and compares or replaces their output.

A page is run in a folder of its own, or in one folder after the pages before it. The folder's `bin` is on the PATH.
Blocks with a title are written to files, and blocks after `<!-- run -->` are run. Nothing else is, so that a page works
for whoever does what it says. In a page the emulator is at 127.0.0.1:8080; in a session it is at any free port.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docgen.fences import Fence, parse
from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.system.operator import this_operator

_SHOWN_URL: Final = "http://127.0.0.1:8080"
_OPERATOR: Final = "sync@worker-1"
"""Who runs the commands, in a page."""

_END: Final = "\x1e"
"""Separates the outputs of two commands."""

_TIMEOUT_SECONDS: Final = 120

_LOG_PREFIX: Final = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ \| (\w+ +)\| (\S+) +\| ", re.MULTILINE)
_NOISE: Final = re.compile(r"^.*(METRIC: |Reader '[\w-]+' completed processing ).*\n", re.MULTILINE)
"""Lines that the SDK adds to every run."""

_VERSION: Final = re.compile(r"(?<=target-pinterest-audience )\d+\.[\w.+-]+")

_PASSING: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z| ?UTC|[+-]\d\d:\d\d)?"), "TIME"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b"), "DIGEST"),
    (re.compile(r"\b\d{10,}\b"), "ID"),
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s|seconds|minutes)\b|\b\d+\.\d\b"), "DURATION"),
    (re.compile(r"\d+(\.\d+)?(?=/s\b)"), "RATE"),
    (re.compile(r"-{2,}|[─━]+"), "--"),
    (re.compile(r"[ \t]+"), " "),
)
"""What differs from run to run, including the widths of columns."""


@dataclass(frozen=True, slots=True)
class _Session:
    folder: Path
    emulator: Emulator

    def write(self, fence: Fence) -> None:
        path = self.folder / str(fence.title)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._with_real_url(fence.text), encoding="utf-8")

    def run(self, commands: Sequence[str]) -> list[str]:
        """Run commands in one shell, and return what each printed to standard output and standard error.

        Raises:
            RuntimeError: the shell ended before the last command.
        """
        script = "\n".join(f"{command}\n__code=$?; printf '\\036'; (exit $__code)" for command in commands)
        done = subprocess.run(  # noqa: S603 - the commands are those of our own pages
            ["/bin/bash", "-c", self._with_real_url(script)],
            cwd=self.folder, env=self._environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, encoding="utf-8", timeout=_TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
        outputs = done.stdout.split(_END)
        if len(outputs) != len(commands) + 1:
            msg = f"The shell ended before the last command: {done.stdout}"
            raise RuntimeError(msg)
        return [self._shown(output) for output in outputs[:-1]]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "120",
        }

    def _url(self) -> str:
        return self.emulator.url.removesuffix("/v5")

    def _with_real_url(self, text: str) -> str:
        return text.replace(_SHOWN_URL, self._url())

    def _shown(self, output: str) -> str:
        output = output.replace(self._url(), _SHOWN_URL).replace(str(this_operator()), _OPERATOR)
        output = output.replace(str(self.folder.resolve()), "~").replace(str(self.folder), "~")
        output = output.replace("~/Library/Application Support/", "~/.local/state/")
        output = _VERSION.sub("VERSION", output)
        output = _LOG_PREFIX.sub(r"\1", _NOISE.sub("", output))
        return "\n".join(line.rstrip() for line in output.splitlines())


def refreshed(page: str) -> str:
    """Return a page with the current output of its commands; unchanged if only times, ids and the like differ."""
    results = list(_run_page(page))
    if not list(_differences(results)):
        return page
    lines = page.splitlines()
    for fence, outputs in reversed(results):
        shown = zip(_commands(fence), outputs, strict=True)
        new = [line for (command, _), output in shown for line in (*command, *output.splitlines())]
        lines[fence.first : fence.first + len(fence.lines)] = new
    return "\n".join(lines) + "\n"


def comparable(output: str) -> str:
    """Return an output without what differs from run to run, such as times, ids and widths of columns."""
    for pattern, name in _PASSING:
        output = pattern.sub(name, output)
    return "\n".join(line.strip() for line in output.strip().splitlines())


def differences(page: str) -> Iterator[tuple[str, str, str]]:
    """Yield each command of a page whose output has changed: the command, the output in the page, the current one."""
    yield from _differences(_run_page(page))


def differences_in_one_folder(pages: Iterable[str]) -> Iterator[Iterator[tuple[str, str, str]]]:
    """Yield the differences of each page, as `differences` does; each page finds what the ones before it left."""
    with _session() as session:
        for page in pages:
            yield _differences(_run_in(session, page))


def _differences(results: Iterable[tuple[Fence, list[str]]]) -> Iterator[tuple[str, str, str]]:
    for fence, outputs in results:
        for (command, shown), printed in zip(_commands(fence), outputs, strict=True):
            if comparable(shown) != comparable(printed):
                yield "\n".join(command), comparable(shown), comparable(printed)


def _run_page(page: str) -> Iterator[tuple[Fence, list[str]]]:
    """Run the commands of a page in a folder of its own."""
    with _session() as session:
        yield from _run_in(session, page)


def _run_in(session: _Session, page: str) -> Iterator[tuple[Fence, list[str]]]:
    """Run the commands of a page, and yield each transcript with the current output of its commands."""
    for fence in parse(page):
        if fence.run:
            commands = ["\n".join(line[2:] for line in command) for command, _ in _commands(fence)]
            yield fence, session.run(commands)
        elif fence.title is not None:
            session.write(fence)


@contextmanager
def _session() -> Iterator[_Session]:
    with tempfile.TemporaryDirectory() as folder, Emulator(processing_seconds=0) as emulator:
        yield _Session(Path(folder), emulator)


def _commands(fence: Fence) -> list[tuple[list[str], str]]:
    """Return each command of a transcript, as its lines after `$ ` and `> `, and the output that the page shows."""
    found: list[tuple[list[str], list[str]]] = []
    for line in fence.lines:
        if line.startswith("$ "):
            found.append(([line], []))
        elif line.startswith("> ") and not found[-1][1]:
            found[-1][0].append(line)
        else:
            found[-1][1].append(line)
    return [(command, "\n".join(output)) for command, output in found]
