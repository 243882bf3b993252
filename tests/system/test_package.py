"""The distributions that a release publishes: valid, complete, and installable without git."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from docgen.about import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class Distributions:
    """What is uploaded."""

    sdist: Path
    wheel: Path


def tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on the PATH: pip install {package}, in an environment of its own")
    return found


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """The sdist of the working tree, and the wheel that is built from it."""
    builder = tool("pyproject-build", "build")
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    shutil.copytree(
        REPOSITORY, source,
        ignore=shutil.ignore_patterns(".*cache*", ".ci-tools", ".git", ".hypothesis", ".venv*", "__pycache__", "site"),
    )  # fmt: skip
    done = subprocess.run(
        [builder, "--outdir", folder / "dist", source],
        env={**os.environ, "SETUPTOOLS_SCM_PRETEND_VERSION": VERSION},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    name = f"target_pinterest_audience-{VERSION}"
    return Distributions(folder / "dist" / f"{name}.tar.gz", folder / "dist" / f"{name}-py3-none-any.whl")


def test_the_index_accepts_them(distributions: Distributions) -> None:
    twine = tool("twine", "twine")
    subprocess.run([twine, "check", "--strict", distributions.sdist, distributions.wheel], check=True, timeout=60)


def test_the_wheel_has_the_whole_package_and_nothing_else(distributions: Distributions) -> None:
    program = tool("check-wheel-contents", "check-wheel-contents")
    subprocess.run([program, "--no-config", distributions.wheel], check=True, timeout=60)
    with zipfile.ZipFile(distributions.wheel) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    package = REPOSITORY / "target_pinterest_audience"
    files = {path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    files.add(package / "_version.py")  # the build writes it
    assert packed == {path.relative_to(REPOSITORY).as_posix() for path in files}


def test_the_sdist_has_what_the_tests_and_the_documentation_need(distributions: Distributions) -> None:
    with tarfile.open(distributions.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    for name in ("CHANGELOG.md", "LICENSE", "Dockerfile", "examples/sync.sh", "tests/conftest.py", "zensical.toml"):
        assert name in names
    assert not any(re.match(r"\.venv|\.git/|site/", name) for name in names)


def test_a_fresh_environment_without_git_runs_it(distributions: Distributions, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, timeout=60)
    subprocess.run(
        [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--python", python, distributions.wheel],
        check=True, timeout=300, cwd=tmp_path, env={**os.environ, "PATH": "/nonexistent"},
    )  # fmt: skip
    for program in ("target-pinterest-audience", "pinterest-audience"):
        done = subprocess.run(
            [python.with_name(program), "--version"],
            capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60, env={"PATH": "/nonexistent"},
        )  # fmt: skip
        assert re.search(rf"\bv?{re.escape(VERSION)}\b", done.stdout)
