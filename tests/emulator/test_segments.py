"""Customer segments of the emulator: who may ask, what may be made, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from target_pinterest_audience.emulator import ApiError, Backend, Emulator, Fault
from tests.support.account import ACCOUNT
from tests.support.operations import Api, perform
from tests.support.waiting import Clock


@pytest.fixture
def audience_ids(backend: Backend) -> list[str]:
    of = backend.create_list("customers")
    return [backend.create_audience(name, of.id).id for name in ("buyers", "subscribers")]


def create(backend: Backend, **body: Any) -> Any:
    return perform(backend, "customer_segment/create", {"name": "existing customers", **body})


def change(backend: Backend, **body: Any) -> Any:
    return perform(backend, "customer_segment/update", body)


def listed(backend: Backend, **query: str) -> list[Any]:
    items: list[Any] = perform(backend, "customer_segment/list", query=query)["items"]
    return items


def test_a_segment_is_created_changed_and_deleted(backend: Backend, audience_ids: list[str], clock: Clock) -> None:
    made = create(backend, audience_ids=audience_ids[:1])
    assert (made["name"], made["audience_ids"], made["status"]) == ("existing customers", audience_ids[:1], "ACTIVE")
    clock.now += 5
    assert change(backend, id=made["id"], operation_type="UPDATE", audience_ids=audience_ids) is None
    (shown,) = listed(backend)
    assert shown == {**made, "audience_ids": audience_ids, "updated_time": made["updated_time"] + 5}
    assert change(backend, id=made["id"], operation_type="REMOVE") is None
    assert [each["status"] for each in listed(backend)] == ["DELETED"]
    with pytest.raises(ApiError) as gone:
        change(backend, id=made["id"], operation_type="REMOVE")
    assert gone.value.status == 404


def test_names_are_not_unique_and_can_be_searched(backend: Backend, audience_ids: list[str]) -> None:
    first, second = create(backend, audience_ids=audience_ids), create(backend, audience_ids=audience_ids)
    create(backend, name="Leads", audience_ids=audience_ids)
    assert first["id"] != second["id"]
    assert [each["id"] for each in listed(backend, search_query="Customers")] == [first["id"], second["id"]]
    assert len(listed(backend, include_sizing="true")) == 3


@pytest.mark.parametrize(
    "body",
    [
        {}, {"audience_ids": []}, {"audience_ids": "1"}, {"audience_ids": [1]}, {"audience_ids": ["999"]},
        {"name": " ", "audience_ids": ["KNOWN"]},
    ],
)  # fmt: skip
def test_a_segment_that_breaks_a_rule_is_refused(
    backend: Backend, audience_ids: list[str], body: dict[str, Any]
) -> None:
    if body.get("audience_ids") == ["KNOWN"]:
        body = {**body, "audience_ids": audience_ids}
    with pytest.raises(ApiError) as refused:
        create(backend, **body)
    assert refused.value.status == 400
    assert backend.segments() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"operation_type": "REMOVE"}, 400),
        ({"id": "999", "operation_type": "REMOVE"}, 404),
        ({"id": "SEGMENT"}, 400),
        ({"id": "SEGMENT", "operation_type": "ADD"}, 400),
        ({"id": "SEGMENT", "operation_type": "UPDATE"}, 400),
        ({"id": "SEGMENT", "operation_type": "UPDATE", "audience_ids": ["999"]}, 400),
    ],
)
def test_a_change_that_breaks_a_rule_changes_nothing(
    backend: Backend, audience_ids: list[str], body: dict[str, Any], status: int
) -> None:
    made = backend.create_segment("existing customers", audience_ids)
    with pytest.raises(ApiError) as refused:
        change(backend, **{**body, **({"id": made.id} if body.get("id") == "SEGMENT" else {})})
    assert refused.value.status == status
    assert backend.segments() == [made]


def test_a_change_is_answered_with_null(emulator: Emulator, api: Api) -> None:
    of = emulator.backend.create_list("customers")
    ids = [emulator.backend.create_audience("buyers", of.id).id]
    made = emulator.backend.create_segment("existing customers", ids)
    answer = api("PATCH", "/customer_segments", {"id": made.id, "operation_type": "UPDATE", "audience_ids": ids})
    assert (answer.status_code, answer.text) == (200, "null")


def test_changes_of_different_segments_do_not_hold_each_other_up(emulator: Emulator, api: Api) -> None:
    ids = [emulator.backend.create_audience("buyers", emulator.backend.create_list("customers").id).id]
    first, second = (emulator.backend.create_segment("existing customers", ids).id for _ in range(2))
    path = f"/v5/ad_accounts/{emulator.backend.settings.ad_account_id}/customer_segments"
    with emulator.backend.in_flight(f"{path}/{first}"):
        assert api("PATCH", "/customer_segments", {"id": first, "operation_type": "REMOVE"}).status_code == 429
        assert api("PATCH", "/customer_segments", {"id": second, "operation_type": "REMOVE"}).status_code == 200


@pytest.mark.parametrize("status", [200, 201])
def test_creations_are_answered_with_the_status_that_is_set(status: int) -> None:
    with Emulator(ad_account_id=ACCOUNT, creation_status=status) as emulator:
        of = emulator.backend.create_list("customers")
        rule = {"customer_list_id": of.id}
        ids = [emulator.backend.create_audience("buyers", of.id).id]
        bodies = {
            "/customer_lists": {"name": "customers", "records": "a"},
            "/audiences": {"audience_type": "CUSTOMER_LIST", "name": "buyers", "rule": rule},
            "/customer_segments": {"name": "existing customers", "audience_ids": ids},
        }
        told = [call(emulator, "emulator-token", "POST", path, body) for path, body in bodies.items()]
        update = {"operation_type": "ADD", "records": "b"}
        told.append(call(emulator, "emulator-token", "PATCH", f"/customer_lists/{of.id}", update))
    assert told == [status, status, status, 200]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "", True),
        ("GET", "/audiences", True),
        ("GET", "/audiences/AUDIENCE", True),
        ("GET", "/customer_lists/LIST", True),
        ("GET", "/customer_lists", False),
        ("POST", "/customer_lists", False),
        ("PATCH", "/customer_lists/LIST", False),
        ("POST", "/audiences", False),
        ("PATCH", "/audiences/AUDIENCE", False),
        ("GET", "/customer_segments", False),
        ("POST", "/customer_segments", False),
        ("PATCH", "/customer_segments", False),
    ],
)
def test_a_token_of_the_application_alone_may_only_do_what_the_description_says(
    method: str, path: str, *, allowed: bool
) -> None:
    with Emulator(ad_account_id=ACCOUNT, application_tokens=("of-the-app",)) as emulator:
        of = emulator.backend.create_list("customers")
        audience = emulator.backend.create_audience("buyers", of.id)
        path = path.replace("LIST", of.id).replace("AUDIENCE", audience.id)
        assert call(emulator, "of-the-app", method, path, {}) == (200 if allowed else 403)


def test_a_fault_of_a_segment_happens_before_its_change(emulator: Emulator, api: Api) -> None:
    ids = [emulator.backend.create_audience("buyers", emulator.backend.create_list("customers").id).id]
    made = emulator.backend.create_segment("existing customers", ids)
    emulator.backend.inject(Fault(path="/customer_segments$", status=503))
    assert api("PATCH", "/customer_segments", {"id": made.id, "operation_type": "REMOVE"}).status_code == 503
    assert emulator.backend.segments() == [made]


def call(emulator: Emulator, token: str, method: str, path: str, body: object) -> int:
    url = f"{emulator.url}/ad_accounts/{ACCOUNT}{path}"
    return requests.request(
        method, url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=10
    ).status_code
