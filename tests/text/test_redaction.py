"""Nobody and no secret in a log, at any level, in any failure."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.logging import StructuredFormatter
from singer_sdk.metrics import Metric, Point

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.text.redaction import RedactingFormatter, hide, redact
from tests.support.messages import address, people, record, schema, sha256, state
from tests.support.processes import command, environment
from tests.support.zygote import shared_zygote

CANARY = "canary.person@secret-place.example"
DEVICE = "2f1e4fc0-81fd-4f8c-b4a1-0c2d3e4f5a6b"
TOKEN = "pina_CanaryCanaryCanary"
SECRET = "the-canary-of-secrets"
REFRESH = "pinr_CanaryRefresh"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"bad value {CANARY}!", "bad value [address]"),
        (f'{{"email":"{CANARY}"}}', '{"email":"[address]"}'),
        (f"mailto:{CANARY}", "mailto:[address]"),
        ("jürgen@müller.example", "[address]"),
        (f"id={DEVICE.upper()}", "id=[device id]"),
        ("calls +49 (0)30 1234-5678 and +14155552671.", "calls [phone number] and [phone number]."),
        ("2026-11-22T00:00:00+00:00, +0000, 1+2345, +10 %", "2026-11-22T00:00:00+00:00, +0000, 1+2345, +10 %"),
        (f"digest {sha256('x')}, {'0' * 40} and {'A' * 32}", "digest [digest], [digest] and [digest]"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: [token]"),
        (f"token {TOKEN}.x-y", "token [token]"),
        ("The ledger postgresql://user@host.example/db", "The ledger postgresql://user@host.example/db"),
        ("customer list 4189742, line 12, code 29", "customer list 4189742, line 12, code 29"),
        ("%" * 100_000 + "@", "%" * 100_000 + "@"),
    ],
)
def test_text_that_looks_like_a_person_or_a_secret_is_removed(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_given_secrets_are_removed_everywhere() -> None:
    hide([SECRET, None, "on", SECRET + "-and-more"])
    assert redact(f"{SECRET}-and-more {SECRET}x on") == "[secret] [secret]x on"


def test_a_traceback_is_redacted_too() -> None:
    record_of_error = logging.LogRecord("x", logging.ERROR, "f", 1, "failed for %s", (CANARY,), None)
    try:
        int(CANARY)
    except ValueError:
        record_of_error.exc_info = sys.exc_info()
    text = RedactingFormatter(logging.Formatter()).format(record_of_error)
    assert "ValueError" in text
    assert CANARY not in text


@pytest.mark.parametrize("person", [CANARY, "jürgen@müller.example", "\udc80@müller.example", 'a"b\n@c.example'])
def test_a_structured_line_is_redacted_and_remains_json(person: str) -> None:
    formatter = RedactingFormatter(StructuredFormatter())
    extra = {"list_name": f"for {person}", "rows": 3, "removals": {"delete": 1}}
    record_with_fields = logging.makeLogRecord({"msg": "failed for %s", "args": (person,), **extra})
    line = json.loads(formatter.format(record_with_fields))
    told = [line["message"], line["extra"].pop("list_name")]
    assert all("@" not in each and "[address]" in each for each in told), told
    assert line["extra"] == {"rows": 3, "removals": {"delete": 1}}


def test_a_metric_of_the_sdk_remains_structured() -> None:
    point = Point("counter", metric=Metric.RECORD_COUNT, value=2, tags={"stream": "customers"})
    metric = logging.makeLogRecord({"msg": "METRIC: %s", "args": (point,)})
    line = json.loads(RedactingFormatter(StructuredFormatter()).format(metric))
    assert line["metric_info"]["value"] == 2
    hostile = logging.makeLogRecord({"msg": "METRIC: %s", "args": (replace(point, tags={"stream": CANARY}),)})
    assert CANARY not in RedactingFormatter(StructuredFormatter()).format(hostile)


@pytest.mark.parametrize("where", ["main", "thread", "finaliser"])
def test_an_uncaught_error_is_reported_without_its_message(where: str) -> None:
    raising = f"raise ValueError({CANARY!r})"
    programs = {
        "main": raising,
        "thread": f"import threading\ndef f():\n    {raising}\nt = threading.Thread(target=f); t.start(); t.join()",
        "finaliser": f"class C:\n    def __del__(self):\n        {raising}\nC()",
    }
    guard = "from target_pinterest_audience.text.redaction import guard_exceptions; guard_exceptions('the program')\n"
    done = subprocess.run([sys.executable, "-c", guard + programs[where]], capture_output=True, text=True, check=False)
    assert "This is a bug in the program (ValueError" in done.stderr
    assert CANARY not in done.stderr


HOSTILE: list[bytes] = [
    CANARY.encode(),
    f'{{"email": "{CANARY}"}}'.encode(),
    f'{{"type": "{CANARY}", "record": {{"email": "{CANARY}"}}}}'.encode(),
    f'{{"type": "RECORD", "stream": "{CANARY}", "record": {{"email": "{CANARY}"}}}}'.encode(),
    f'{{"type": "RECORD", "stream": "customers", "record": {{"email": "{CANARY}"}}}}'.encode(),
    f'{{"type": "RECORD", "stream": "customers", "record": "{CANARY}"}}'.encode(),
    f'{{"type": "RECORD", "stream": "customers", "record": {{"id": {{"a": "{CANARY}"}}, "email": ["{CANARY}"]'.encode(),
    f'{{"type": "SCHEMA", "stream": "customers", "schema": {{"properties": {{"{CANARY}": "{CANARY}"}}}}}}'.encode(),
    f'{{"type": "STATE", "record": "{CANARY}"}}'.encode(),
    f'\ufeff{{"type": "BATCH", "stream": "customers", "manifest": ["/tmp/{CANARY}"]}}'.encode(),
    b'{"type": "RECORD", "stream": "customers", "record": {"id": 1, "email": "' + CANARY.encode() + b'\xff"}}',
    b"[" * 100_000 + CANARY.encode(),
]
FAULTS: dict[str, Fault] = {
    "echo": Fault(method="PATCH", status=400, body={"code": 1, "message": f"bad: {CANARY} {TOKEN}"}, times=None),
    "denied": Fault(method="PATCH", status=403, body={"code": 29, "message": f"no: {TOKEN}"}, times=None),
    "unauthorised": Fault(status=401, body={"code": 2, "message": TOKEN}, times=None),
    "html": Fault(status=502, body=f"<html>{CANARY}</html>", times=None),
    "garbage": Fault(method="PATCH", status=200, body=CANARY, times=None),
    "exceptions": Fault(
        method="PATCH", status=200, body={"id": "1", "name": "x", "exceptions": {"message": CANARY}}, times=None
    ),
    "reset": Fault(method="PATCH", reset=True, times=None),
    "reset after": Fault(method="PATCH", reset=True, when="after", times=None),
    "half a body": Fault(method="PATCH", half_body=True, times=None),
    "limited": Fault(method="PATCH", status=429, headers={"Retry-After": "99999"}, times=None),
    "gone": Fault(method="PATCH", status=404, times=None),
}


def assert_silent(folder: Path, *texts: bytes) -> None:
    """Neither a person nor a secret is in what was written, to any file but the configuration."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "config.json"]
    for place, text in [*enumerate(texts), *((path.name, path.read_bytes()) for path in files)]:
        for canary in (CANARY, CANARY.upper(), DEVICE, DEVICE.upper(), TOKEN, SECRET):
            assert canary.encode() not in text, (place, canary)


