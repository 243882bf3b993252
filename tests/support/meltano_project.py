"""A Meltano project in a folder of its own, for tests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.pipeline import clean_environment

REPOSITORY = Path(__file__).parents[2]
NEEDED = ("meltano.yml", "pyproject.toml", "README.md", "LICENSE", "target_pinterest_audience")
INSTALL_SECONDS = 300
RUN_SECONDS = 120
LOADER = "target-pinterest-audience"
UTILITY = "pinterest-audience"
PRUNE = f"{UTILITY}:prune"


class Project:
    """A Meltano project in a folder of its own."""

    def __init__(self, meltano: str, root: Path, environment: Mapping[str, str]) -> None:
        """Name the program, the folder and the environment of every command."""
        self.program = meltano
        self.root = root
        self.environment = clean_environment(**{"NO_COLOR": "1", **environment})

    def meltano(self, *arguments: str, seconds: float = RUN_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a command of Meltano; its `stdout` is all that was printed, in order."""
        return subprocess.run(
            [self.program, *arguments],
            cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, timeout=seconds,
        )  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of Meltano, with all that it starts as a process group of its own."""
        return subprocess.Popen(
            [self.program, *arguments],
            cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, loader: str = LOADER) -> str:
        """Run the pipeline, which must succeed; return what was printed."""
        done = self.meltano("run", "tap-postgres", loader)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def run_and_prune(self, loader: str = LOADER, prune: str = PRUNE) -> subprocess.CompletedProcess[str]:
        """Run the pipeline and prune behind it, whether that succeeds or not."""
        return self.meltano("run", "tap-postgres", loader, prune)

    def read_table(self, table: str, **metadata: str) -> None:
        """Let the tap read one table, and how."""
        stream = f"public-{table}"
        # Meltano takes a dot for the end of the stream's name unless it has a backslash.
        self.environment["TAP_POSTGRES__SELECT"] = json.dumps([f"{stream}.*".replace(".", "\\.", stream.count("."))])
        rules = {name.replace("_", "-"): value for name, value in metadata.items()}
        self.environment["TAP_POSTGRES__METADATA"] = json.dumps({stream: rules})

    def set(self, name: str, value: object) -> None:
        """Set one of the target's settings in the environment."""
        text = value if isinstance(value, str) else json.dumps(value)
        self.environment[f"TARGET_PINTEREST_AUDIENCE_{name.upper()}"] = text

    def edit(self) -> _Edit:
        """Change meltano.yml inside a `with` block, whose variable is the file's content."""
        return _Edit(self.root / "meltano.yml")


class _Edit:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))

    def __enter__(self) -> dict[str, Any]:
        return self._content

    def __exit__(self, *_: object) -> None:
        self._path.write_text(yaml.safe_dump(self._content, sort_keys=False), encoding="utf-8")
