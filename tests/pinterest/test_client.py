"""The client, over real sockets."""

from __future__ import annotations

import socketserver
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.errors import (
    NotFoundError,
    NotPermittedError,
    OutcomeUnclearError,
    PinterestError,
    RateLimitedError,
    RefusedError,
    TokenExpiredError,
    UnavailableError,
)
from target_pinterest_audience.pinterest.models import AdAccount
from target_pinterest_audience.pinterest.request import Bearer, Request
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.pinterest.transport import Transport
from target_pinterest_audience.vocabulary import ListType, Operation
from tests.support.account import ACCOUNT, TOKEN
from tests.support.client import LOGGER, OAUTH, credentials, transport


@pytest.fixture
def client(emulator: Emulator, tmp_path: Path) -> PinterestClient:
    return PinterestClient(transport(emulator), credentials(emulator, tmp_path), ACCOUNT)


def test_each_endpoint_answers_with_its_type(emulator: Emulator, client: PinterestClient) -> None:
    assert client.ad_account().id == ACCOUNT
    made = client.create_customer_list("VIP", ListType.EMAIL, f"{'a' * 64},{'b' * 64}")
    assert made.name == "VIP"
    assert client.update_customer_list(made.id, Operation.REMOVE, "a" * 64).body.id == made.id
    assert emulator.backend.members(made.id) == {"b" * 64}
    assert client.customer_list(made.id).id == made.id
    assert [each.name for each in client.customer_lists()] == ["VIP"]
    audience = client.create_audience("VIP people", made.id, "They buy")
    assert audience.customer_list_id == made.id
    assert client.audience(audience.id).name == "VIP people"
    assert client.update_audience(audience.id, name="Buyers", description="new").name == "Buyers"
    assert [each.name for each in client.audiences()] == ["Buyers"]


def test_all_pages_are_read() -> None:
    with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT, page_size_limit=2) as emulator:
        for n in range(7):
            emulator.backend.create_list(name=f"list {n}", records="a" * 64)
        tokens = credentials(emulator, Path("unused"))
        client = PinterestClient(transport(emulator), tokens, ACCOUNT)
        assert [each.name for each in client.customer_lists()] == [f"list {n}" for n in range(7)]
        assert len(emulator.backend.calls) == 4


def test_a_listing_that_goes_in_circles_ends(emulator: Emulator, client: PinterestClient) -> None:
    body = {"items": [], "bookmark": "again"}
    emulator.backend.inject(Fault(method="GET", status=200, body=body, times=None))
    with pytest.raises(UnavailableError, match="without an end"):
        list(client.customer_lists())


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=401, body={"code": 2, "message": "Authentication failed."}, times=None), TokenExpiredError),
        (Fault(status=401, body={"code": 3, "message": "no"}, times=None), NotPermittedError),
        (Fault(status=403, body={"code": 29, "message": "no"}, times=None), NotPermittedError),
        (Fault(status=404, times=None), NotFoundError),
        (Fault(status=400, times=None), RefusedError),
        (Fault(status=413, times=None), RefusedError),
        (Fault(status=429, headers={"Retry-After": "3"}, times=None), RateLimitedError),
        (Fault(status=500, times=None), UnavailableError),
        (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}, times=None), UnavailableError),
        (Fault(reset=True, times=None), UnavailableError),
        (Fault(half_body=True, times=None), UnavailableError),
        (Fault(status=200, body=[], times=None), UnavailableError),
    ],
)
def test_each_failed_answer_becomes_an_error_that_says_what_to_do(
    emulator: Emulator, client: PinterestClient, fault: Fault, error: type[Exception]
) -> None:
    emulator.backend.inject(fault)
    with pytest.raises(error) as raised:
        client.ad_account()
    assert type(raised.value) is error
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="POST", when="after", reset=True),
        Fault(method="POST", when="after", half_body=True),
        Fault(method="POST", status=500),
        Fault(method="POST", when="after", status=200, body="garbage"),
        Fault(method="POST", when="after", status=200, body={"no": "id"}),
        Fault(method="POST", delay_ms=2500),
    ],
)
def test_a_creation_is_not_repeated_blindly(emulator: Emulator, tmp_path: Path, fault: Fault) -> None:
    client = PinterestClient(transport(emulator, read_seconds=1), credentials(emulator, tmp_path), ACCOUNT)
    emulator.backend.inject(fault)
    with pytest.raises(OutcomeUnclearError):
        client.create_customer_list("VIP", ListType.EMAIL, "a" * 64)
    assert len([call for call in emulator.backend.calls if call.method == "POST"]) <= 1


