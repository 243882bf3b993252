"""A user without a home directory, as in many a container: only what needs one asks for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.settings import Settings, resolve
from target_pinterest_audience.settings.dotenv_file import names_in_dotenv
from target_pinterest_audience.settings.paths import ledger_url
from tests.support.account import members
from tests.support.messages import digests, people, schema, state
from tests.support.processes import Run, environment
from tests.support.settings import NEEDED

# The password file of this machine may know the user whom the tests run as: `pwd` is hidden from both programs.
_HIDE = "import sys, pwd; pwd.getpwuid = lambda uid: {}[uid]; "
_TARGET = "from target_pinterest_audience.main import main; main()"
_COMPANION = "from target_pinterest_audience.companion.main import main; main()"
_STREAM = "".join(json.dumps(message) + "\n" for message in [schema("email"), *people([1]), state(1)]).encode()

Homeless = Callable[..., Run]


@pytest.fixture
def homeless(config: dict[str, Any], tmp_path: Path) -> Homeless:
    """Run a program as a user whom the machine does not know, without HOME."""
    del config["ledger_url"]

    def run(program: str, *arguments: str, home: str | None = None, **settings: Any) -> Run:
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**config, **settings}))
        variables = {k: v for k, v in environment().items() if k not in {"HOME", "XDG_STATE_HOME", "USER", "LOGNAME"}}
        if home is not None:
            variables["HOME"] = home
        done = subprocess.run(
            [sys.executable, "-c", _HIDE + program, *arguments, "--config", str(path)],
            input=_STREAM, capture_output=True, check=False, timeout=120, env=variables, cwd=tmp_path,
        )  # fmt: skip
        assert {each.name for each in tmp_path.iterdir()} <= {"config.json", "file"}
        return Run(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def test_a_run_that_keeps_no_ledger_needs_no_home(homeless: Homeless, emulator: Emulator) -> None:
    run = homeless(_TARGET)
    assert (run.code, run.states) == (0, [state(1)["value"]]), run.stderr
    assert members(emulator) == digests([1])


def test_alerts_of_such_a_run_need_no_home(homeless: Homeless) -> None:
    run = homeless(_TARGET, notify_urls=["json://127.0.0.1:1/"])
    assert run.code == 0, run.stderr
    assert "a bug" not in run.stderr


@pytest.mark.parametrize("home", [None, "file/home"])
def test_a_run_that_keeps_a_ledger_asks_for_its_place(homeless: Homeless, tmp_path: Path, home: str | None) -> None:
    (tmp_path / "file").touch()
    run = homeless(_TARGET, load_method="upsert", home=str(tmp_path / home) if home else None)
    assert (run.code, run.states) == (2, [])
    assert "`ledger_url` is not set, and this user has no writable home directory" in run.stderr


@pytest.mark.parametrize("command", ["report", "prune", "ledger show", "forget --email a@example.com --yes"])
def test_a_command_that_reads_the_ledger_asks_for_its_place(homeless: Homeless, command: str) -> None:
    run = homeless(_COMPANION, *command.split(), load_method="upsert")
    assert run.code == 2
    assert "Set `ledger_url`" in run.stderr


@pytest.mark.parametrize(
    ("settings", "code", "line"),
    [
        ({}, 0, "✓ ledger"),
        ({"load_method": "upsert"}, 2, "✗ ledger"),
        ({"streams": {"other": {"load_method": "upsert"}}}, 2, "✗ ledger"),
    ],
)
def test_check_reports_whether_a_run_will_need_a_ledger(
    homeless: Homeless, settings: dict[str, Any], code: int, line: str
) -> None:
    run = homeless(_COMPANION, "check", **settings)
    assert run.code == code
    assert line in run.stdout
    assert "✓ sign-in" in run.stdout


def test_a_refresh_token_needs_a_place_before_it_is_used(homeless: Homeless, emulator: Emulator) -> None:
    app = {"client_id": "emulator-app", "client_secret": "emulator-secret", "refresh_token": "emulator-refresh"}
    run = homeless(_TARGET, access_token=None, **app)
    assert run.code == 2
    assert "Set `credentials_file`" in run.stderr
    assert emulator.backend.calls == []
    run = homeless(_COMPANION, "login", access_token=None, **app)
    assert run.code == 2
    assert "Set `credentials_file`" in run.stderr


@pytest.mark.parametrize("setting", ["ledger_url", "credentials_file", "rejects_path", "report_path", "metrics_path"])
@pytest.mark.parametrize("place", ["~/file", "~nobody-of-that-name/file"])
def test_a_path_with_an_unknown_home_is_reported(homeless: Homeless, setting: str, place: str) -> None:
    value = f"sqlite:///{place}" if setting == "ledger_url" else place
    run = homeless(_TARGET, **{setting: value})
    assert run.code == 2
    assert f"`{setting}` begins with ~, but that home directory is unknown" in run.stderr


def settle(**values: Any) -> Settings:
    return resolve({**NEEDED, **values}, {})[0]


@pytest.mark.parametrize("found", [RuntimeError("no home"), Path("~/.local/state")])
def test_every_version_of_the_library_that_looks_up_the_home_is_supported(
    monkeypatch: pytest.MonkeyPatch, found: Exception | Path
) -> None:
    def look(_: str) -> Path:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(platformdirs, "user_state_path", look)
    assert ledger_url(None, {}) is None
    assert settle().credentials_file is None
    assert settle(ledger_url="sqlite:////data/ledger.db").ledger_url == "sqlite:////data/ledger.db"


def test_an_inaccessible_home_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(platformdirs, "user_state_path", lambda _: Path("/root/state"))
    monkeypatch.setattr(os, "stat", refuse)
    assert ledger_url(None, {}) is None


def test_a_ledger_path_that_cannot_be_looked_up_is_reported(homeless: Homeless) -> None:
    long_name = "n" * 300
    run = homeless(_TARGET, ledger_url=f"sqlite:////tmp/{long_name}")
    assert run.code == 7
    assert "cannot be found (File name too long)" in run.stderr


def test_a_deleted_working_directory_is_reported(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    program = f"import os; os.mkdir({str(gone)!r}); os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); "
    for arguments in (["--config", "ENV"], ["--config", str(tmp_path / "config.json")]):
        (tmp_path / "config.json").write_text("{}")
        done = subprocess.run(
            [sys.executable, "-c", program + _TARGET, *arguments], capture_output=True, check=False, env=environment()
        )
        assert done.returncode == 2
        assert b"The working directory cannot be read" in done.stderr


def test_an_inaccessible_working_directory_is_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    assert names_in_dotenv(tmp_path / ".env") == []
