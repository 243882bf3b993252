"""Audiences of the emulator: what may be made, what they show, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest

from target_pinterest_audience.emulator import ApiError, Backend, Settings
from tests.support.operations import perform, update
from tests.support.waiting import Clock


def audience(backend: Backend, list_id: object, **body: Any) -> Any:
    rule = {"customer_list_id": list_id}
    return perform(
        backend, "audiences/create", {"audience_type": "CUSTOMER_LIST", "name": "buyers", "rule": rule, **body}
    )


@pytest.mark.parametrize(("members", "status"), [(99, "TOO_SMALL"), (100, "READY")])
def test_an_audience_has_a_size_once_it_is_initialized(
    backend: Backend, clock: Clock, members: int, status: str
) -> None:
    of = backend.create_list("customers", map(str, range(members)))
    made = audience(backend, of.id, description="who bought")
    assert (made["status"], made["size"], made["rule"]) == ("INITIALIZING", None, {"customer_list_id": of.id})
    clock.now += 2
    shown = perform(backend, "audiences/get", audience_id=made["id"])
    assert (shown["status"], shown["size"], shown["description"]) == (status, members, "who bought")
    assert backend.audiences()[0].size == members


@pytest.mark.parametrize("list_id", ["999", "", "abc", None, 7])
def test_an_audience_needs_a_list_that_exists(backend: Backend, list_id: object) -> None:
    with pytest.raises(ApiError) as refused:
        audience(backend, list_id)
    assert refused.value.status == 400
    assert backend.audiences() == []


@pytest.mark.parametrize("body", [{"audience_type": "ACTALIKE"}, {"audience_type": "x"}, {"name": ""}, {"rule": []}])
def test_an_audience_that_breaks_a_rule_is_refused(backend: Backend, body: dict[str, Any]) -> None:
    of = backend.create_list("customers")
    with pytest.raises(ApiError) as refused:
        audience(backend, of.id, **body)
    assert refused.value.status == 400


def test_a_lookalike_starts_from_an_audience(backend: Backend, clock: Clock) -> None:
    seed = audience(backend, backend.create_list("customers").id)["id"]
    made = audience(backend, None, audience_type="ACTALIKE", rule={"seed_id": [seed], "country": "US", "percentage": 3})
    assert (made["audience_type"], made["status"], made["size"]) == ("ACTALIKE", "INITIALIZING", None)
    clock.now += 10
    _, shown = backend.audiences()
    assert (shown.customer_list_id, shown.status, shown.size) == (None, "READY", 3_000_000)


@pytest.mark.parametrize(
    "rule",
    [
        {}, [], {"seed_id": "1"}, {"seed_id": ""}, {"seed_id": 1}, {"seed_id": []}, {"seed_id": ["1"]},
        {"seed_id": ["7"]},
        {"seed_id": ["SEED"], "country": "USA", "percentage": 1}, {"seed_id": ["SEED"], "country": "US"},
        {"seed_id": ["SEED"], "country": "US", "percentage": 0},
        {"seed_id": ["SEED"], "country": "US", "percentage": 11},
    ],
)  # fmt: skip
def test_a_lookalike_that_breaks_a_rule_is_refused(backend: Backend, rule: Any) -> None:
    seed = audience(backend, backend.create_list("customers").id)["id"]
    if isinstance(rule, dict) and rule.get("seed_id") == ["SEED"]:
        rule = {**rule, "seed_id": [seed]}
    with pytest.raises(ApiError) as refused:
        audience(backend, None, audience_type="ACTALIKE", rule=rule)
    assert refused.value.status in {400, 404}
    assert len(backend.audiences()) == 1


def test_an_audience_minimum_counts_matched_members(clock: Clock) -> None:
    backend = Backend(Settings(audience_minimum=50, match_percent=50), clock=clock)
    of = backend.create_list("customers", map(str, range(99)))
    with pytest.raises(ApiError) as refused:
        audience(backend, of.id)
    assert refused.value.status == 400
    update(backend, of.id, operation_type="ADD", records="one more")
    assert audience(backend, of.id)["name"] == "buyers"


def test_an_audience_can_be_renamed_and_removed(backend: Backend) -> None:
    of = backend.create_list("customers")
    made = backend.create_audience("buyers", of.id)

    def change(**body: Any) -> Any:
        return perform(backend, "audiences/update", body, audience_id=made.id)

    assert change(name="regulars")["name"] == "regulars"
    shown = change(operation_type="UPDATE", description="often", rule={"customer_list_id": of.id})
    assert (shown["name"], shown["description"]) == ("regulars", "often")
    other = backend.create_list("others")
    with pytest.raises(ApiError, match="does not support"):
        change(rule={"customer_list_id": other.id})
    assert change(operation_type="REMOVE")["id"] == made.id
    with pytest.raises(ApiError) as gone:
        change(name="again")
    assert gone.value.status == 404
    assert backend.create_audience("next", of.id).id > made.id


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["buyers", "partner"]),
        ({"ownership_type": "OWNED"}, ["buyers"]),
        ({"ownership_type": "RECEIVED"}, ["partner"]),
    ],
)
def test_received_audiences_are_listed_unless_only_own_ones_are_wanted(
    backend: Backend, query: dict[str, str], names: list[str]
) -> None:
    of = backend.create_list("customers")
    backend.create_audience("buyers", of.id)
    backend.place_audience("partner", "CUSTOMER_LIST", {"customer_list_id": "1"}, received=True)
    assert [each["name"] for each in perform(backend, "audiences/list", query=query)["items"]] == names


def test_an_audience_of_a_list_for_new_customer_acquisition_shows_it_and_can_be_left_out(backend: Backend) -> None:
    for name, is_nca in (("buyers", False), ("existing customers", True)):
        backend.create_audience(name, backend.create_list(name, is_nca=is_nca).id)
    listed = perform(backend, "audiences/list")["items"]
    assert {each["name"]: each["is_nca"] for each in listed} == {"buyers": False, "existing customers": True}
    left = perform(backend, "audiences/list", query={"exclude_nca": "true"})["items"]
    assert [each["name"] for each in left] == ["buyers"]


@pytest.mark.parametrize("one", [True, False])
def test_a_rule_is_shown_in_the_form_in_which_it_came(backend: Backend, clock: Clock, *, one: bool) -> None:
    seed = audience(backend, backend.create_list("customers").id)["id"]
    rule = {"seed_id": seed if one else [seed], "country": "US", "percentage": "3" if one else 3}
    made = audience(backend, None, audience_type="ACTALIKE", rule=rule)
    assert made["rule"] == rule
    clock.now += 10
    assert backend.audiences()[1].size == 3_000_000


def test_an_audience_cannot_be_seeded_without_its_list(backend: Backend) -> None:
    with pytest.raises(ApiError):
        backend.create_audience("buyers", "999")