def test_a_creation_that_never_reached_pinterest_is_repeated(tmp_path: Path) -> None:
    with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT) as emulator:
        client = PinterestClient(transport(emulator), credentials(emulator, tmp_path), ACCOUNT)
    with pytest.raises(UnavailableError) as refused:
        client.create_customer_list("VIP", ListType.EMAIL, "a" * 64)
    assert type(refused.value) is UnavailableError


def test_the_reason_for_refusing_a_batch_is_not_repeated(emulator: Emulator, client: PinterestClient) -> None:
    made = client.create_customer_list("VIP", ListType.EMAIL, "a" * 64)
    emulator.backend.inject(Fault(method="PATCH", status=400, body={"code": 1, "message": "bad: bob@example.com"}))
    with pytest.raises(RefusedError) as refused:
        client.update_customer_list(made.id, Operation.ADD, "b" * 64)
    assert "bob" not in str(refused.value)
    assert refused.value.code == 1


UNANSWERED = [
    {"reset": True},
    {"reset": True, "when": "after"},
    {"half_body": True},
    {"status": 500},
    {"status": 502, "body": "<html>"},
    {"status": 503},
    {"status": 504, "when": "after"},
    {"status": 200, "body": "OK"},
    {"delay_ms": 1500},
]
ANSWERED = [
    {"status": 429, "headers": {"Retry-After": "0"}},
    {"status": 401, "body": {"code": 2, "message": "Authentication failed."}},
]


@pytest.mark.parametrize(("fault", "unanswered"), [(f, True) for f in UNANSWERED] + [(f, False) for f in ANSWERED])
def test_an_answer_shows_whether_an_earlier_attempt_may_still_be_carried_out(
    emulator: Emulator, tmp_path: Path, fault: dict[str, Any], *, unanswered: bool
) -> None:
    client = PinterestClient(transport(emulator, read_seconds=1), credentials(emulator, tmp_path, **OAUTH), ACCOUNT)
    made = client.create_customer_list("VIP", ListType.EMAIL, "a" * 64)
    assert not client.update_customer_list(made.id, Operation.ADD, "b" * 64).unanswered
    emulator.backend.inject(Fault(method="PATCH", **fault))
    assert client.update_customer_list(made.id, Operation.ADD, "b" * 64).unanswered is unanswered


@pytest.mark.parametrize("fault", UNANSWERED)
def test_an_error_shows_whether_an_attempt_may_still_be_carried_out(
    emulator: Emulator, tmp_path: Path, fault: dict[str, Any]
) -> None:
    client = PinterestClient(transport(emulator, read_seconds=1), credentials(emulator, tmp_path, **OAUTH), ACCOUNT)
    made = client.create_customer_list("VIP", ListType.EMAIL, "a" * 64)
    exceptions = {"id": made.id, "name": "VIP", "exceptions": {"code": 1}}
    for answer in ({"status": 400}, {"status": 404}, {"status": 200, "body": exceptions}):
        for attempt in (fault, answer):
            emulator.backend.inject(Fault(method="PATCH", **attempt))
        with pytest.raises(PinterestError) as raised:
            client.update_customer_list(made.id, Operation.ADD, "b" * 64)
        assert raised.value.unanswered
        emulator.backend.clear_faults()
        emulator.backend.inject(Fault(method="PATCH", **answer))
        with pytest.raises(PinterestError) as raised:
            client.update_customer_list(made.id, Operation.ADD, "b" * 64)
        assert not raised.value.unanswered


def test_an_unanswered_attempt_counts_though_a_token_expired_after_it(emulator: Emulator, tmp_path: Path) -> None:
    client = PinterestClient(transport(emulator), credentials(emulator, tmp_path, **OAUTH), ACCOUNT)
    made = client.create_customer_list("VIP", ListType.EMAIL, "a" * 64)
    for fault in ({"status": 504}, {"status": 401, "body": {"code": 2, "message": "Authentication failed."}}):
        emulator.backend.inject(Fault(method="PATCH", **fault))
    assert client.update_customer_list(made.id, Operation.ADD, "b" * 64).unanswered


