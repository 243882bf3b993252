"""The client, over real sockets."""

from __future__ import annotations

import logging
import stat
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities import ListType
from target_pinterest_audience.pinterest import Credentials, Operation, Patience, PinterestClient, SignIn, Transport
from target_pinterest_audience.pinterest.errors import (
    NotFoundError,
    NotPermittedError,
    OutcomeUnclearError,
    RateLimitedError,
    RefusedError,
    TokenExpiredError,
    UnavailableError,
)
from target_pinterest_audience.pinterest.pace import Pace
from target_pinterest_audience.pinterest.request import Request
from target_pinterest_audience.pinterest.token_store import CredentialsFile
from target_pinterest_audience.pinterest.waiting import seconds_to_wait
from tests.conftest import ACCOUNT, TOKEN, Clock

OAUTH = {"client_id": "emulator-app", "client_secret": "emulator-secret", "refresh_token": "emulator-refresh"}
LOGGER = logging.getLogger("test-pinterest")


def transport(emulator: Emulator, **changes: Any) -> Transport:
    patience = {"retries": 2, "initial_seconds": 0.001, "max_seconds": 2.0, "connect_seconds": 5, "read_seconds": 5}
    return Transport(emulator.url, Patience(**{**patience, **changes}), user_agent="test/1", logger=LOGGER)


def credentials(emulator: Emulator, folder: Path, **changes: Any) -> Credentials:
    settings: dict[str, Any] = {"access_token": TOKEN, "logger": logging.getLogger("test"), **changes}
    sign_in = SignIn.of(*(settings.pop(name, None) for name in OAUTH))
    return Credentials(transport(emulator), CredentialsFile(folder / "credentials.json"), sign_in=sign_in, **settings)


@pytest.fixture
def client(emulator: Emulator, tmp_path: Path) -> PinterestClient:
    return PinterestClient(transport(emulator), credentials(emulator, tmp_path), ACCOUNT)


def test_each_endpoint_answers_with_its_type(emulator: Emulator, client: PinterestClient) -> None:
    assert client.ad_account().id == ACCOUNT
    made = client.create_customer_list("VIP", ListType.EMAIL, ["a" * 64, "b" * 64])
    assert made.name == "VIP"
    assert client.update_customer_list(made.id, Operation.REMOVE, ["a" * 64]).id == made.id
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
            emulator.backend.create_list(name=f"list {n}", records=["a" * 64])
        tokens = credentials(emulator, Path("unused"))
        client = PinterestClient(transport(emulator), tokens, ACCOUNT)
        assert [each.name for each in client.customer_lists()] == [f"list {n}" for n in range(7)]
        assert len(emulator.backend.calls) == 4


def test_a_listing_that_goes_in_circles_ends(emulator: Emulator, client: PinterestClient) -> None:
    body = {"items": [], "bookmark": "again"}
    emulator.backend.inject(Fault(method="GET", status=200, body=body, times=None))
    with pytest.raises(UnavailableError, match="circles"):
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
def test_each_answer_is_the_error_that_says_what_to_do(
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
        client.create_customer_list("VIP", ListType.EMAIL, ["a" * 64])
    assert len([call for call in emulator.backend.calls if call.method == "POST"]) <= 1


def test_a_creation_that_never_reached_pinterest_is_repeated(tmp_path: Path) -> None:
    with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT) as emulator:
        client = PinterestClient(transport(emulator), credentials(emulator, tmp_path), ACCOUNT)
    with pytest.raises(UnavailableError) as refused:
        client.create_customer_list("VIP", ListType.EMAIL, ["a" * 64])
    assert type(refused.value) is UnavailableError


def test_what_a_refused_batch_was_refused_for_is_not_repeated(emulator: Emulator, client: PinterestClient) -> None:
    made = client.create_customer_list("VIP", ListType.EMAIL, ["a" * 64])
    emulator.backend.inject(Fault(method="PATCH", status=400, body={"code": 1, "message": "bad: bob@example.com"}))
    with pytest.raises(RefusedError) as refused:
        client.update_customer_list(made.id, Operation.ADD, ["b" * 64])
    assert "bob" not in str(refused.value)
    assert refused.value.code == 1


