"""The version is the right one, or says that it is not known."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from target_pinterest_audience.system.version import program_version
from tests.support.processes import environment

ROOT = Path(__file__).parents[2]


def test_a_build_without_git_has_the_last_release_plus_unknown() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)
    fallback = re.search(r'^fallback-version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert fallback is not None
    assert fallback[1] == f"{releases[0] if releases else '0.0.0'}+unknown"


def test_the_installed_version_counts() -> None:
    assert program_version() == metadata.version("target-pinterest-audience")


def test_a_copy_that_was_not_installed_has_the_version_of_its_build_or_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    built = type("built", (), {"version": "1.2.3"})
    monkeypatch.setattr(importlib, "import_module", lambda _: built)
    assert program_version() == "1.2.3"

    def not_built(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", not_built)
    assert program_version() == "unknown"


@pytest.mark.parametrize("program", ["main", "companion.main"])
def test_a_copy_that_was_not_installed_prints_its_version(tmp_path: Path, program: str) -> None:
    shutil.copytree(ROOT / "target_pinterest_audience", tmp_path / "target_pinterest_audience")
    (tmp_path / "target_pinterest_audience" / "_version.py").unlink(missing_ok=True)
    hidden = (
        "from importlib import metadata; found = metadata.Distribution.from_name.__func__\n"
        "def without(cls, name):\n"
        "    if name == 'target-pinterest-audience': raise metadata.PackageNotFoundError(name)\n"
        "    return found(cls, name)\n"
        "metadata.Distribution.from_name = classmethod(without)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{hidden}from target_pinterest_audience.{program} import main; main()", "--version"],
        capture_output=True, check=False, text=True, cwd=tmp_path, env=environment(PYTHONPATH=str(tmp_path)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "unknown" in done.stdout