def test_a_request_that_never_left_cannot_be_carried_out(emulator: Emulator, tmp_path: Path) -> None:
    client = PinterestClient(transport(emulator), credentials(emulator, tmp_path), ACCOUNT)
    emulator.stop()
    with pytest.raises(UnavailableError) as raised:
        client.update_customer_list("1", Operation.ADD, "b" * 64)
    assert not raised.value.unanswered


@pytest.mark.parametrize("status", [401, 403])
def test_pinterests_message_is_not_quoted_where_it_repeats_a_secret_or_a_person(
    emulator: Emulator, tmp_path: Path, status: int
) -> None:
    client = PinterestClient(transport(emulator), credentials(emulator, tmp_path), ACCOUNT)
    made = client.create_customer_list("VIP", ListType.LR_ID, "XY99ZZ")
    words = f"Bearer {TOKEN} may not send XY99ZZ: restricted feature"
    emulator.backend.inject(Fault(method="PATCH", status=status, body={"code": 3, "message": words}))
    with pytest.raises(NotPermittedError, match="restricted feature") as refused:
        client.update_customer_list(made.id, Operation.ADD, "XY99ZZ,AB11")
    assert TOKEN not in str(refused.value)
    assert "XY99ZZ" not in str(refused.value)


def test_alternating_failures_come_to_an_end(emulator: Emulator, client: PinterestClient) -> None:
    for _ in range(20):
        emulator.backend.inject(Fault(status=500))
        emulator.backend.inject(Fault(status=429))
    with pytest.raises(UnavailableError):
        client.ad_account()
    assert [call.status for call in emulator.backend.calls] == [500, 429, 500, 429, 500]


@pytest.mark.parametrize("body", [b"\xff", b"[" * 100_000, b'{"id": 1e99999999999999}', b""])
def test_a_body_that_cannot_be_read_counts_as_no_answer(
    emulator: Emulator, client: PinterestClient, body: bytes
) -> None:
    text = body.decode("latin-1")
    for status in (200, 400):
        emulator.backend.inject(Fault(status=status, body=text, times=3))
        with pytest.raises(UnavailableError if status == 200 else RefusedError):
            client.ad_account()


def test_an_odd_item_in_a_listing_is_skipped(emulator: Emulator, client: PinterestClient) -> None:
    items = [
        {"id": "1", "name": None, "size": "12", "audience_type": "VISITOR", "rule": []},
        {"id": "2", "rule": {"customer_list_id": 5}},
        {"id": "3", "audience_type": "CUSTOMER_LIST", "rule": None, "status": 7},
    ]
    emulator.backend.inject(Fault(method="GET", status=200, body={"items": items}))
    assert [each.customer_list_id for each in client.audiences()] == [None, "5", None]


def test_a_netrc_entry_does_not_replace_the_token(
    client: PinterestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert client.ad_account().id == ACCOUNT


def test_each_thread_has_a_connection_of_its_own(emulator: Emulator) -> None:
    shared = transport(emulator)
    sessions: list[object] = []
    threads = [threading.Thread(target=lambda: sessions.append(shared.session())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(session) for session in (*sessions, shared.session())}) == 4
    assert shared.session() is shared.session()


class _Hasty(socketserver.StreamRequestHandler):
    """Announces the answer to the first request, and gives it when the client has long asked again."""

    server: _HastyServer

    def handle(self) -> None:
        while self.rfile.readline().strip():
            while self.rfile.readline().strip():
                pass
            self.server.asked += 1
            number = self.server.asked
            if number == 1:
                self.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                time.sleep(0.3)
            body = b'{"id": "%d"}' % number
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


class _HastyServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    asked = 0

    def handle_error(self, *_: object) -> None:
        """A client may leave."""


def test_an_interim_response_is_not_mistaken_for_the_answer() -> None:
    with _HastyServer(("127.0.0.1", 0), _Hasty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        patience = RetryPolicy(retries=1, initial_seconds=0.001, max_seconds=1, connect_seconds=5, read_seconds=5)
        url = f"http://127.0.0.1:{server.server_address[1]}"
        asking = Transport(url, patience, user_agent="test/1", logger=LOGGER)
        answers = [asking.send(Request("PATCH", f"/{n}"), Bearer("x"), AdAccount).body.id for n in range(3)]
        server.shutdown()
    assert answers == ["2", "3", "4"]
