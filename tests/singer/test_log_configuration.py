"""Logging that is set up wrongly is told as that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.messages import deleted, people, record, schema
from tests.support.processes import Run, command, environment, lines
from tests.support.zygote import shared_zygote

STREAM = [schema("email"), *people([1])]


def run(config: dict[str, Any], folder: Path, stream: list[dict[str, Any]] = STREAM, /, **variables: str) -> Run:
    arguments, env = command(config, folder)[3:], environment(**variables)
    code, stdout, stderr = shared_zygote().run("target-pinterest-audience", arguments, lines(stream), env)
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


JSON = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "singer_sdk.logging.StructuredFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
}


@pytest.fixture
def json_log(tmp_path: Path) -> str:
    """The path of a configuration that makes log lines JSON."""
    path = tmp_path / "logging.json"
    path.write_text(json.dumps(JSON))
    return str(path)


def test_the_counts_of_the_summary_are_fields(config: dict[str, Any], tmp_path: Path, json_log: str) -> None:
    report_path = tmp_path / "report.json"
    odd = record(id=9, email="nobody (at) example.com")
    settings = {**config, "load_method": "upsert", "report_path": str(report_path)}
    done = run(
        settings, tmp_path, [schema("email"), *people(range(3)), deleted(2), odd], SINGER_SDK_LOG_CONFIG=json_log
    )
    assert done.code == 0, done.stderr
    found = [line for line in map(json.loads, done.stderr.splitlines()) if "summary" in line["extra"]]
    assert [line["extra"].pop("summary") for line in found] == ["stream", "rejected", "list", "run"]
    stream, rejected, customer_list, whole = (line["extra"] for line in found)
    report = json.loads(report_path.read_text())
    (of_stream,), (of_list,) = report["streams"], report["lists"]
    assert [line["stream_name"] for line in found] == ["customers", "customers", None, None]
    assert [rejected] == of_stream["rejects"]
    assert stream == {name: figure for name, figure in of_stream.items() if isinstance(figure, int)}
    assert (stream["rows"], stream["deleted_rows"], stream["rejected"]) == (5, 1, 1)
    assert customer_list.pop("customer_list_name") == of_list.pop("name")
    assert customer_list == {**of_list, "dry_run": False}
    assert whole.pop("seconds") >= 0
    assert whole == {"dry_run": False, "calls": report["calls"], "limited_seconds": 0.0}
    assert "nobody" not in done.stderr


def test_the_line_about_a_failure_has_the_exit_code_as_a_field(
    config: dict[str, Any], tmp_path: Path, json_log: str
) -> None:
    done = run({**config, "access_token": "wrong"}, tmp_path, SINGER_SDK_LOG_CONFIG=json_log)
    last = json.loads(done.stderr.splitlines()[-1])
    assert done.code == 3
    assert (last["level"], last["extra"]) == ("error", {"exit_code": 3})


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
