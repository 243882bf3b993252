"""Secrets from files, as Docker and Kubernetes provide them: `…_FILE` variables for each secret setting."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.settings import (
    config_jsonschema,
    described,
    environment_sources,
    read_environment,
    refuse_to_leak,
)
from target_pinterest_audience.settings.load import read_config

PREFIX = "TARGET_PINTEREST_AUDIENCE_"
VARIABLE = f"{PREFIX}ACCESS_TOKEN_FILE"
SECRETS = [name for name, rules in config_jsonschema()["properties"].items() if rules.get("secret")]


def read(folder: Path) -> dict[str, object]:
    return read_environment(config_jsonschema(), PREFIX, folder)


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file with the access token."""
    path = tmp_path / "token"
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def test_every_secret_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert {"access_token", "client_secret", "refresh_token", "ledger_url", "notify_urls"} == set(SECRETS)
    for name in SECRETS:
        content = '["json://host"]' if name == "notify_urls" else f"the {name}"
        (tmp_path / name).write_text(content, encoding="utf-8")
        monkeypatch.setenv(f"{PREFIX}{name.upper()}_FILE", str(tmp_path / name))
    assert read(tmp_path) == {**{name: f"the {name}" for name in SECRETS}, "notify_urls": ["json://host"]}


@pytest.mark.parametrize("content", [b"s3cr3t", b"s3cr3t\n", b"s3cr3t\r\n", b"\xef\xbb\xbfs3cr3t\n\n", b" s3cr3t "])
def test_blanks_and_line_ends_around_a_secret_do_not_belong_to_it(file: Path, tmp_path: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert read(tmp_path) == {"access_token": "s3cr3t"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"\xff\xfes3cr3t", "it is not UTF-8 text"),
        (b"s3cr3t" * 20_000, "is too long for a secret"),
    ],
)
def test_a_file_without_a_secret_is_refused_and_its_content_is_not_shown(
    file: Path, tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=words) as refused:
        read(tmp_path)
    assert f"The file {file}, which {VARIABLE} names, " in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_a_folder_and_an_empty_name_are_no_files(monkeypatch: pytest.MonkeyPatch, file: Path, tmp_path: Path) -> None:
    file.mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read(tmp_path)
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(ConfigurationError, match=f"The variable {VARIABLE} is set, but names no file"):
        read(tmp_path)


def test_a_file_of_addresses_that_is_not_json_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "urls").write_text("json://s3cr3t", encoding="utf-8")
    monkeypatch.setenv(f"{PREFIX}NOTIFY_URLS_FILE", str(tmp_path / "urls"))
    with pytest.raises(ConfigurationError, match=r"`notify_urls` in the file .*urls is not JSON") as refused:
        read(tmp_path)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("in_dotenv", [False, True])
def test_a_secret_with_a_value_and_a_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, file: Path, tmp_path: Path, *, in_dotenv: bool
) -> None:
    file.write_text("s3cr3t", encoding="utf-8")
    if in_dotenv:
        (tmp_path / ".env").write_text(f"{PREFIX}ACCESS_TOKEN=other\n", encoding="utf-8")
    else:
        monkeypatch.setenv(f"{PREFIX}ACCESS_TOKEN", "other")
    with pytest.raises(ConfigurationError, match=f"{PREFIX}ACCESS_TOKEN and {VARIABLE} are both set. Keep one"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("AD_ACCOUNT_ID_FILE", "is not a setting"),
        ("access_token_file", f"only {VARIABLE} is read"),
        ("ACCESSTOKEN_FILE", f"only {VARIABLE} is read"),
    ],
)
def test_a_file_for_what_is_no_secret_and_a_misspelt_variable_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, words: str
) -> None:
    monkeypatch.setenv(PREFIX + name, str(tmp_path))
    with pytest.raises(ConfigurationError, match=words):
        read(tmp_path)


def test_service_links_of_kubernetes_are_not_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ACCESS_TOKEN_FILE_SERVICE_HOST", "ACCESS_TOKEN_FILE_PORT_80_TCP"):
        monkeypatch.setenv(PREFIX + name, "x")
    assert read(tmp_path) == {}


def test_a_dotenv_that_was_found_does_not_send_the_content_of_a_file_to_its_own_address(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cr3t", encoding="utf-8")
    (tmp_path / ".env").write_text(f"{PREFIX}API_URL=https://pinterest.example/v5\n{VARIABLE}={token}\n")
    sources = environment_sources(config_jsonschema(), PREFIX, tmp_path)
    assert f"access_token from the file {token}" in described(sources)
    with pytest.raises(ConfigurationError, match=f"`access_token` comes from the file {token}"):
        refuse_to_leak(sources)


def test_a_file_that_is_not_read_is_named_in_the_warning(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text('{"ad_account_id": "1"}')
    with caplog.at_level(logging.WARNING):
        read_config(("config.json",))
    assert VARIABLE in caplog.text
    assert not file.exists()
