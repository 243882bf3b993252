"""Access tokens, and the refresh tokens that outlive a run."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.errors import (
    NotPermittedError,
    TokenExpiredError,
)
from target_pinterest_audience.pinterest.token_store import CredentialsFile
from target_pinterest_audience.pinterest.tokens import SignIn
from tests.support.account import ACCOUNT, TOKEN
from tests.support.client import OAUTH, credentials, transport
from tests.support.waiting import Clock


def test_without_an_access_token_oauth_gets_one_and_the_rotated_token_is_stored(
    emulator: Emulator, tmp_path: Path
) -> None:
    for _ in range(3):
        tokens = credentials(emulator, tmp_path, access_token=None, **OAUTH)
        assert PinterestClient(transport(emulator), tokens, ACCOUNT).ad_account().id == ACCOUNT
    kept = tmp_path / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "emulator-refresh" not in kept.read_text()
    assert {path.name for path in tmp_path.iterdir()} - {".credentials.json.lock"} == {"credentials.json"}


def test_a_new_token_in_the_configuration_wins_over_the_stored_one(emulator: Emulator, tmp_path: Path) -> None:
    credentials(emulator, tmp_path, access_token=None, **OAUTH).access_token()
    tokens = credentials(emulator, tmp_path, access_token=None, **{**OAUTH, "refresh_token": "new"})
    with pytest.raises(NotPermittedError, match="the refresh token from the settings"):
        tokens.access_token()
    sent = [str((call.request or {})["refresh_token"]) for call in emulator.backend.calls]
    assert sent == ["emulator-refresh", "new"]


def test_without_a_token_in_the_configuration_the_stored_one_of_the_app_is_used(
    emulator: Emulator, tmp_path: Path
) -> None:
    app = {**OAUTH, "refresh_token": None}
    with pytest.raises(ConfigurationError, match=r"Nobody has signed in.*pinterest-audience login"):
        credentials(emulator, tmp_path, access_token=None, **app).access_token()
    sign_in = SignIn.of(*app.values())
    assert sign_in is not None
    CredentialsFile(tmp_path / "credentials.json").keep("emulator-refresh", sign_in.origin)
    for _ in range(3):
        assert credentials(emulator, tmp_path, access_token=None, **app).access_token()
    with pytest.raises(ConfigurationError, match="Nobody has signed in"):
        credentials(emulator, tmp_path, access_token=None, **{**app, "client_id": "another"}).access_token()


def test_a_refresh_token_that_was_removed_from_the_settings_can_be_put_back(emulator: Emulator, tmp_path: Path) -> None:
    credentials(emulator, tmp_path, access_token=None, **OAUTH).access_token()
    with pytest.raises(ConfigurationError, match=r"If you removed `refresh_token` from the settings, put it back"):
        credentials(emulator, tmp_path, access_token=None, **{**OAUTH, "refresh_token": None}).access_token()
    assert credentials(emulator, tmp_path, access_token=None, **OAUTH).access_token()


def test_a_refused_access_token_is_final_if_nobody_has_signed_in(emulator: Emulator, tmp_path: Path) -> None:
    tokens = credentials(emulator, tmp_path, access_token="expired", **{**OAUTH, "refresh_token": None})
    with pytest.raises(TokenExpiredError):
        PinterestClient(transport(emulator), tokens, ACCOUNT).ad_account()
    assert len(emulator.backend.calls) == 1


def test_a_broken_credentials_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c").write_text('{"refresh_token": "s3cr3t"')
    with pytest.raises(ConfigurationError, match="is damaged") as refused:
        CredentialsFile(tmp_path / "c").newest("old")
    assert "s3cr3t" not in str(refused.value)
    monkeypatch.setattr(os, "pwrite", Mock(side_effect=OSError(28, "No space left on device")))
    with pytest.raises(ConfigurationError, match=r"cannot be written \(No space left"):
        CredentialsFile(tmp_path / "new").keep("new", "a")
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_refresh_token_is_not_used_up_if_its_successor_cannot_be_stored(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = credentials(emulator, tmp_path, access_token=None, **OAUTH)
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", Mock(side_effect=OSError(28, "No space left on device")))
        with pytest.raises(ConfigurationError, match="cannot be written"):
            tokens.access_token()
    assert emulator.backend.calls == []
    assert tokens.access_token()


def test_two_sign_ins_share_a_credentials_file(tmp_path: Path) -> None:
    file = CredentialsFile(tmp_path / "credentials.json")
    for turn in range(3):
        for origin in ("a", "b"):
            file.keep(f"{origin}{turn}", origin)
    assert (file.newest("a"), file.newest("b"), file.newest("c")) == ("a2", "b2", None)


def test_a_refused_access_token_is_renewed_once(emulator: Emulator, tmp_path: Path) -> None:
    tokens = credentials(emulator, tmp_path, access_token="expired", **OAUTH)
    client = PinterestClient(transport(emulator), tokens, ACCOUNT)
    assert client.ad_account().id == ACCOUNT
    assert client.ad_account().id == ACCOUNT
    assert [call.status for call in emulator.backend.calls] == [401, 200, 200, 200]


def test_threads_whose_token_is_refused_together_share_one_new_token(emulator: Emulator, tmp_path: Path) -> None:
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


def test_a_token_is_renewed_before_it_expires(emulator: Emulator, tmp_path: Path) -> None:
    clock = Clock()
    tokens = credentials(emulator, tmp_path, access_token=None, clock=clock, **OAUTH)
    tokens.access_token()
    clock.now = 30 * 86_400 - 301
    tokens.access_token()
    assert len(emulator.backend.calls) == 1
    clock.now += 2
    tokens.access_token()
    assert len(emulator.backend.calls) == 2


def test_a_sign_in_that_expires_soon_is_a_warning(
    emulator: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = token_answer(refresh_token_expires_in=5 * 86_400)
    emulator.backend.inject(Fault(path="/oauth/token", status=200, body=body))
    credentials(emulator, tmp_path, access_token=None, **OAUTH).access_token()
    assert "expires in 5 days" in caplog.text


@pytest.mark.parametrize("scope", ["ads:read,user_accounts:read", "pins:read"])
def test_a_scope_that_is_missing_is_named(emulator: Emulator, tmp_path: Path, scope: str) -> None:
    emulator.backend.inject(Fault(path="/oauth/token", status=200, body=token_answer(scope=scope)))
    with pytest.raises(NotPermittedError, match=r"lacks the scope .*ads:write"):
        credentials(emulator, tmp_path, access_token=None, **OAUTH).access_token()


@pytest.mark.parametrize("odd", [{"scope": 7}, {"scope": ""}, {"expires_in": "soon", "refresh_token_expires_in": None}])
def test_other_fields_of_a_token_answer_cannot_fail_a_run(
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


def test_a_refused_access_token_without_oauth_is_final(emulator: Emulator, tmp_path: Path) -> None:
    client = PinterestClient(transport(emulator), credentials(emulator, tmp_path, access_token="expired"), ACCOUNT)
    with pytest.raises(TokenExpiredError):
        client.ad_account()
    assert len(emulator.backend.calls) == 1


def test_a_refused_refresh_token_needs_a_person(emulator: Emulator, tmp_path: Path) -> None:
    tokens = credentials(emulator, tmp_path, access_token=None, **{**OAUTH, "refresh_token": "revoked"})
    with pytest.raises(NotPermittedError, match="sign in again"):
        PinterestClient(transport(emulator), tokens, ACCOUNT).ad_account()


def test_a_refusal_to_refresh_quotes_no_secret(emulator: Emulator, tmp_path: Path) -> None:
    words = "The refresh token s3cr3t-refresh of emulator-app:emulator-secret is invalid"
    emulator.backend.inject(Fault(path="/oauth/token", status=401, body={"code": 283, "message": words}))
    tokens = credentials(emulator, tmp_path, access_token=None, **{**OAUTH, "refresh_token": "s3cr3t-refresh"})
    with pytest.raises(NotPermittedError) as refused:
        tokens.access_token()
    assert "s3cr3t" not in str(refused.value)
    assert "emulator-secret" not in str(refused.value)