def test_no_access_token_is_fetched_by_oauth_and_the_rotated_token_is_kept(emulator: Emulator, tmp_path: Path) -> None:
    for _ in range(3):
        tokens = credentials(emulator, tmp_path, access_token=None, **OAUTH)
        assert PinterestClient(transport(emulator), tokens, ACCOUNT).ad_account().id == ACCOUNT
    kept = tmp_path / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "emulator-refresh" not in kept.read_text()
    assert {path.name for path in tmp_path.iterdir()} - {".credentials.json.lock"} == {"credentials.json"}


def test_a_token_in_the_configuration_that_is_new_wins_over_the_kept_one(tmp_path: Path) -> None:
    file = CredentialsFile(tmp_path / "credentials.json")
    file.keep("descendant", configured="old")
    assert file.newest("old") == "descendant"
    assert file.newest("new") == "new"


def test_a_broken_credentials_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c").write_text('{"refresh_token": "s3cr3t"')
    with pytest.raises(ConfigurationError, match="cannot be read") as refused:
        CredentialsFile(tmp_path / "c").newest("old")
    assert "s3cr3t" not in str(refused.value)
    monkeypatch.setattr(tempfile, "mkstemp", Mock(side_effect=OSError(28, "No space left on device")))
    with pytest.raises(ConfigurationError, match=r"cannot be written \(No space left"):
        CredentialsFile(tmp_path / "new").ensure_writable()


