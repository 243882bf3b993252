"""The emulator as a client meets it: over real sockets on the loopback."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import requests
from click.testing import CliRunner

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.emulator.command import emulator as emulator_command
from tests.support.operations import Api
from tests.support.waiting import wait_until

AUTHORIZED = {"Authorization": "Bearer emulator-token"}
ADD = {"operation_type": "ADD", "records": "c,d"}


@pytest.fixture
def list_path(emulator: Emulator) -> str:
    return f"/customer_lists/{emulator.backend.create_list('customers', ['a', 'b']).id}"


def members(emulator: Emulator) -> frozenset[str]:
    (only,) = emulator.backend.customer_lists()
    return only.members


def control(emulator: Emulator, method: str, path: str, **options: Any) -> requests.Response:
    return requests.request(method, emulator.url.removesuffix("/v5") + "/_emulator" + path, timeout=10, **options)


# The ordinary way.


def test_a_list_from_creation_to_audience(emulator: Emulator, api: Api) -> None:
    created = api("POST", "/customer_lists", {"name": "customers", "records": "a,b,", "list_type": "EMAIL"})
    assert created.status_code == 200
    list_id = created.json()["id"]
    assert api("PATCH", f"/customer_lists/{list_id}", ADD).json()["num_uploaded_user_records"] == 4
    removal = {"operation_type": "REMOVE", "records": "a"}
    assert api("PATCH", f"/customer_lists/{list_id}", removal).json()["num_removed_user_records"] == 1
    assert api("GET", f"/customer_lists/{list_id}").json()["num_batches"] == 3
    assert emulator.backend.members(list_id) == {"b", "c", "d"}
    audience = {"audience_type": "CUSTOMER_LIST", "name": "buyers", "rule": {"customer_list_id": list_id}}
    audience_id = api("POST", "/audiences", audience).json()["id"]
    assert [each["id"] for each in api("GET", "/audiences").json()["items"]] == [audience_id]
    assert [call.operation for call in emulator.backend.writes()] == ["customer_lists/create"] + 2 * [
        "customer_lists/update"
    ]


def test_every_answer_has_the_headers(emulator: Emulator, api: Api, list_path: str) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    answers = [
        api("GET", list_path),
        api("PATCH", list_path, ADD),
        api("PATCH", list_path, {}),
        api("GET", "/customer_lists/999"),
        api("GET", "/nothing"),
        api("DELETE", list_path),
        api("GET", list_path, headers=wrong),
    ]
    assert [each.status_code for each in answers] == [200, 200, 400, 404, 404, 405, 401]
    for answer in answers:
        assert answer.headers["x-pinterest-rid"].isdigit()
        assert answer.headers["x-ratelimit-limit"].split(", ")[0].isdigit()
        assert answer.headers["x-ratelimit-remaining"].isdigit()
        assert answer.headers["x-ratelimit-reset"].isdigit()
    assert len({each.headers["x-pinterest-rid"] for each in answers}) == len(answers)
    assert answers[1].headers["x-ratelimit-limit"] == '400, 400;w=60;name="ads_write_app_id_user_id"'
    assert answers[1].headers["x-ratelimit-remaining"] == "399"
    assert len(emulator.backend.calls) == len(answers)


def test_errors_have_pinterests_codes(api: Api, list_path: str) -> None:
    assert api("DELETE", list_path).json() == {"code": 5, "message": "Method not allowed.", "status": "failure"}
    failed = api("GET", list_path, headers={"Authorization": "Bearer wrong"})
    assert failed.json() == {"code": 2, "message": "Authentication failed.", "status": "failure"}
    assert api("GET", list_path, headers={"Authorization": "Basic ZW11bGF0b3I6dG9rZW4="}).status_code == 401


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"records"'])
def test_a_body_that_is_not_a_json_object_is_refused(api: Api, list_path: str, body: bytes) -> None:
    assert api("PATCH", list_path, data=body).status_code == 400


def test_a_token_is_refreshed_by_form_and_basic(emulator: Emulator, api: Api, list_path: str) -> None:
    emulator.backend.expire_access_tokens()
    assert api("GET", list_path).status_code == 401
    form = {"grant_type": "refresh_token", "refresh_token": "emulator-refresh"}
    url = f"{emulator.url}/oauth/token"
    assert requests.post(url, data=form, timeout=10).status_code == 401
    refreshed = requests.post(url, data=form, auth=("emulator-app", "emulator-secret"), timeout=10)
    assert refreshed.status_code == 200
    assert refreshed.headers["x-ratelimit-limit"].startswith("1000, ")
    bearer = {"Authorization": f"Bearer {refreshed.json()['access_token']}"}
    assert api("GET", list_path, headers=bearer).status_code == 200


def test_a_spent_budget_is_answered_with_429(api: Api, list_path: str) -> None:
    with Emulator(ads_write_per_minute=1) as emulator:
        made = emulator.backend.create_list("customers")
        url = f"{emulator.url}/ad_accounts/549755885175/customer_lists/{made.id}"
        answers = [requests.patch(url, json=ADD, headers=AUTHORIZED, timeout=10) for _ in range(2)]
    assert [each.status_code for each in answers] == [200, 429]
    assert answers[1].json()["code"] == 8
    assert 0 < int(answers[1].headers["x-ratelimit-reset"]) <= 60
    assert api("PATCH", list_path, ADD).status_code == 200


# What is remembered.


def test_calls_are_recorded_without_headers(emulator: Emulator, api: Api, list_path: str) -> None:
    api("GET", "/customer_lists", params={"page_size": "7"})
    api("PATCH", list_path, ADD)
    api("PATCH", list_path, {"operation_type": "ADD"})
    read, written, refused = emulator.backend.calls
    assert (read.method, read.path, read.query) == (
        "GET",
        "/v5/ad_accounts/549755885175/customer_lists",
        {"page_size": "7"},
    )
    assert (read.request, read.status, read.applied) == (None, 200, True)
    assert (written.request, written.status, written.operation) == (ADD, 200, "customer_lists/update")
    assert written.response is not None
    assert written.response["num_batches"] == 2
    assert written.started <= written.finished
    assert (refused.status, refused.applied) == (400, False)
    assert emulator.backend.writes() == [written]
    assert emulator.backend.writes(written.list_id) == [written]
    assert emulator.backend.writes("999") == []
    assert "emulator-token" not in repr(emulator.backend.calls)


def test_only_the_newest_calls_are_kept() -> None:
    with Emulator(max_calls=2) as emulator:
        for path in ("/a", "/b", "/c"):
            requests.get(emulator.url + path, timeout=10)
        assert [call.path for call in emulator.backend.calls] == ["/v5/b", "/v5/c"]


# The wire.


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_may_have_25000_records(emulator: Emulator, api: Api, list_path: str, *, chunked: bool) -> None:
    values = [f"{number:064x}" for number in range(25_000)]
    body = json.dumps({"operation_type": "ADD", "records": ",".join(values)}).encode()
    pieces: Any = iter([body[:1_000_000], body[1_000_000:]]) if chunked else body
    answer = api("PATCH", list_path, data=pieces)
    assert answer.json()["num_uploaded_user_records"] == 25_002
    assert members(emulator) == {"a", "b", *values}
    assert api("GET", list_path).status_code == 200


def test_a_head_request_is_answered_without_a_body(emulator: Emulator) -> None:
    host, port = urlsplit(emulator.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"HEAD /v5/ad_accounts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.endswith(b"\r\n\r\n")


def test_nothing_is_logged_unless_verbose(caplog: pytest.LogCaptureFixture) -> None:
    for verbose in (False, True):
        with Emulator(verbose=verbose) as emulator:
            requests.get(f"{emulator.url}/nothing", timeout=10)
        assert ("GET /v5/nothing" in caplog.text) is verbose


def test_a_write_during_a_write_on_the_same_list_is_refused() -> None:
    with Emulator(latency_ms=300) as emulator, ThreadPoolExecutor(3) as threads:
        one, two = (emulator.backend.create_list(name) for name in ("one", "two"))
        account = f"{emulator.url}/ad_accounts/549755885175/customer_lists"

        def patch(list_id: str) -> requests.Response:
            return requests.patch(f"{account}/{list_id}", json=ADD, headers=AUTHORIZED, timeout=10)

        *same, other = list(threads.map(patch, (one.id, one.id, two.id)))
        accepted, refused = sorted(same, key=lambda answer: answer.status_code)
        assert (accepted.status_code, refused.status_code, other.status_code) == (200, 429, 200)
        assert (refused.json()["code"], refused.headers["x-ratelimit-reset"]) == (8, "1")
        (first,), (second,) = emulator.backend.writes(one.id), emulator.backend.writes(two.id)
        assert first.started < second.finished
        assert second.started < first.finished
        assert patch(one.id).status_code == 200


# Faults.


JSON = ("Content-Type", "application/json")
HTML = ("Content-Type", "text/html; charset=utf-8")
LONG_AGO = formatdate(0, usegmt=True)


@pytest.mark.parametrize(
    ("options", "status", "header", "content"),
    [
        ({"status": 429, "headers": {"Retry-After": "7"}}, 429, ("Retry-After", "7"), '"code": 8'),
        ({"status": 429, "headers": {"Retry-After": LONG_AGO}}, 429, ("Retry-After", LONG_AGO), ""),
        ({"status": 429, "headers": {"x-ratelimit-reset": "3"}}, 429, ("x-ratelimit-reset", "3"), ""),
        ({"status": 500}, 500, JSON, '"code": 500'),
        ({"status": 401}, 401, JSON, '"code": 2'),
        ({"status": 502, "body": "<h1>Bad Gateway</h1>"}, 502, HTML, "<h1>"),
        ({"status": 200, "body": "so sorry"}, 200, ("Content-Length", "8"), "so sorry"),
        ({"status": 200, "body": {"exceptions": {"code": 2}}}, 200, JSON, "exceptions"),
        ({"status": 413}, 413, JSON, '"code": 413'),
        ({"more_records_than": 1}, 400, JSON, '"code": 400'),
        ({"record_pattern": "^d$"}, 400, JSON, '"code": 400'),
    ],
)
def test_a_fault_answers_instead_of_pinterest(
    emulator: Emulator, api: Api, options: dict[str, Any], status: int, header: tuple[str, str], content: str
) -> None:
    path = f"/customer_lists/{emulator.backend.create_list('customers', ['a', 'b']).id}"
    expected = {"a", "b"}
    for when in ("before", "after"):
        emulator.backend.inject(Fault.from_json({"method": "PATCH", "when": when, **options}))
        assert api("GET", path).status_code == 200
        answer = api("PATCH", path, ADD)
        assert answer.status_code == status
        assert answer.headers[header[0]] == header[1]
        assert content in answer.text
        assert "x-ratelimit-limit" not in answer.headers
        if when == "after":
            expected |= {"c", "d"}
        assert members(emulator) == expected
        call = emulator.backend.calls[-1]
        assert call.fault is not None
        assert (call.fault.when, call.status, call.applied) == (when, status, when == "after")
    assert len(emulator.backend.writes()) == 1
    assert api("PATCH", path, ADD).status_code == 200


def test_a_creation_can_be_answered_201(emulator: Emulator, api: Api) -> None:
    emulator.backend.inject(Fault(method="POST", status=201, when="after"))
    answer = api("POST", "/customer_lists", {"name": "customers", "records": "a"})
    assert (answer.status_code, answer.json()["id"]) == (201, emulator.backend.customer_lists()[0].id)


@pytest.mark.parametrize(("when", "expected"), [("before", {"a", "b"}), ("after", {"a", "b", "c", "d"})])
def test_a_reset_fault_resets_the_connection(
    emulator: Emulator, api: Api, list_path: str, when: Any, expected: set[str]
) -> None:
    emulator.backend.inject(Fault(method="PATCH", reset=True, when=when))
    # The first call opens the connection, so that the second meets the reset on one that is kept.
    api("GET", list_path)
    with pytest.raises(requests.ConnectionError) as failed:
        api("PATCH", list_path, ADD)
    assert "ConnectionResetError" in repr(failed.value)
    assert members(emulator) == expected
    assert emulator.backend.calls[-1].status is None
    assert api("PATCH", list_path, ADD).status_code == 200


@pytest.mark.parametrize(("when", "expected"), [("before", {"a", "b"}), ("after", {"a", "b", "c", "d"})])
def test_a_half_body_fault_sends_less_than_announced(
    emulator: Emulator, api: Api, list_path: str, when: Any, expected: set[str]
) -> None:
    emulator.backend.inject(Fault(method="PATCH", half_body=True, when=when))
    with api("PATCH", list_path, ADD, stream=True) as answer:
        promised = int(answer.headers["Content-Length"])
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
            _ = answer.content
    assert promised > 2
    assert members(emulator) == expected
    assert api("PATCH", list_path, ADD).status_code == 200


@pytest.mark.parametrize("how", [{"status": 504}, {"reset": True}, {"half_body": True}])
def test_a_late_change_is_applied_after_later_changes(
    emulator: Emulator, api: Api, list_path: str, how: dict[str, Any]
) -> None:
    emulator.backend.inject(Fault(method="PATCH", when="late", late_writes=2, **how))
    with contextlib.suppress(requests.RequestException):
        assert api("PATCH", list_path, ADD).status_code == how.get("status", 200)
    assert not emulator.backend.calls[-1].applied
    remove = {"operation_type": "REMOVE", "records": "c,d"}
    api("PATCH", list_path, remove)
    api("GET", list_path)
    assert members(emulator) == {"a", "b"}
    api("PATCH", list_path, remove)
    assert members(emulator) == {"a", "b", "c", "d"}
    api("PATCH", list_path, remove)
    assert members(emulator) == {"a", "b"}


def test_a_late_change_is_applied_on_request(emulator: Emulator, api: Api, list_path: str) -> None:
    emulator.backend.inject(Fault(method="PATCH", when="late", late_writes=9, status=504))
    api("PATCH", list_path, ADD)
    emulator.backend.clear_faults()
    control = emulator.url.replace("/v5", "/_emulator/late")
    for _ in range(2):
        assert requests.post(control, timeout=10).status_code == 200
        assert members(emulator) == {"a", "b", "c", "d"}
        api("PATCH", list_path, {"operation_type": "ADD", "records": "a"})


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delay_lets_the_change_through(emulator: Emulator, api: Api, list_path: str, when: Any) -> None:
    emulator.backend.inject(Fault(method="PATCH", delay_ms=400, when=when))
    with pytest.raises(requests.Timeout):
        api("PATCH", list_path, ADD, timeout=0.05)
    assert members(emulator) == ({"a", "b"} if when == "before" else {"a", "b", "c", "d"})
    # The write that the client gave up is still in flight.
    assert api("PATCH", list_path, ADD).status_code == 429
    deadline = time.monotonic() + 5
    while not emulator.backend.writes() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert members(emulator) == {"a", "b", "c", "d"}


def test_clearing_the_faults_ends_a_delay(emulator: Emulator, api: Api, list_path: str) -> None:
    emulator.backend.inject(Fault(method="PATCH", delay_ms=60_000, when="after"))
    with ThreadPoolExecutor(1) as calls:
        call = calls.submit(api, "PATCH", list_path, ADD)
        wait_until(lambda: members(emulator) == {"a", "b", "c", "d"})
        emulator.backend.clear_faults()
        assert call.result(timeout=5).status_code == 200


# Control endpoints.


def test_faults_are_injected_and_forgotten_over_http(emulator: Emulator, api: Api, list_path: str) -> None:
    fault = {"method": "PATCH", "path": "customer_lists", "status": 503, "times": None}
    assert control(emulator, "POST", "/faults", json=fault).status_code == 201
    assert [api("PATCH", list_path, ADD).status_code for _ in range(2)] == [503, 503]
    assert control(emulator, "DELETE", "/faults").status_code == 200
    assert api("PATCH", list_path, ADD).status_code == 200


@pytest.mark.parametrize("body", [b"", b"[]", b'{"status": "500"}', b'{"statsu": 500}', b"{}"])
def test_a_bad_fault_is_refused_with_a_reason(emulator: Emulator, body: bytes) -> None:
    answer = control(emulator, "POST", "/faults", data=body)
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_the_state_is_readable_and_resettable_over_http(emulator: Emulator, api: Api, list_path: str) -> None:
    api("PATCH", list_path, ADD)
    list_id = list_path.rpartition("/")[2]
    assert control(emulator, "GET", f"/members/{list_id}").json() == {"members": ["a", "b", "c", "d"]}
    assert control(emulator, "GET", "/members/999").status_code == 404
    (shown,) = control(emulator, "GET", "/lists").json()["lists"]
    assert (shown["id"], shown["name"], shown["members"], shown["num_batches"]) == (list_id, "customers", 4, 2)
    (call,) = control(emulator, "GET", "/calls").json()["calls"]
    assert (call["method"], call["status"], call["request"]) == ("PATCH", 200, ADD)
    assert control(emulator, "POST", "/reset").status_code == 200
    assert emulator.backend.customer_lists() == []
    assert control(emulator, "GET", "/calls").json() == {"calls": []}
    assert control(emulator, "GET", "/nothing").status_code == 404
    assert control(emulator, "PUT", "/faults").status_code == 405


# Start and stop.


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::", ""])  # noqa: S104 - they are refused
def test_the_emulator_listens_only_on_the_loopback(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Emulator(host=host)


def test_localhost_is_the_loopback() -> None:
    with Emulator(host="localhost") as emulator:
        assert emulator.url.startswith("http://127.0.0.1:")


def test_it_has_no_url_until_it_is_started() -> None:
    emulator = Emulator()
    with pytest.raises(RuntimeError, match="not started"):
        _ = emulator.url
    emulator.stop()


def test_a_port_in_use_is_reported(emulator: Emulator) -> None:
    port = urlsplit(emulator.url).port
    assert port is not None
    with pytest.raises(OSError, match="in use"):
        Emulator(port=port).start()


def test_it_stops_at_once_and_leaves_nothing_behind() -> None:
    # What other tests left shall not warn here, and their threads may end meanwhile.
    gc.collect()
    threads_before = set(threading.enumerate())
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        emulator = Emulator(latency_ms=60_000).start()
        host, port = urlsplit(emulator.url).netloc.split(":")
        with socket.create_connection((host, int(port))) as idle, socket.create_connection((host, int(port))) as busy:
            busy.sendall(
                b"GET /v5/ad_accounts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer emulator-token\r\n\r\n"
            )
            deadline = time.monotonic() + 5
            while emulator.backend.headers("ads_read")["x-ratelimit-remaining"] == "1000":
                assert time.monotonic() < deadline
            started = time.monotonic()
            emulator.stop()
            assert time.monotonic() - started < 1
            assert idle.recv(1) == b""
            with pytest.raises(ConnectionError):
                busy.recv(1)
        assert set(threading.enumerate()) <= threads_before
        # A socket that is still open would warn. Another process may listen on the port by now, so nobody calls there.
        del emulator
        gc.collect()


def test_it_can_be_started_again_with_its_state() -> None:
    emulator = Emulator()
    for expected in (1, 2):
        with emulator:
            emulator.backend.create_list("customers")
            assert requests.get(f"{emulator.url}/ad_accounts", headers=AUTHORIZED, timeout=10).status_code == 200
        assert len(emulator.backend.customer_lists()) == expected


# The command.

Run = Callable[..., "subprocess.Popen[str]"]


# Web pages that a browser on this machine has open.


@pytest.mark.parametrize(
    "host", ["pinterest.example", "localhost.example:8080", "127.0.0.1.example", "192.0.2.1", "", "["]
)
@pytest.mark.parametrize("path", ["/v5/ad_accounts", "/_emulator/calls", "/oauth/"])
def test_a_request_with_a_foreign_host_name_is_refused(emulator: Emulator, host: str, path: str) -> None:
    url = emulator.url.removesuffix("/v5") + path
    answer = requests.get(url, headers={"Host": host, **AUTHORIZED}, timeout=10)
    assert answer.status_code in {400, 403}
    assert emulator.backend.calls == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", None])
def test_requests_with_any_loopback_name_are_answered(emulator: Emulator, host: str | None) -> None:
    answer = requests.get(f"{emulator.url}/ad_accounts", headers={"Host": host, **AUTHORIZED}, timeout=10)
    assert answer.status_code == 200


@pytest.mark.parametrize("origin", ["https://example.com", "http://localhost.example", "null", "file://", ""])
def test_no_page_of_another_site_changes_anything(emulator: Emulator, origin: str) -> None:
    emulator.backend.create_list("customers", ["a"])
    headers = {"Origin": origin, "Content-Type": "text/plain"}
    for method, path in (("POST", "/reset"), ("POST", "/faults"), ("DELETE", "/faults"), ("GET", "/lists")):
        assert control(emulator, method, path, headers=headers, data=b'{"status": 503}').status_code == 403
    form = {"grant_type": "refresh_token", "refresh_token": "emulator-refresh"}
    refused = requests.post(f"{emulator.url}/oauth/token", data=form, headers={"Origin": origin}, timeout=10)
    assert (refused.status_code, emulator.backend.calls) == (403, [])
    assert members(emulator) == {"a"}


def test_no_page_of_another_site_allows_an_application(emulator: Emulator) -> None:
    own = emulator.url.removesuffix("/v5")
    asked = {"client_id": "emulator-app", "redirect_uri": "http://localhost:1/", "response_type": "code", "scope": "a"}

    def decide(method: str, headers: dict[str, str]) -> int:
        return requests.request(
            method, f"{own}/oauth/", params=asked, data={"decision": "allow"}, headers=headers, allow_redirects=False,
            timeout=10,
        ).status_code  # fmt: skip

    for headers in ({"Origin": "https://example.com"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert decide("POST", headers) == 403
    assert decide("POST", {"Origin": own}) == 303
    assert decide("GET", {"Sec-Fetch-Site": "cross-site"}) == 200


def test_a_page_of_another_site_cannot_embed_anything(emulator: Emulator) -> None:
    assert control(emulator, "GET", "/calls", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert control(emulator, "GET", "/calls", headers={"Sec-Fetch-Site": "none"}).status_code == 200


@pytest.fixture
def run() -> Iterator[Run]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        script = "from target_pinterest_audience.emulator.command import emulator; emulator()"
        process = subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_how_to_use_it_and_ends_on_a_signal(run: Run, signum: signal.Signals) -> None:
    process = run("--port", "0", "--access-token", "it's mine", "--ad-account-id", "42")
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(4)]
    url = lines[1].removeprefix("export TARGET_PINTEREST_AUDIENCE_API_URL=")
    assert lines[0].startswith(f"# The emulator listens on {url} ")
    assert lines[2:] == [
        """export TARGET_PINTEREST_AUDIENCE_ACCESS_TOKEN='it'"'"'s mine'""",
        "export TARGET_PINTEREST_AUDIENCE_AD_ACCOUNT_ID=42",
    ]
    answer = requests.get(f"{url}/ad_accounts/42", headers={"Authorization": "Bearer it's mine"}, timeout=10)
    assert answer.status_code == 200
    process.send_signal(signum)
    assert process.wait(timeout=5) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_the_command_refuses_invalid_options(emulator: Emulator) -> None:
    port = str(urlsplit(emulator.url).port)
    outside = CliRunner().invoke(emulator_command, ["--host", "192.0.2.1"])
    assert (outside.exit_code, "loopback" in outside.output) == (2, True)
    taken = CliRunner().invoke(emulator_command, ["--port", port])
    assert (taken.exit_code, "in use" in taken.output, len(taken.output.splitlines())) == (1, True, 1)


def test_without_werkzeug_the_command_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.partition(".")[0] == "werkzeug":
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "target_pinterest_audience.emulator.web.app", raising=False)
    monkeypatch.delitem(sys.modules, "target_pinterest_audience.emulator.web.control", raising=False)
    result = CliRunner().invoke(emulator_command, ["--port", "0"])
    assert result.exit_code == 1
    assert "the extra `emulator`" in result.output
    assert len(result.output.splitlines()) == 1


def test_the_command_can_be_part_of_a_group() -> None:
    group = click.Group("pinterest-audience", commands=[emulator_command])
    assert "emulator" in CliRunner().invoke(group, ["--help"]).output
