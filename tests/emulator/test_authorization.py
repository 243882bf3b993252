"""How an application gets its first tokens: the consent page, and codes for what was allowed there."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from target_pinterest_audience.emulator import ApiError, Backend, Emulator, Settings
from target_pinterest_audience.emulator.state.authorization import AuthorizationRequest
from target_pinterest_audience.emulator.state.credentials import Client
from tests.support.backend import APP, admitted, token
from tests.support.contract import assert_contract
from tests.support.waiting import Clock

CALLBACK = "http://localhost:8085/"
ASKED = {
    "client_id": "emulator-app",
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "ads:read,ads:write",
    "state": 'a "state" & more',
}


def asked(settings: Settings | None = None, **changes: str | None) -> AuthorizationRequest:
    query = {name: value for name, value in {**ASKED, **changes}.items() if value is not None}
    return AuthorizationRequest.of(query, settings or Settings())


def redeem(backend: Backend, code: str, client: Client | None = APP, redirect_uri: str = CALLBACK) -> Any:
    return token(backend, client, grant_type="authorization_code", code=code, redirect_uri=redirect_uri)


def refusal(backend: Backend, code: str, **options: Any) -> tuple[int, int]:
    with pytest.raises(ApiError) as refused:
        redeem(backend, code, **options)
    return refused.value.status, refused.value.code


# Codes.


def test_a_code_gives_tokens_with_the_requested_scopes(backend: Backend) -> None:
    first = redeem(backend, backend.authorize(asked(scope="ads:read,pins:read")))
    assert (first["response_type"], first["scope"]) == ("authorization_code", "ads:read pins:read")
    assert admitted(backend, first["access_token"]) == (200, 0)
    second = token(backend, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (second["response_type"], second["scope"]) == ("refresh_token", "ads:read pins:read")


def test_a_code_works_once(backend: Backend) -> None:
    code = backend.authorize(asked())
    redeem(backend, code)
    assert refusal(backend, code) == (401, 283)
    assert refusal(backend, "never given") == (401, 283)


def test_a_code_expires(clock: Clock) -> None:
    backend = Backend(Settings(code_lifetime_seconds=60), clock=clock)
    in_time, late = backend.authorize(asked()), backend.authorize(asked())
    clock.now += 59
    redeem(backend, in_time)
    clock.now += 1
    assert refusal(backend, late) == (401, 283)


def test_a_code_is_bound_to_its_redirect_address_and_used_up_by_a_wrong_one(backend: Backend) -> None:
    code = backend.authorize(asked())
    assert refusal(backend, code, redirect_uri="http://localhost:8085/other") == (401, 283)
    assert refusal(backend, code) == (401, 283)


@pytest.mark.parametrize("client", [None, Client("emulator-app", "wrong"), Client("other", "emulator-secret")])
def test_a_code_is_bound_to_its_application(backend: Backend, client: Client | None) -> None:
    code = backend.authorize(asked())
    assert refusal(backend, code, client=client) == (401, 2)
    assert redeem(backend, code)


@pytest.mark.parametrize("missing", ["code", "redirect_uri"])
def test_an_incomplete_exchange_is_refused(backend: Backend, missing: str) -> None:
    form = {"grant_type": "authorization_code", "code": backend.authorize(asked()), "redirect_uri": CALLBACK}
    with pytest.raises(ApiError, match=f"{missing} is required") as refused:
        token(backend, APP, **{**form, missing: ""})
    assert refused.value.status == 400


def test_a_reset_forgets_codes(backend: Backend) -> None:
    code = backend.authorize(asked())
    backend.reset()
    assert refusal(backend, code) == (401, 283)


# What is asked for.


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"client_id": "other"}, "client_id"),
        ({"client_id": None}, "client_id"),
        ({"redirect_uri": None}, "redirect_uri"),
        ({"redirect_uri": "https://example.com/"}, "redirect_uri"),
        ({"redirect_uri": "http://[::1"}, "redirect_uri"),
        ({"response_type": "token"}, "response_type"),
        ({"scope": " , "}, "scope"),
        ({"scope": None}, "scope"),
    ],
)
def test_a_bad_request_for_consent_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ApiError, match=named) as refused:
        asked(**changes)
    assert refused.value.status == 400


def test_a_redirect_link_is_matched_exactly() -> None:
    settings = Settings(redirect_uris=("https://example.com/back",))
    assert asked(settings, redirect_uri="https://example.com/back").redirect_uri == "https://example.com/back"
    for other in ("https://example.com/back/", "https://example.com/", CALLBACK):
        with pytest.raises(ApiError, match="redirect_uri"):
            asked(settings, redirect_uri=other)


def test_an_answer_keeps_the_query_of_the_redirect_address_and_the_state() -> None:
    answered = asked(redirect_uri="http://127.0.0.1:1/back?from=a%20b&empty=").answered("code", "c&d")
    assert answered.startswith("http://127.0.0.1:1/back?")
    query = parse_qs(urlsplit(answered).query, keep_blank_values=True)
    assert query == {"from": ["a b"], "empty": [""], "code": ["c&d"], "state": [ASKED["state"]]}
    assert asked(state=None).answered("error", "access_denied") == f"{CALLBACK}?error=access_denied"


# The page.


def page_url(emulator: Emulator, **changes: str) -> str:
    return emulator.url.removesuffix("/v5") + "/oauth/?" + urlencode({**ASKED, **changes})


def decide(emulator: Emulator, decision: str) -> dict[str, list[str]]:
    answer = requests.post(page_url(emulator), data={"decision": decision}, allow_redirects=False, timeout=10)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{CALLBACK}?")
    return parse_qs(urlsplit(answer.headers["Location"]).query)


def test_the_page_asks_and_grants_nothing_by_itself(emulator: Emulator) -> None:
    page = requests.get(page_url(emulator, scope="ads:read,<b>"), timeout=10)
    assert page.status_code == 200
    assert 'value="allow">Allow</button>' in page.text
    assert 'value="deny">Deny</button>' in page.text
    assert "ads:read &lt;b&gt;" in page.text
    undecided = requests.post(page_url(emulator), data={"decision": "perhaps"}, allow_redirects=False, timeout=10)
    assert undecided.status_code == 200
    assert emulator.backend.calls == []


def test_an_allowed_code_is_exchanged_over_http(emulator: Emulator) -> None:
    answer = decide(emulator, "allow")
    assert answer["state"] == [ASKED["state"]]
    form = {"grant_type": "authorization_code", "code": answer["code"][0], "redirect_uri": CALLBACK}
    for status in (200, 401):
        got = requests.post(
            f"{emulator.url}/oauth/token", data=form, auth=("emulator-app", "emulator-secret"), timeout=10
        )
        assert got.status_code == status
    assert_contract(emulator.backend.calls)


def test_a_denial_gives_no_code(emulator: Emulator) -> None:
    assert decide(emulator, "deny") == {"error": ["access_denied"], "state": [ASKED["state"]]}


def test_an_unknown_redirect_address_is_not_followed(emulator: Emulator) -> None:
    for changes in ({"redirect_uri": "https://example.com/"}, {"client_id": "other"}):
        refused = requests.post(
            page_url(emulator, **changes), data={"decision": "allow"}, allow_redirects=False, timeout=10
        )
        assert refused.status_code == 400
        assert "Location" not in refused.headers
        assert "<button" not in refused.text
