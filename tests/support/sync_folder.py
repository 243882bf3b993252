"""A folder from which `examples/sync.sh` runs, with its settings and a stand-in for the tap."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docgen.about import REPOSITORY
from tests.support.messages import people, schema
from tests.support.processes import environment

EXAMPLES = REPOSITORY / "examples"
_TAP = """\
#!/bin/bash
echo "$@" >> runs
if [ -e stop-once ]; then
  rm stop-once
  sleep 2
  read -r _ _ _ scheduler _ < "/proc/$PPID/stat" # what started sync.sh
  kill -TERM "$scheduler"
  sleep 30
  touch survived
fi
cat stream.singer
[ -e hang ] && sleep 60
exit "$(< tap-code)"
"""


def full_table_state(version: int) -> dict[str, Any]:
    """Return a STATE of a read in full. After an incremental one, `prune` would refuse."""
    return {"bookmarks": {"customers": {"version": version}}}


class SyncFolder:
    """A folder with `sync.sh`, `target.json`, and a tap that writes what it is told to."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Create the folder.

        Args:
            folder: where; it must not exist.
            config: the target's settings.
        """
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        shutil.copy(EXAMPLES / "sync.sh", folder)
        (folder / "catalog.json").write_text("{}")
        self.write_program("tap-postgres", _TAP)
        self.configure(config)
        self.read([1, 2, 3])

    def write_program(self, name: str, text: str) -> None:
        """Put a program on the path."""
        program = self.folder / "bin" / name
        program.write_text(text)
        program.chmod(0o755)

    def configure(self, config: Mapping[str, Any]) -> None:
        """Write the target's settings."""
        settings = {**config, "load_method": "overwrite", "report_path": str(self.folder / "report.json")}
        (self.folder / "target.json").write_text(json.dumps(settings))

    def read(self, numbers: Sequence[int], *, code: int = 0) -> None:
        """Let the tap read these people, and end with this code."""
        messages = [schema("email"), *people(numbers), {"type": "STATE", "value": full_table_state(len(numbers))}]
        (self.folder / "stream.singer").write_text("".join(json.dumps(message) + "\n" for message in messages))
        (self.folder / "tap-code").write_text(str(code))

    def stop_once(self) -> None:
        """Let the tap stop, in its next run, what started the script; then it has much to do."""
        (self.folder / "stop-once").touch()

    def hang(self) -> None:
        """Let the tap not end after its last line."""
        (self.folder / "hang").touch()

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment in which the script finds its programs."""
        path = f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{environment()['PATH']}"
        return environment(PATH=path, **variables)

    def run(self, script: str = "sync.sh", *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the folder."""
        return subprocess.run(
            ["bash", self.folder / script, *arguments], env=self.environment(**variables), capture_output=True,
            text=True, check=False, timeout=120, cwd="/",
        )  # fmt: skip

    @property
    def taps(self) -> list[str]:
        """The arguments of each run of the tap."""
        runs = self.folder / "runs"
        return runs.read_text().splitlines() if runs.exists() else []
