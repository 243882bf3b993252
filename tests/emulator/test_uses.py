"""What uses audiences in the emulator."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from target_pinterest_audience.emulator import ApiError, Backend, Emulator
from tests.support.operations import Api, perform


def names(answer: Any) -> list[str]:
    return [each["name"] for each in answer["items"]]


@pytest.mark.parametrize("operation", ["ad_groups/list", "campaigns/list"])
def test_what_is_active_or_paused_is_listed_and_others_if_they_are_asked_for(operation: str) -> None:
    backend = Backend()
    for status in ("ACTIVE", "PAUSED", "ARCHIVED", "DRAFT"):
        backend.create_ad_group(status, status=status)
        backend.create_campaign(status, status=status)
    assert names(perform(backend, operation)) == ["ACTIVE", "PAUSED"]
    assert names(perform(backend, operation, query={"entity_statuses": "DRAFT"})) == ["DRAFT"]
    first = perform(backend, operation, query={"page_size": "1"})
    assert names(perform(backend, operation, query={"page_size": "1", "bookmark": first["bookmark"]})) == ["PAUSED"]
    with pytest.raises(ApiError, match="entity_statuses"):
        perform(backend, operation, query={"entity_statuses": "SLEEPY"})
    backend.reset()
    assert names(perform(backend, operation)) == []


def test_an_ad_group_shows_what_it_includes_and_excludes() -> None:
    backend = Backend()
    segment = backend.create_segment("existing", ["5"]).id
    made = backend.create_ad_group("newcomers", include=["1"], exclude=["2", "3"], customer_segment_id=segment)
    (shown,) = perform(backend, "ad_groups/list")["items"]
    assert shown["id"] == made
    assert shown["targeting_spec"] == {"AUDIENCE_INCLUDE": ["1"], "AUDIENCE_EXCLUDE": ["2", "3"]}
    assert shown["customer_segment_id"] == segment
    (held,) = perform(backend, "customer_segment/list")["items"]
    assert (held["id"], held["audience_ids"]) == (segment, ["5"])


def test_other_languages_make_them_by_control_endpoints(emulator: Emulator, api: Api) -> None:
    control = emulator.url.removesuffix("/v5") + "/_emulator"
    group = {"name": "newcomers", "exclude": ["7"], "status": "PAUSED"}
    made = requests.post(f"{control}/ad_groups", json=group, timeout=10)
    campaign = requests.post(f"{control}/campaigns", json={"name": "performance", "exclude": ["7"]}, timeout=10)
    assert (made.status_code, campaign.status_code) == (201, 201)
    (shown,) = api("GET", "/ad_groups").json()["items"]
    assert (shown["id"], shown["status"]) == (made.json()["id"], "PAUSED")
    assert shown["targeting_spec"] == {"AUDIENCE_EXCLUDE": ["7"]}
    (shown,) = api("GET", "/campaigns").json()["items"]
    assert shown["performance_plus_campaign_settings"] == {"pinner_list_exclusions": ["7"]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "JSON object"),
        ({}, "name must be a text"),
        ({"name": "x", "exclude": "7"}, "list of ids"),
        ({"name": "x", "exclude": [7]}, "list of ids"),
        ({"name": "x", "status": "SLEEPY"}, "status"),
    ],
)
def test_what_cannot_be_made_is_refused(emulator: Emulator, body: Any, words: str) -> None:
    control = emulator.url.removesuffix("/v5") + "/_emulator"
    for path in ("ad_groups", "campaigns"):
        refused = requests.post(f"{control}/{path}", json=body, timeout=10)
        assert (refused.status_code, words in refused.json()["message"]) == (400, True)