def test_a_refresh_token_is_not_used_up_when_its_successor_cannot_be_kept(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = credentials(emulator, tmp_path, access_token=None, **OAUTH)
    with monkeypatch.context() as full:
        full.setattr(tempfile, "mkstemp", Mock(side_effect=OSError(28, "No space left on device")))
        with pytest.raises(ConfigurationError, match="cannot be written"):
            tokens.access_token()
    assert emulator.backend.calls == []
    assert tokens.access_token()


def test_two_sign_ins_share_a_credentials_file(tmp_path: Path) -> None:
    file = CredentialsFile(tmp_path / "credentials.json")
    for turn in range(3):
        for configured in ("a", "b"):
            file.keep(f"{configured}{turn}", configured)
    assert (file.newest("a"), file.newest("b"), file.newest("c")) == ("a2", "b2", "c")


def test_a_refused_access_token_is_renewed_once(emulator: Emulator, tmp_path: Path) -> None:
    tokens = credentials(emulator, tmp_path, access_token="expired", **OAUTH)
    client = PinterestClient(transport(emulator), tokens, ACCOUNT)
    assert client.ad_account().id == ACCOUNT
    assert client.ad_account().id == ACCOUNT
    assert [call.status for call in emulator.backend.calls] == [401, 200, 200, 200]


def test_threads_whose_token_is_refused_at_once_share_one_new_one(emulator: Emulator, tmp_path: Path) -> None:
    tokens = credentials(emulator, tmp_path, access_token="expired", **OAUTH)
    client = PinterestClient(transport(emulator), tokens, ACCOUNT)
    emulator.backend.inject(Fault(path="/oauth/token", delay_ms=300))
    threads = [threading.Thread(target=client.ad_account) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = [call.status for call in emulator.backend.calls if call.path != "/v5/oauth/token"]
    assert statuses.count(200) == 5
    assert len(emulator.backend.calls) - len(statuses) == 1


def token_answer(**changes: Any) -> dict[str, Any]:
    lives = {"expires_in": 2_592_000, "refresh_token_expires_in": 5_184_000, "scope": "ads:read ads:write"}
    return {"access_token": TOKEN, "refresh_token": "emulator-refresh", **lives, **changes}


def test_a_token_is_renewed_before_it_ends(emulator: Emulator, tmp_path: Path) -> None:
    clock = Clock()
    tokens = credentials(emulator, tmp_path, access_token=None, clock=clock, **OAUTH)
    tokens.access_token()
    clock.now = 30 * 86_400 - 301
    tokens.access_token()
    assert len(emulator.backend.calls) == 1
    clock.now += 2
    tokens.access_token()
    assert len(emulator.backend.calls) == 2


def test_a_sign_in_that_ends_soon_is_told(emulator: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    body = token_answer(refresh_token_expires_in=5 * 86_400)
    emulator.backend.inject(Fault(path="/oauth/token", status=200, body=body))
    credentials(emulator, tmp_path, access_token=None, **OAUTH).access_token()
    assert "ends in 5 days" in caplog.text


@pytest.mark.parametrize("scope", ["ads:read,user_accounts:read", "pins:read"])
def test_a_scope_that_is_missing_is_named(emulator: Emulator, tmp_path: Path, scope: str) -> None:
    emulator.backend.inject(Fault(path="/oauth/token", status=200, body=token_answer(scope=scope)))
    with pytest.raises(NotPermittedError, match=r"lacks the scope .*ads:write"):
        credentials(emulator, tmp_path, access_token=None, **OAUTH).access_token()


@pytest.mark.parametrize("odd", [{"scope": 7}, {"scope": ""}, {"expires_in": "soon", "refresh_token_expires_in": None}])
def test_what_a_token_answer_says_besides_cannot_fail_a_run(
    emulator: Emulator, tmp_path: Path, odd: dict[str, Any]
) -> None:
    emulator.backend.inject(Fault(path="/oauth/token", status=200, body=token_answer(**odd)))
    assert credentials(emulator, tmp_path, access_token=None, **OAUTH).access_token() == TOKEN


def test_processes_that_renew_at_once_take_turns(emulator: Emulator, tmp_path: Path) -> None:
    # Each has its own Credentials, as a process would; Pinterest revokes a refresh token with its first use.
    several = [credentials(emulator, tmp_path, access_token=None, **OAUTH) for _ in range(4)]
    emulator.backend.inject(Fault(path="/oauth/token", delay_ms=100, times=None))
    threads = [threading.Thread(target=each.access_token) for each in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [call.status for call in emulator.backend.calls] == [200] * 4


def test_requests_keep_to_what_is_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    slept: list[float] = []
    pace = Pace(300, logging.getLogger("test"), clock, slept.append)
    write, read = Request("PATCH", "/lists/1"), Request("GET", "/lists")
    limit = '400, 400;w=60;name="x"'
    pace.note(write, {"x-ratelimit-limit": limit, "x-ratelimit-remaining": "2", "x-ratelimit-reset": "30"})
    for _ in range(2):
        pace.keep(write)
    assert slept == []
    clock.now = 10
    pace.keep(write)
    pace.keep(read)
    assert slept == [20]
    assert "waiting 20.0 s before PATCH /lists/1" in caplog.text
    clock.now = 31
    pace.keep(write)
    assert slept == [20]


@pytest.mark.parametrize(
    ("remaining", "reset"), [("0", "301"), ("", "5"), ("0", ""), ("many", "5"), ("0", "soon"), ("-1", "5"), ("0", "0")]
)
def test_a_wait_that_is_too_long_or_not_told_is_not_waited_for(remaining: str, reset: str) -> None:
    slept: list[float] = []
    pace = Pace(300, logging.getLogger("test"), Clock(), slept.append)
    request = Request("PATCH", "/lists/1")
    pace.note(request, {"x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset})
    pace.keep(request)
    assert slept == []


def test_a_refused_access_token_without_oauth_is_final(emulator: Emulator, tmp_path: Path) -> None:
    client = PinterestClient(transport(emulator), credentials(emulator, tmp_path, access_token="expired"), ACCOUNT)
    with pytest.raises(TokenExpiredError):
        client.ad_account()
    assert len(emulator.backend.calls) == 1


def test_a_refused_refresh_token_needs_a_person(emulator: Emulator, tmp_path: Path) -> None:
    tokens = credentials(emulator, tmp_path, access_token=None, **{**OAUTH, "refresh_token": "revoked"})
    with pytest.raises(NotPermittedError, match="sign in again"):
        PinterestClient(transport(emulator), tokens, ACCOUNT).ad_account()


@pytest.mark.parametrize("status", [401, 403])
def test_pinterest_is_not_quoted_where_it_repeats_a_secret_or_somebody(
    emulator: Emulator, tmp_path: Path, status: int
) -> None:
    client = PinterestClient(transport(emulator), credentials(emulator, tmp_path), ACCOUNT)
    made = client.create_customer_list("VIP", ListType.LR_ID, ["XY99ZZ"])
    words = f"Bearer {TOKEN} may not send XY99ZZ: restricted feature"
    emulator.backend.inject(Fault(method="PATCH", status=status, body={"code": 3, "message": words}))
    with pytest.raises(NotPermittedError, match="restricted feature") as refused:
        client.update_customer_list(made.id, Operation.ADD, ["XY99ZZ", "AB11"])
    assert TOKEN not in str(refused.value)
    assert "XY99ZZ" not in str(refused.value)


def test_a_refusal_to_refresh_quotes_no_secret(emulator: Emulator, tmp_path: Path) -> None:
    words = "The refresh token s3cr3t-refresh of emulator-app:emulator-secret is invalid"
    emulator.backend.inject(Fault(path="/oauth/token", status=401, body={"code": 283, "message": words}))
    tokens = credentials(emulator, tmp_path, access_token=None, **{**OAUTH, "refresh_token": "s3cr3t-refresh"})
    with pytest.raises(NotPermittedError) as refused:
        tokens.access_token()
    assert "s3cr3t" not in str(refused.value)
    assert "emulator-secret" not in str(refused.value)


def test_both_kinds_of_failure_by_turns_come_to_an_end(emulator: Emulator, client: PinterestClient) -> None:
    for _ in range(20):
        emulator.backend.inject(Fault(status=500))
        emulator.backend.inject(Fault(status=429))
    with pytest.raises(UnavailableError):
        client.ad_account()
    assert [call.status for call in emulator.backend.calls] == [500, 429, 500, 429, 500]


def test_patience_waits_longer_each_time_and_ends() -> None:
    patience = Patience(retries=4, initial_seconds=1, max_seconds=5, connect_seconds=1, read_seconds=1)

    def waits(*errors: Exception) -> list[float]:
        taken = patience.waits(uniform=lambda _low, high: high)
        next(taken)
        result: list[float] = []
        with suppress(StopIteration):
            for error in errors:
                result.append(taken.send(error))  # noqa: PERF401 - the end of the generator must not lose the others
        return result

    unavailable, limited = UnavailableError("no"), RateLimitedError("wait", wait_seconds=None)
    assert waits(*[unavailable] * 9) == [1, 2, 4, 5]
    assert waits(*[limited] * 5) == [1, 2, 4, 5, 5]
    assert sum(waits(*[limited] * 9999)) <= 3600
    assert waits(RateLimitedError("wait", wait_seconds=0)) == [1]
    assert waits(RateLimitedError("wait", wait_seconds=6)) == []
    assert waits(OutcomeUnclearError("who knows")) == []


@pytest.mark.parametrize("body", [b"\xff", b"[" * 100_000, b'{"id": 1e99999999999999}', b""])
def test_a_body_that_cannot_be_read_is_as_no_answer(emulator: Emulator, client: PinterestClient, body: bytes) -> None:
    text = body.decode("latin-1")
    for status in (200, 400):
        emulator.backend.inject(Fault(status=status, body=text, times=3))
        with pytest.raises(UnavailableError if status == 200 else RefusedError):
            client.ad_account()


def test_an_odd_thing_in_a_listing_is_passed_over(emulator: Emulator, client: PinterestClient) -> None:
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
    threads = [threading.Thread(target=lambda: sessions.append(shared._session())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(session) for session in (*sessions, shared._session())}) == 4
    assert shared._session() is shared._session()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}, 37),
        ({"Retry-After": "Sun, 06 Nov 1994 08:48:00 GMT"}, 0),
        ({"Retry-After": "soon", "x-ratelimit-reset": "12"}, 12),
        ({"x-ratelimit-reset": "1784111777"}, 1784111777 - 784111740),
        ({"x-ratelimit-reset": "nan"}, None),
        ({"Retry-After": "99999999999999999999999 GMT"}, None),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:37 +9999999999999"}, None),
        ({}, None),
    ],
)
def test_a_wait_is_read_from_whatever_header_says_it(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds_to_wait(headers, now=784111740.0) == seconds
