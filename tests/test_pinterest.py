"""The client, over real sockets."""

from __future__ import annotations

import logging
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities import ListType
from target_pinterest_audience.pinterest import Credentials, Operation, Patience, PinterestClient, Transport
from target_pinterest_audience.pinterest.credentials import CredentialsFile
from target_pinterest_audience.pinterest.errors import (
    NotFoundError,
    NotPermittedError,
    OutcomeUnclearError,
    RateLimitedError,
    RefusedError,
    TokenExpiredError,
    UnavailableError,
)
from target_pinterest_audience.pinterest.waiting import seconds_to_wait
from tests.conftest import ACCOUNT, TOKEN

OAUTH = {"client_id": "emulator-app", "client_secret": "emulator-secret", "refresh_token": "emulator-refresh"}
NO_OAUTH = dict.fromkeys(OAUTH)
LOGGER = logging.getLogger("test-pinterest")


def transport(emulator: Emulator, **changes: Any) -> Transport:
    patience = {"retries": 2, "initial_seconds": 0.001, "max_seconds": 2.0, "connect_seconds": 5, "read_seconds": 5}
    return Transport(emulator.url, Patience(**{**patience, **changes}), user_agent="test/1", logger=LOGGER)


def credentials(emulator: Emulator, folder: Path, **changes: Any) -> Credentials:
    settings: dict[str, Any] = {"access_token": TOKEN, **NO_OAUTH, **changes}
    return Credentials(transport(emulator), CredentialsFile(folder / "credentials.json"), **settings)


@pytest.fixture
def client(emulator: Emulator, tmp_path: Path) -> PinterestClient:
    return PinterestClient(transport(emulator), credentials(emulator, tmp_path), ACCOUNT)


def test_each_endpoint_answers_with_its_type(client: PinterestClient) -> None:
    assert client.ad_account().id == ACCOUNT
    made = client.create_customer_list("VIP", ListType.EMAIL, ["a" * 64, "b" * 64])
    assert (made.name, made.num_uploaded_user_records) == ("VIP", 2)
    removed = client.update_customer_list(made.id, Operation.REMOVE, ["a" * 64])
    assert (removed.num_batches, removed.num_removed_user_records) == (2, 1)
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
        tokens = Credentials(transport(emulator), CredentialsFile(Path("unused")), access_token=TOKEN, **NO_OAUTH)
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
    assert [path.name for path in tmp_path.iterdir()] == ["credentials.json"]


def test_a_token_in_the_configuration_that_is_new_wins_over_the_kept_one(tmp_path: Path) -> None:
    file = CredentialsFile(tmp_path / "credentials.json")
    file.keep("descendant", configured="old")
    assert file.newest("old") == "descendant"
    assert file.newest("new") == "new"


def test_a_broken_credentials_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "c").write_text('{"refresh_token": "s3cr3t"')
    with pytest.raises(ConfigurationError, match="cannot be read") as refused:
        CredentialsFile(tmp_path / "c").newest("old")
    assert "s3cr3t" not in str(refused.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        CredentialsFile(tmp_path / "file" / "c").keep("new", "old")


def test_a_refused_access_token_is_renewed_once(emulator: Emulator, tmp_path: Path) -> None:
    tokens = credentials(emulator, tmp_path, access_token="expired", **OAUTH)
    client = PinterestClient(transport(emulator), tokens, ACCOUNT)
    assert client.ad_account().id == ACCOUNT
    assert client.ad_account().id == ACCOUNT
    assert [call.status for call in emulator.backend.calls] == [401, 200, 200, 200]


def test_a_refused_access_token_without_oauth_is_final(emulator: Emulator, tmp_path: Path) -> None:
    client = PinterestClient(transport(emulator), credentials(emulator, tmp_path, access_token="expired"), ACCOUNT)
    with pytest.raises(TokenExpiredError):
        client.ad_account()
    assert len(emulator.backend.calls) == 1


def test_a_refused_refresh_token_needs_a_person(emulator: Emulator, tmp_path: Path) -> None:
    tokens = credentials(emulator, tmp_path, access_token=None, **{**OAUTH, "refresh_token": "revoked"})
    with pytest.raises(NotPermittedError, match="Sign in again"):
        PinterestClient(transport(emulator), tokens, ACCOUNT).ad_account()


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
        ({}, None),
    ],
)
def test_a_wait_is_read_from_whatever_header_says_it(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds_to_wait(headers, now=784111740.0) == seconds
