"""The contract's table of failures, line by line: a real process, over real sockets.

What passes must leave the right members, each list once, and the last STATE behind. What stays must have its exit
code, one line that says what to do, and no STATE beyond what was accepted; and once it is over, the same rows again end
in the right members. Nobody's address and no token shows in either.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import ACCOUNT, TOKEN, members
from tests.support.messages import address, digests, people, schema, sha256, state
from tests.support.processes import Run, Target, feed, running
from tests.support.waiting import wait_until

METHODS: Final = pytest.mark.parametrize("load_method", ["append-only", "upsert"])
STRANGER: Final = sha256("stranger@example.com")
STREAM: Final = [schema("email"), state(0), *people(range(10)), state(1), *people(range(10, 25)), state(2)]
EVERYBODY: Final = digests(range(25))
PAGE: Final = "<html><h1>Bad Gateway</h1>person1@example.com</html>"
OAUTH: Final = {"client_id": "emulator-app", "client_secret": "emulator-secret", "refresh_token": "emulator-refresh"}
PERSON: Final = {"code": 1, "message": f"Bad record person1@example.com {sha256(address(1))} {TOKEN}"}

LISTS: Final = r"/customer_lists$"
AUDIENCES: Final = r"/audiences$"


@pytest.fixture
def run(run_target: Target, tmp_path: Path) -> Target:
    """The target at DEBUG, with all the files that it can write; and nothing may show in anything."""
    files = {"report_path": str(tmp_path / "report.json"), "rejects_path": str(tmp_path / "rejects.jsonl")}

    def run_silently(stream: list[dict[str, Any]], **settings: Any) -> Run:
        done = run_target(stream, log_level="DEBUG", **files, **settings)
        assert "DEBUG" in done.stderr
        written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "config.json"]
        texts = {"stdout": done.stdout, "stderr": done.stderr}
        texts |= {path.name: path.read_bytes().decode("latin-1") for path in written}
        for secret in ("person1@", "person1%40", TOKEN, sha256(address(1))[:12], OAUTH["client_secret"]):
            assert [name for name, text in texts.items() if secret in text] == []
        assert OAUTH["refresh_token"] not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        report = json.loads(texts["report.json"])
        assert report["exit_code"] == done.code
        return done

    return run_silently


def limit(**headers: str) -> Fault:
    return Fault(method="PATCH", status=429, headers=headers, times=2)


PASSING: Final[dict[str, Callable[[], Fault]]] = {
    "reset before": lambda: Fault(method="PATCH", reset=True, times=3),
    "reset after": lambda: Fault(method="PATCH", reset=True, when="after", times=3),
    "half a body before": lambda: Fault(method="PATCH", half_body=True, times=2),
    "half a body after": lambda: Fault(method="PATCH", half_body=True, when="after", times=2),
    "slow beyond the time-out": lambda: Fault(method="PATCH", delay_ms=1500),
    "500": lambda: Fault(method="PATCH", status=500, times=3),
    "500 after": lambda: Fault(method="PATCH", status=500, when="after", times=3),
    "502 in HTML": lambda: Fault(method="PATCH", status=502, body=PAGE, times=2),
    "503 to everything": lambda: Fault(status=503, times=5),
    "504 after": lambda: Fault(method="PATCH", status=504, when="after"),
    "200 that is not JSON": lambda: Fault(method="PATCH", status=200, body="OK", times=2),
    "200 without a body": lambda: Fault(method="PATCH", status=200, body="", times=2),
    "200 of another form": lambda: Fault(method="PATCH", status=200, body=["id"], when="after", times=2),
    "429 in seconds": lambda: limit(**{"Retry-After": "1"}),
    "429 with a date": lambda: limit(**{"Retry-After": formatdate(time.time() + 1, usegmt=True)}),
    "429 until a moment": lambda: limit(**{"x-ratelimit-reset": str(time.time() + 1)}),
    "429 in seconds until the reset": lambda: limit(**{"x-ratelimit-reset": "1"}),
    "429 with its window": lambda: limit(**{"x-ratelimit-limit": '60, 100;w=60;name="a", 60;w=1;name="b"'}),
    "429 with absurd headers": lambda: limit(
        **{"Retry-After": "in a moment", "x-ratelimit-reset": "9" * 30, "x-ratelimit-limit": "many;w=soon"}
    ),
    "429 that is over": lambda: limit(**{"Retry-After": "-5", "x-ratelimit-remaining": "-1"}),
    "429 without a header": limit,
    "429 with counts of thousands of digits": lambda: limit(
        **{"x-ratelimit-remaining": "9" * 5000, "x-ratelimit-reset": "1"}
    ),
    "redirect to nowhere": lambda: Fault(method="PATCH", status=302, headers={"Location": "http://[::1"}, times=2),
    "listing without items": lambda: Fault(method="GET", path=LISTS, status=200, body={"code": 500, "message": "no"}),
    "audiences without items": lambda: Fault(method="GET", path=AUDIENCES, status=200, body={}),
    "listing fails": lambda: Fault(method="GET", path=LISTS, status=500, times=2),
    "listing breaks off": lambda: Fault(method="GET", path=LISTS, half_body=True),
    "audiences fail": lambda: Fault(method="GET", path=AUDIENCES, status=502, body=PAGE, times=2),
    "audience is cut off after": lambda: Fault(method="POST", path=AUDIENCES, reset=True, when="after"),
    "audience is cut off before": lambda: Fault(method="POST", path=AUDIENCES, reset=True),
    "413": lambda: Fault(method="PATCH", more_records_than=3, status=413, times=None),
    "too many bytes": lambda: Fault(method="PATCH", more_bytes_than=400, status=400, times=None),
    "400 once": lambda: Fault(method="PATCH", status=400, body=PERSON),
    "200 with exceptions": lambda: Fault(
        method="PATCH", status=200, body={"id": "1", "name": "customers", "exceptions": PERSON}
    ),
}


@METHODS
@pytest.mark.parametrize("fault", PASSING)
def test_a_temporary_fault_loses_nobody(emulator: Emulator, run: Target, fault: str, load_method: str) -> None:
    made = emulator.backend.create_list("customers", records=[STRANGER])
    emulator.backend.inject(PASSING[fault]())
    done = run(STREAM, batch_size_rows=10, read_timeout_seconds=1, load_method=load_method)
    assert done.code == 0, done.stderr
    assert [each.id for each in emulator.backend.customer_lists()] == [made.id]
    assert [each.name for each in emulator.backend.audiences()] == ["customers"]
    assert members(emulator) == EVERYBODY | {STRANGER}
    assert done.states[-1] == state(2)["value"]


@METHODS
@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="POST", path=LISTS, when="after", reset=True),
        Fault(method="POST", path=LISTS, when="after", half_body=True),
        Fault(method="POST", path=LISTS, when="before", reset=True),
        Fault(method="POST", path=LISTS, when="after", status=502, body=PAGE),
        Fault(method="POST", path=LISTS, when="after", status=200, body="garbage"),
        Fault(method="POST", path=LISTS, delay_ms=1500),
        Fault(method="POST", path=LISTS, status=503),
        Fault(method="POST", path=LISTS, status=429, headers={"x-ratelimit-reset": "1"}),
        Fault(method="PATCH", status=404, times=3),
        Fault(method="POST", path=AUDIENCES, status=404, times=2),
    ],
    ids=lambda fault: f"{fault.status or ''} {fault.when} {fault.method}",
)
def test_a_fault_during_the_creation_of_a_list_makes_no_second_one(
    emulator: Emulator, run: Target, fault: Fault, load_method: str
) -> None:
    emulator.backend.inject(fault)
    done = run(STREAM, batch_size_rows=10, read_timeout_seconds=1, load_method=load_method)
    assert done.code == 0, done.stderr
    assert len(emulator.backend.customer_lists()) == 1
    assert len(emulator.backend.audiences()) == 1
    assert members(emulator) == EVERYBODY
    assert done.states[-1] == state(2)["value"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_a_refused_connection_is_retried(config: dict[str, Any], tmp_path: Path) -> None:
    port = free_port()
    settings = {"api_url": f"http://127.0.0.1:{port}/v5", "initial_backoff_ms": 400, "max_retries": 30}
    with running(config, tmp_path, **settings) as process:
        feed(process, [*STREAM])
        assert process.stderr is not None
        while b"No response from 127.0.0.1" not in (line := process.stderr.readline()):
            assert line
        with Emulator(port=port, access_token=TOKEN, ad_account_id=ACCOUNT) as late:
            stdout, stderr = process.communicate(timeout=60)
            assert members(late) == EVERYBODY
    assert process.returncode == 0, stderr
    assert json.loads(stdout.splitlines()[-1]) == state(2)["value"]


def test_a_token_that_is_refused_once_is_renewed(emulator: Emulator, run: Target) -> None:
    emulator.backend.inject(Fault(method="PATCH", status=401))
    emulator.backend.create_list("customers")
    done = run(STREAM, batch_size_rows=10, **OAUTH)
    assert done.code == 0, done.stderr
    assert members(emulator) == EVERYBODY


LASTING: Final[dict[str, tuple[Fault, int, str]]] = {
    "reset": (Fault(method="PATCH", reset=True, times=None), 4, "No response from 127.0.0.1"),
    "reset after": (Fault(method="PATCH", reset=True, when="after", times=None), 4, "No response from 127.0.0.1"),
    "half a body": (Fault(half_body=True, times=None), 4, "No response from 127.0.0.1"),
    "slow": (Fault(method="GET", path=LISTS, delay_ms=1500, times=None), 4, "No response from 127.0.0.1"),
    "500": (Fault(method="PATCH", status=500, times=None), 4, "not available"),
    "502 in HTML": (Fault(status=502, body=PAGE, times=None), 4, "not available"),
    "503": (Fault(status=503, times=None), 4, "not available"),
    "200 that is not JSON": (Fault(status=200, body="garbage", times=None), 4, "does not match"),
    "429 for hours": (
        Fault(status=429, headers={"Retry-After": "7200"}, times=None), 4, "rate limit is reached"
    ),
    "429 until a moment": (
        Fault(method="PATCH", status=429, headers={"x-ratelimit-reset": str(time.time() + 7200)}, times=None),
        4,
        "rate limit is reached",
    ),
    "401 code 2": (Fault(status=401, times=None), 3, "does not accept the access token"),
    "401 code 3": (
        Fault(status=401, body={"code": 3, "message": "consumer type is not supported"}, times=None), 3, "consumer type"
    ),
    "403 code 29": (
        Fault(method="PATCH", status=403, body={"code": 29, "message": "You are not permitted"}, times=None),
        3,
        "a role in the ad account",
    ),
    "403 code 2625": (Fault(status=403, body={"code": 2625, "message": "Denied"}, times=None), 3, "code 2625"),
    "403 in HTML": (Fault(status=403, body=PAGE, times=None), 3, "does not permit"),
    "403 that repeats somebody": (
        Fault(method="PATCH", status=403, body={"message": "x" * 250 + " " + sha256(address(1))}, times=None),
        3,
        "does not permit",
    ),
    "404": (Fault(method="PATCH", status=404, times=None), 2, "no longer has"),
    "400": (Fault(method="PATCH", status=400, body=PERSON, times=None), 5, "refuses"),
    "413": (Fault(method="PATCH", status=413, body=PAGE, times=None), 5, "refuses"),
    "200 with exceptions": (
        Fault(method="PATCH", status=200, body={"id": "1", "name": "x", "exceptions": PERSON}, times=None), 5, "refuses"
    ),
    "redirect": (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}, times=None), 4, "not available"),
}  # fmt: skip


@METHODS
@pytest.mark.parametrize("fault", LASTING)
def test_a_lasting_fault_ends_the_run_and_the_next_one_catches_up(
    emulator: Emulator, run: Target, fault: str, load_method: str
) -> None:
    emulator.backend.create_list("customers", records=[STRANGER])
    injected, code, words = LASTING[fault]
    emulator.backend.inject(injected)
    settings = {"batch_size_rows": 10, "read_timeout_seconds": 1, "load_method": load_method}
    done = run(STREAM, max_retries=1, **settings)
    assert done.code == code, done.stderr
    assert words in done.stderr
    assert "limits" not in words or re.search(r"until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", done.stderr)
    assert done.states in ([], [state(0)["value"]])
    emulator.backend.clear_faults()
    if injected.delay_ms:
        # What was asked last still holds its place.
        time.sleep(injected.delay_ms / 1000)
    again = run(STREAM, **settings)
    assert again.code == 0, again.stderr
    assert members(emulator) == EVERYBODY | {STRANGER}


def test_a_fault_in_the_middle_leaves_the_state_of_what_was_accepted(emulator: Emulator, run: Target) -> None:
    emulator.backend.inject(Fault(method="PATCH", skip=1, times=None, status=500))
    stream = [schema("email")]
    for n in range(40):
        stream += [*people([n]), state(n)]
    done = run(stream, batch_size_rows=10, max_retries=1)
    assert done.code == 4
    assert members(emulator) == digests(range(20))
    told = [each["bookmarks"]["at"] for each in done.states]
    assert told == sorted(told)
    assert told[-1] == 19


@METHODS
def test_a_failure_right_after_a_creation_leaves_the_state_of_its_first_batch(
    emulator: Emulator, run: Target, load_method: str
) -> None:
    emulator.backend.inject(Fault(method="PATCH", status=503, times=None))
    stream = [schema("email"), *people(range(5)), state(1), *people(range(5, 15)), state(2), *people(range(15, 25))]
    done = run(stream, batch_size_rows=10, max_retries=1, load_method=load_method)
    assert done.code == 4
    assert members(emulator) == digests(range(10))
    assert done.states == [state(1)["value"]]


@pytest.mark.parametrize("path", ["/oauth/token", "/customer_lists"])
def test_a_token_that_is_always_refused_is_reported(emulator: Emulator, run: Target, path: str) -> None:
    emulator.backend.inject(Fault(path=path, status=401, times=None))
    done = run(STREAM, access_token=None if "oauth" in path else TOKEN, **OAUTH)
    assert done.code == 3
    assert done.states in ([], [state(0)["value"]])


def test_a_server_that_does_not_answer_is_reported(run: Target) -> None:
    done = run(STREAM, api_url=f"http://127.0.0.1:{free_port()}/v5", max_retries=1)
    assert done.code == 4
    assert "If `api_url` is right, the network, a proxy or Pinterest is at fault" in done.stderr


def test_one_bad_row_among_ten_thousand_costs_one_row(emulator: Emulator, run: Target) -> None:
    emulator.backend.create_list("customers")
    emulator.backend.inject(Fault(record_pattern=sha256(address(7777)), status=400, times=None))
    done = run([schema("email"), *people(range(10_000)), state(1)], load_method="upsert")
    assert done.code == 0, done.stderr
    assert members(emulator) == digests(range(10_000)) - {sha256(address(7777))}
    assert len([call for call in emulator.backend.calls if call.method == "PATCH"]) <= 1 + 2 * 14
    assert done.states[-1] == state(1)["value"]


@METHODS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_pinterest_hangs_keeps_what_was_accepted(
    emulator: Emulator, config: dict[str, Any], run: Target, tmp_path: Path, load_method: str, number: int
) -> None:
    emulator.backend.create_list("customers")
    emulator.backend.inject(Fault(method="PATCH", skip=1, delay_ms=20_000))
    with running(config, tmp_path, batch_size_rows=10, load_method=load_method) as process:
        feed(process, STREAM)
        wait_until(lambda: len(emulator.backend.writes()) == 1)
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        time.sleep(0.5)
        asked = time.monotonic()
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=15)
        assert time.monotonic() - asked < 10
    assert process.returncode == 128 + number
    assert (told, stdout) == ([state(0)["value"], state(1)["value"]], b"")
    assert signal.Signals(number).name.encode() in stderr
    assert members(emulator) >= digests(range(10))
    emulator.stop()
    emulator.start()
    again = run(STREAM, batch_size_rows=10, load_method=load_method, api_url=emulator.url)
    assert again.code == 0, again.stderr
    assert members(emulator) == EVERYBODY


def test_no_request_begins_after_a_signal(emulator: Emulator, config: dict[str, Any], tmp_path: Path) -> None:
    emulator.backend.create_list("customers")
    emulator.backend.inject(Fault(method="PATCH", skip=1, status=429, headers={"Retry-After": "1"}, times=None))
    with running(config, tmp_path, batch_size_rows=10) as process:
        feed(process, STREAM)
        wait_until(lambda: any(call.status == 429 for call in emulator.backend.calls))
        process.terminate()
        before = len(emulator.backend.calls)
        process.communicate(timeout=10)
    assert process.returncode == 143
    assert len(emulator.backend.calls) == before


def test_a_token_that_never_arrives_does_not_keep_the_process_from_ending(
    emulator: Emulator, config: dict[str, Any], tmp_path: Path
) -> None:
    emulator.backend.inject(Fault(path="/oauth/token", delay_ms=30_000))
    del config["access_token"]
    lock = tmp_path / ".credentials.json.lock"
    with running({**config, **OAUTH}, tmp_path) as process:
        feed(process, STREAM)
        wait_until(lock.exists)
        time.sleep(1)
        asked = time.monotonic()
        process.terminate()
        _, stderr = process.communicate(timeout=12)
        assert time.monotonic() - asked < 10
    assert process.returncode == 143
    assert b"Stopped by a signal" in stderr.splitlines()[-1]


def test_a_list_that_a_killed_run_created_is_not_created_again_while_it_is_invisible(
    emulator: Emulator, config: dict[str, Any], run_target: Target, tmp_path: Path
) -> None:
    emulator.backend.inject(Fault(method="POST", path=LISTS, when="after", delay_ms=20_000))
    with running(config, tmp_path, load_method="upsert", batch_size_rows=10) as process:
        feed(process, STREAM)
        wait_until(emulator.backend.customer_lists)
    emulator.backend.inject(Fault(method="GET", path=LISTS, status=200, body={"items": []}, times=2))
    again = run_target(STREAM, load_method="upsert")
    assert again.code == 0, again.stderr
    assert "An interrupted run may have created" in again.stderr
    assert members(emulator) == EVERYBODY
