"""A token goes only where the user sends it: not where a file says that lies where the program was started."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.settings import Source, described, refuse_to_leak
from tests.support.account import ACCOUNT, TOKEN
from tests.support.processes import Companion, Run, environment

PREFIX = "TARGET_PINTEREST_AUDIENCE_"
NEEDED = {"AD_ACCOUNT_ID": ACCOUNT, "MAX_RETRIES": "0"}
ELSEWHERE = "https://pinterest.example/v5"

Started = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Started:
    """Start a program in a folder with a `.env`; arguments are what is in it, and in the environment."""

    def run(program: str, *arguments: str, dotenv: dict[str, str], exported: dict[str, str]) -> Run:
        (tmp_path / ".env").write_text("".join(f"{PREFIX}{name}={value}\n" for name, value in dotenv.items()))
        variables = {f"{PREFIX}{name}": value for name, value in {**NEEDED, **exported}.items()}
        done = subprocess.run(
            [sys.executable, "-c", f"from target_pinterest_audience.{program} import main; main()", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60, cwd=tmp_path,
            env=environment(**variables, XDG_STATE_HOME=str(tmp_path)),
        )  # fmt: skip
        return Run(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.mark.parametrize(
    "command", [("main", "--config", "ENV"), ("companion.main", "lists"), ("companion.main", "login")]
)
@pytest.mark.parametrize("secrets", [{"ACCESS_TOKEN": TOKEN}, {"CLIENT_ID": "app", "CLIENT_SECRET": "s3cr3t"}])
def test_an_address_from_a_dotenv_file_does_not_get_the_secrets_of_the_environment(
    start: Started, emulator: Emulator, tmp_path: Path, command: tuple[str, ...], secrets: dict[str, str]
) -> None:
    run = start(*command, dotenv={"API_URL": emulator.url}, exported=secrets)
    assert run.code == 2
    assert f"`{[*secrets][-1].lower()}` comes from the environment" in run.stderr
    assert f"`api_url`, which says where to send it, comes from {tmp_path}/.env" in run.stderr
    assert emulator.backend.calls == []
    assert TOKEN not in run.stderr
    assert emulator.url not in run.stderr


@pytest.mark.parametrize("in_file", [["API_URL", "ACCESS_TOKEN"], ["ACCESS_TOKEN"], []])
def test_a_token_goes_to_an_address_from_its_own_source_or_the_environment(
    start: Started, emulator: Emulator, in_file: list[str]
) -> None:
    settings = {"API_URL": emulator.url, "ACCESS_TOKEN": TOKEN}
    dotenv = {name: settings[name] for name in in_file}
    exported = {name: value for name, value in settings.items() if name not in in_file}
    run = start("companion.main", "lists", dotenv=dotenv, exported=exported)
    assert run.code == 0, run.stderr


def test_a_token_from_a_file_signs_in(start: Started, emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n", encoding="utf-8")
    exported = {"API_URL": emulator.url, "ACCESS_TOKEN_FILE": str(tmp_path / "token")}
    run = start("companion.main", "lists", dotenv={}, exported=exported)
    assert run.code == 0, run.stderr
    del exported["API_URL"]
    refused = start("companion.main", "lists", dotenv={"API_URL": emulator.url}, exported=exported)
    assert (refused.code, "comes from the file" in refused.stderr) == (2, True)


def test_a_setting_that_is_also_in_the_environment_does_not_count_as_from_dotenv(
    start: Started, emulator: Emulator
) -> None:
    exported = {"API_URL": emulator.url, "ACCESS_TOKEN": TOKEN}
    run = start("companion.main", "lists", dotenv={"API_URL": ELSEWHERE}, exported=exported)
    assert run.code == 0, run.stderr


@pytest.mark.parametrize(("name", "reference"), [("ACCESS_TOKEN", "${FOREIGN}"), ("API_URL", "{url}/${FOREIGN}")])
def test_a_dotenv_file_sends_no_variable_of_the_environment(
    start: Started, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, name: str, reference: str
) -> None:
    monkeypatch.setenv("FOREIGN", "s3cr3t")
    dotenv = {"API_URL": emulator.url, "ACCESS_TOKEN": TOKEN, name: reference.replace("{url}", emulator.url)}
    run = start("companion.main", "lists", dotenv=dotenv, exported={})
    assert run.code == 2
    assert "refers to the variable FOREIGN, which no earlier line of the file defines" in run.stderr
    assert emulator.backend.calls == []


def leaks(*, dotenv: dict[str, Any], exported: dict[str, Any], file: dict[str, Any] | None = None) -> bool:
    found, chosen = Source("/there/.env", dotenv, is_found=True), Source("the environment", exported)
    try:
        refuse_to_leak([Source("target.json", file or {}), found, chosen])
    except ConfigurationError:
        return True
    return False


@pytest.mark.parametrize(
    ("url", "is_leak"),
    [
        ("https://api.pinterest.com/v5", False),
        ("https://API.pinterest.com/v5/", False),
        ("http://api.pinterest.com/v5", True),
        ("https://api.pinterest.com.example/v5", True),
        ("https://example/api.pinterest.com", True),
        ("https://api.pinterest.com@example/v5", True),
        ("https://pinterest.example/v5", True),
        ("http://127.0.0.1:8080/v5", True),
        ("", True),
        (7, True),
    ],
)
def test_pinterest_itself_may_get_every_token(url: object, *, is_leak: bool) -> None:
    assert leaks(dotenv={"api_url": url}, exported={"access_token": "t"}) is is_leak


def test_a_configuration_file_may_send_the_token_of_the_environment() -> None:
    assert not leaks(file={"api_url": ELSEWHERE}, dotenv={}, exported={"access_token": "t"})
    assert not leaks(file={"api_url": ELSEWHERE}, dotenv={"access_token": "t"}, exported={})
    assert leaks(file={"access_token": "t"}, dotenv={"api_url": ELSEWHERE}, exported={})


def test_a_refresh_token_is_not_stored_in_a_database_that_only_dotenv_names() -> None:
    database, app = {"ledger_url": "postgresql://example/db"}, {"client_secret": "s", "refresh_token": "t"}
    assert leaks(dotenv=database, exported=app)
    assert not leaks(dotenv={**database, **app}, exported={})
    assert not leaks(dotenv={}, exported={**database, **app})
    assert not leaks(dotenv=database, exported={**app, "credentials_file": "/run/credentials.json"})
    assert not leaks(dotenv=database, exported={"access_token": "t"})
    assert not leaks(dotenv={"ledger_url": "sqlite:///ledger.db"}, exported=app)


def test_each_setting_is_listed_with_the_source_whose_value_counts() -> None:
    sources = [
        Source("target.json", {"b": "s3cr3t", "a": 1}),
        Source(".env", {"c": 1, "d": 1}),
        Source("the environment", {"a": 2, "d": 2}),
    ]
    assert (
        described(sources)
        == "b from target.json; a, d from the environment; c from .env; the others have their defaults."
    )


def test_check_names_where_settings_come_from(run_companion: Companion, start: Started, emulator: Emulator) -> None:
    checks = json.loads(run_companion("check", "--json").stdout)
    (settings,) = [each for each in checks if each["name"] == "settings"]
    assert "api_url, initial_backoff_ms, ledger_url" in settings["detail"]
    assert "companion.json; the others have their defaults." in settings["detail"]
    run = start(
        "companion.main", "check", dotenv={"MAX_RETRIES": "5"}, exported={"API_URL": emulator.url, "ACCESS_TOKEN": "x"}
    )
    assert "; access_token, ad_account_id, api_url, max_retries from the environment; the others have" in run.stdout
