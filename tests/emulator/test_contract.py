"""Every operation's bodies against the facts of the API description, and the check itself against wrong ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from target_pinterest_audience.emulator import Call, Emulator, Fault
from target_pinterest_audience.emulator.state.operations import OPERATIONS
from tests.support import api_schemas
from tests.support.contract import assert_contract
from tests.support.operations import Api

LISTS = "/v5/ad_accounts/549755885175/customer_lists"
GOOD = Call(
    method="PATCH",
    path=f"{LISTS}/1",
    query={},
    request={"operation_type": "ADD", "records": "somebody@example.com"},
    status=200,
    response={"id": "1", "name": "customers", "exceptions": {}},
    started=0,
    finished=0,
)


def test_the_schemas_are_valid() -> None:
    for _method, _path, query, request, success in api_schemas.OPERATIONS:
        for schema in (query, request or {}, success, api_schemas.ERROR):
            Draft202012Validator.check_schema(schema)


def test_every_operation_keeps_to_the_contract(emulator: Emulator, api: Api) -> None:
    created = {"name": "customers", "records": "a,b,", "list_type": "EMAIL", "is_nca": True}
    list_path = "/customer_lists/" + api("POST", "/customer_lists", created).json()["id"]
    api("POST", "/customer_lists", {"name": "customers", "records": "a"})
    api("POST", f"{list_path}/uploads", {"operation": "ADD", "total_parts": 2})
    rule = {"customer_list_id": list_path.rpartition("/")[2]}
    audience = {"audience_type": "CUSTOMER_LIST", "name": "buyers", "description": "who bought", "rule": rule}
    audience_path = "/audiences/" + api("POST", "/audiences", audience).json()["id"]
    for body in ({"operation_type": "ADD", "records": "c"}, {"operation_type": "REMOVE", "records": "a"}):
        api("PATCH", list_path, body)
    api("PATCH", audience_path, {"name": "regulars"})
    alike = {"seed_id": [audience_path.rpartition("/")[2]], "country": "US", "percentage": 10}
    api("POST", "/audiences", {"audience_type": "ACTALIKE", "name": "like regulars", "rule": alike})
    one_of_each = {"seed_id": audience_path.rpartition("/")[2], "country": "US", "percentage": "10"}
    api("POST", "/audiences", {"audience_type": "ACTALIKE", "name": "like regulars", "rule": one_of_each})
    for visited in ("549755885175", ["549755885175"]):
        emulator.backend.place_audience("visitors", "VISITOR", {"visitor_source_id": visited, "retention_days": 30})
    segment = {"name": "existing customers", "audience_ids": [audience_path.rpartition("/")[2]]}
    segment_id = api("POST", "/customer_segments", segment).json()["id"]
    api("GET", "/customer_segments", params={"search_query": "existing", "include_sizing": "true", "page_size": "250"})
    api(
        "PATCH",
        "/customer_segments",
        {"id": segment_id, "operation_type": "UPDATE", "audience_ids": segment["audience_ids"]},
    )
    api("PATCH", "/customer_segments", {"id": segment_id, "operation_type": "REMOVE"})
    everything = {"page_size": "250", "order": "DESCENDING", "exclude_nca": "false"}
    api("GET", "/audiences", params={"ownership_type": "OWNED"})
    for path in ("/customer_lists", "/audiences"):
        api("GET", path, params=everything)
        page = api("GET", path, params={"page_size": "1"}).json()
        api("GET", path, params={"page_size": "1", **({"bookmark": page["bookmark"]} if page["bookmark"] else {})})
    for path in ("", list_path, audience_path):
        api("GET", path)
    requests.get(f"{emulator.url}/ad_accounts", headers={"Authorization": "Bearer emulator-token"}, timeout=10)
    form = {"grant_type": "refresh_token", "refresh_token": "emulator-refresh"}
    requests.post(f"{emulator.url}/oauth/token", data=form, auth=("emulator-app", "emulator-secret"), timeout=10)
    api("PATCH", audience_path, {"operation_type": "REMOVE"})
    ids = [list_path.rpartition("/")[2], audience_path.rpartition("/")[2]]
    held = emulator.backend.create_segment("customers", ids[1:]).id
    emulator.backend.create_ad_group("newcomers", include=ids[:1], exclude=ids, status="DRAFT")
    emulator.backend.create_ad_group("regulars", customer_segment_id=held)
    emulator.backend.create_campaign("performance", exclude=ids)
    for path in ("/ad_groups", "/campaigns"):
        api("GET", path, params={"page_size": "1", "entity_statuses": "DRAFT"})
    for path in ("/ad_groups", "/campaigns", "/customer_segments"):
        api("GET", path, params={"page_size": "250", "order": "ASCENDING"})
    calls = emulator.backend.calls
    assert {call.status for call in calls} == {200}
    assert {call.operation for call in calls} == {operation.name for operation in OPERATIONS}
    assert_contract(calls)


def test_every_refusal_keeps_to_the_contract(emulator: Emulator, api: Api) -> None:
    update = {"operation_type": "ADD", "records": "a"}
    api("PATCH", "/customer_lists/999", update)
    api("GET", "/customer_lists/999", headers={"Authorization": "Bearer wrong"})
    api("POST", "/customer_lists", {"name": "customers", "records": ","})
    api("POST", "/customer_lists", {"name": "customers", "records_v2": []})
    list_id = emulator.backend.create_list("customers").id
    for fault in (Fault(status=502, body="<html>"), Fault(status=200, body="?"), Fault(status=500), Fault(reset=True)):
        emulator.backend.inject(fault)
    for _ in range(3):
        api("PATCH", f"/customer_lists/{list_id}", update)
    with pytest.raises(requests.ConnectionError):
        api("PATCH", f"/customer_lists/{list_id}", update)
    calls = emulator.backend.calls
    assert [call.status for call in calls] == [404, 401, 400, 400, 502, 200, 500, None]
    assert_contract(calls)


def test_the_check_accepts_a_good_call() -> None:
    assert_contract([GOOD])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"request": None}, "request"),
        ({"request": {"operation_type": "ADD"}}, "request"),
        ({"request": {"operation_type": "ADD", "records": "a", "records_v2": []}}, "request"),
        ({"request": {"operation_type": "add", "records": "a"}}, "operation_type"),
        ({"request": {"operation_type": "ADD", "records": ["somebody@example.com"]}}, "records"),
        ({"request": {"operation_type": "ADD", "records": "a", "name": "b"}}, "request"),
        ({"request": {"operation_type": "ADD", "records": 1}, "fault": Fault(status=500)}, "records"),
        ({"method": "POST", "path": LISTS}, "name"),
        ({"method": "DELETE"}, "no such operation"),
        ({"path": "/v5/ad_accounts/549755885175/lists"}, "no such operation"),
        ({"path": f"{LISTS}/abc"}, "no such operation"),
        ({"path": f"{LISTS}/{'1' * 19}"}, "no such operation"),
        ({"query": {"page_size": "1"}}, "query"),
        ({"method": "GET", "path": LISTS, "request": None, "query": {"page_size": "251"}}, "page_size"),
        ({"method": "GET"}, "request"),
        ({"response": None}, "answer 200"),
        ({"response": None, "fault": Fault(delay_ms=1)}, "answer 200"),
        ({"response": {"name": "customers"}}, "id"),
        ({"response": {"id": 1, "name": "customers"}}, "id"),
        ({"response": {"id": "1", "name": "customers", "status": "DONE"}}, "status"),
        ({"response": {"id": "1", "name": "customers", "members": 7}}, "answer 200"),
        ({"status": 400}, "answer 400"),
        ({"status": 400, "response": {"code": "1", "message": "no"}}, "code"),
    ],
)
def test_the_check_finds_what_is_wrong_and_echoes_no_value(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(AssertionError, match=named) as failed:
        assert_contract([GOOD, replace(GOOD, **changes)])
    assert "call 2" in str(failed.value)
    assert "call 1" not in str(failed.value)
    assert "somebody@example.com" not in str(failed.value)