def run_at_debug(
    config: dict[str, Any], folder: Path, stream: bytes, **settings: Any
) -> subprocess.CompletedProcess[bytes]:
    secrets = {"access_token": TOKEN, "client_id": "1", "client_secret": SECRET, "refresh_token": REFRESH}
    merged = {**config, "load_method": "upsert", "max_retries": 1, **secrets, **settings}
    arguments = command({**merged, "rejects_path": str(folder / "rejects.jsonl")}, folder)[3:]
    code, stdout, stderr = shared_zygote().run(
        "target-pinterest-audience", arguments, stream, environment(LOGLEVEL="DEBUG")
    )
    done = subprocess.CompletedProcess(arguments, code, stdout, stderr)
    assert b"DEBUG" in done.stderr
    return done


def canaries() -> bytes:
    rows = [
        schema("email", "maid", "note"), *people(range(3)), record(id=5, email=CANARY, note=CANARY, maid=DEVICE),
        record(id=6, email=f"{CANARY} and more", maid=DEVICE + "x"), record(id=CANARY, email=CANARY.upper()),
        record(id=None, email=CANARY, maid=DEVICE.upper()), record(id=7, email={"a": CANARY}),
    ]  # fmt: skip
    return "".join(json.dumps(row) + "\n" for row in [*rows, state({"at": 1})]).encode()


@pytest.mark.parametrize("fault", FAULTS)
def test_no_failure_shows_a_person(emulator: Emulator, config: dict[str, Any], tmp_path: Path, fault: str) -> None:
    emulator.backend.create_list("customers", records=[sha256(address(99))])
    emulator.backend.inject(FAULTS[fault])
    done = run_at_debug(config, tmp_path, canaries(), access_token=config["access_token"])
    assert done.returncode in {2, 3, 4, 5}
    assert_silent(tmp_path, done.stdout, done.stderr)


def test_a_good_run_shows_no_person(config: dict[str, Any], tmp_path: Path) -> None:
    done = run_at_debug(config, tmp_path, canaries(), access_token=config["access_token"])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "rejects.jsonl").read_bytes()
    assert_silent(tmp_path, done.stdout, done.stderr)


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("settings", [{}, {"validate_records": True}], ids=["", "validated"])
def test_no_line_of_the_input_is_shown(
    config: dict[str, Any], tmp_path: Path, line: bytes, settings: dict[str, Any]
) -> None:
    done = run_at_debug(config, tmp_path, canaries() + line + b"\n", access_token=config["access_token"], **settings)
    assert done.returncode in {2, 8}
    assert_silent(tmp_path, done.stdout, done.stderr)


def test_a_refused_token_is_not_shown(config: dict[str, Any], tmp_path: Path) -> None:
    done = run_at_debug(config, tmp_path, canaries())
    assert done.returncode == 3
    assert_silent(tmp_path, done.stdout, done.stderr)
    assert REFRESH.encode() not in done.stderr


@pytest.mark.parametrize(
    "settings",
    [
        {"ad_account_id": CANARY}, {"streams": {"customers": {"operation": CANARY}}}, {"max_retries": CANARY},
        {"identity_columns": {"email": CANARY}}, {"api_url": f"http://{CANARY}/"}, {"hashing": CANARY},
        {"stream_maps": {"customers": {"email": f"'{CANARY}' +"}}}, {"ledger_url": f"mysql://{SECRET}@host/db"},
        {"ledger_url": f"postgresql://user:{SECRET}@127.0.0.1:1/db", "lock_wait_seconds": 1},
    ],
    ids=range(9),
)  # fmt: skip
def test_no_value_of_a_setting_is_shown(config: dict[str, Any], tmp_path: Path, settings: dict[str, Any]) -> None:
    done = run_at_debug(config, tmp_path, canaries(), **settings)
    assert done.returncode in {2, 7}
    assert_silent(tmp_path, done.stdout, done.stderr)
