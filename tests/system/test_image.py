"""The image: what it installs runs as nobody in particular, and read-only.

Without Docker, the steps of the `Dockerfile` are taken here. If `TEST_IMAGE` names an image, that image runs instead.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from docgen.about import REPOSITORY
from target_pinterest_audience.emulator import Emulator
from tests.support.account import ACCOUNT, TOKEN, members
from tests.support.messages import digests, people, schema, state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
VERSION = "1.2.3"
_UNKNOWN_USER = "import pwd\npwd.getpwuid = {}.__getitem__\n"
"""Hides the password file, which knows the user whom the tests run as."""

_NO_PRIVILEGES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
"""Without them, root too may write only where the mode permits it."""


def instructions(name: str) -> list[str]:
    """Return the arguments of all instructions of this name, each on one line."""
    text = re.sub(r" *\\\n *", " ", DOCKERFILE)
    return re.findall(rf"^{name} (.+)$", text, re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Image:
    """A folder in place of the image's root."""

    root: Path

    def inside(self, text: str) -> str:
        """Return a text with the image's paths as they are here."""
        return re.sub(r"(?<![\w.])/(?=(opt|pipeline|src|state)\b)", f"{self.root}/", text)

    def environment(self) -> dict[str, str]:
        """Return what the last stage sets; there is no HOME, and no name of a user."""
        (variables,) = [line for line in instructions("ENV") if "XDG_STATE_HOME" in line]
        found = dict(pair.split("=", 1) for pair in self.inside(variables).split())
        return {**found, "PATH": found["PATH"].replace("$PATH", "/usr/bin:/bin"), "PYTHONPATH": str(self.root / "user")}

    def run(self, *command: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the image would, without the right to write anywhere but to `/state`."""
        unprivileged = _NO_PRIVILEGES if os.geteuid() == 0 and shutil.which("setpriv") else []
        return subprocess.run(
            [*unprivileged, *command], input=stdin, cwd=self.root / "pipeline", env={**self.environment(), **variables},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class DockerImage(Image):
    """A real image, with a volume for `/state`."""

    name: str

    def inside(self, text: str) -> str:
        """Return a text as it is: the paths are the image's own."""
        return text

    def run(self, *command: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a container, as a user whom the image does not know."""
        settings = [part for name in variables for part in ("--env", name)]
        return subprocess.run(
            ["docker", "run", "--rm", "--interactive", "--read-only", "--user", "54321:0", "--network", "host",
             "--volume", f"{self.root.name}:/state", *settings, self.name, *command],
            input=stdin, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """What the `Dockerfile` builds; without Docker, all but Debian's packages."""
    root = tmp_path_factory.mktemp("image")
    if "TEST_IMAGE" in os.environ:
        volume = f"test-{secrets.token_hex(8)}"
        yield DockerImage(Path(volume), os.environ["TEST_IMAGE"])
        subprocess.run(["docker", "volume", "rm", volume], check=True, timeout=60)
        return
    found = Image(root)
    for name in ("opt", "pipeline", "src", "state", "user"):
        (found.root / name).mkdir()
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        source = REPOSITORY / line.removeprefix("!")
        if line.startswith("!") and source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "_version.py")
            shutil.copytree(source, found.root / "src" / source.name, ignore=ignored)
        elif line.startswith("!"):
            shutil.copy(source, found.root / "src")
    (install,) = [line for line in instructions("RUN") if "uv pip install" in line]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-c", found.inside(install)], env={**os.environ, "PATH": path, "VERSION": VERSION},
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shutil.rmtree(found.root / "src")
    (found.root / "user" / "sitecustomize.py").write_text(_UNKNOWN_USER)
    for folder, _, _ in os.walk(found.root):
        Path(folder).chmod(0o555)
    (found.root / "state").chmod(0o770)
    yield found
    for folder, _, _ in os.walk(found.root):
        Path(folder).chmod(0o755)


def test_both_programs_have_the_version_that_the_build_names(image: Image) -> None:
    for program in ("target-pinterest-audience", "pinterest-audience"):
        done = image.run(program, "--version")
        assert VERSION in done.stdout, done.stderr


def test_a_run_needs_no_home_and_writes_nothing_but_its_state(image: Image, emulator: Emulator) -> None:
    messages = [schema("email"), *people([1, 2]), state(1)]
    (command,) = instructions("CMD")
    done = image.run(
        *json.loads(command),
        stdin="".join(json.dumps(message) + "\n" for message in messages),
        TARGET_PINTEREST_AUDIENCE_AD_ACCOUNT_ID=ACCOUNT,
        TARGET_PINTEREST_AUDIENCE_ACCESS_TOKEN=TOKEN,
        TARGET_PINTEREST_AUDIENCE_API_URL=emulator.url,
    )
    assert done.returncode == 0, done.stderr
    assert members(emulator) == digests([1, 2])
    ledger = image.inside("/state/target-pinterest-audience/ledger.db")
    assert image.run("python", "-c", f"open({ledger!r})").returncode == 0
    # Nothing else could have been written.
    for folder in ("/pipeline", "/opt/target", "/opt/target/bin"):
        probe = f"open({image.inside(folder)!r} + '/file', 'w')"
        assert re.search("Permission denied|Read-only", image.run("python", "-c", probe).stderr)


def test_the_extras_are_there(image: Image) -> None:
    done = image.run("python", "-c", "import apprise, phonenumbers, psycopg, pyarrow")
    assert done.returncode == 0, done.stderr


def test_the_user_is_a_number_and_not_root() -> None:
    (user,) = instructions("USER")
    assert re.fullmatch(r"[1-9]\d*:0", user)
    assert instructions("ENTRYPOINT") == ['["tini", "-g", "--"]']
