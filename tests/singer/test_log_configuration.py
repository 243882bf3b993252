"""Logging that is set up wrongly is told as that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.messages import people, schema
from tests.support.processes import Run, command, environment
from tests.support.zygote import shared_zygote

STREAM = "".join(json.dumps(message) + "\n" for message in [schema("email"), *people([1])]).encode()


def run(config: dict[str, Any], folder: Path, **variables: str) -> Run:
    arguments, env = command(config, folder)[3:], environment(**variables)
    code, stdout, stderr = shared_zygote().run("target-pinterest-audience", arguments, STREAM, env)
    return Run(code, stdout.decode(), stderr.decode())


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "version: [1",
        "- a list",
        '{"version": 7}',
        '{"version": 1, "handlers": {"x": {"class": "no.such.Handler"}}, "root": {"handlers": ["x"]}}',
        '{"version": 1, "handlers": {"x": {"class": "logging.FileHandler", "filename": "/nonexistent/x"}}}',
        '{"version": 1, "root": {"level": "garbage"}}',
    ],
)
def test_a_log_configuration_that_cannot_be_used_is_named(
    config: dict[str, Any], tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "logging.yaml"
    if content is not None:
        path.write_text(content)
    done = run(config, tmp_path, SINGER_SDK_LOG_CONFIG=str(path))
    assert done.code == 2
    assert "SINGER_SDK_LOG_CONFIG" in done.stderr
    assert "a bug" not in done.stderr


def test_a_folder_in_place_of_a_log_configuration_is_named(config: dict[str, Any], tmp_path: Path) -> None:
    done = run(config, tmp_path, SINGER_SDK_LOG_CONFIG=str(tmp_path))
    assert done.code == 2
    assert "SINGER_SDK_LOG_CONFIG does not name a file that exists" in done.stderr


def test_a_valid_log_configuration_is_used(config: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "logging.yaml"
    handler = {"class": "logging.FileHandler", "filename": str(tmp_path / "log")}
    path.write_text(
        json.dumps({"version": 1, "handlers": {"x": handler}, "root": {"handlers": ["x"], "level": "INFO"}})
    )
    assert run(config, tmp_path, SINGER_SDK_LOG_CONFIG=str(path)).code == 0
    assert "The run took" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("variable", ["LOGLEVEL", "TARGET_PINTEREST_AUDIENCE_LOGLEVEL"])
def test_an_invalid_log_level_is_reported_with_its_variable(
    config: dict[str, Any], tmp_path: Path, variable: str
) -> None:
    done = run(config, tmp_path, **{variable: "s3cr3t"})
    assert done.code == 2
    assert f"{variable} must be DEBUG" in done.stderr
    assert "s3cr3t" not in done.stderr


def test_an_empty_log_level_is_not_set(config: dict[str, Any], tmp_path: Path) -> None:
    done = run(config, tmp_path, LOGLEVEL="", TARGET_PINTEREST_AUDIENCE_LOGLEVEL="")
    assert done.code == 0, done.stderr
    assert "The run took" in done.stderr
