"""Lists for new customer acquisition: created as the settings say, and never taken for lists of the other kind."""

from __future__ import annotations

from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from tests.support.account import ACCOUNT, TOKEN, members
from tests.support.messages import digests, people, schema, state
from tests.support.processes import Companion, Target

STREAM = [schema("email"), *people(range(3)), state(1)]


def creations(emulator: Emulator) -> list[Any]:
    return [call.request for call in emulator.backend.calls if call.operation == "customer_lists/create"]


@pytest.mark.parametrize("is_nca", [True, False])
def test_a_list_is_created_as_set_and_kept_in_step(emulator: Emulator, run_target: Target, *, is_nca: bool) -> None:
    settings = {"is_nca": is_nca, "load_method": "upsert"}
    assert run_target(STREAM, **settings).code == 0
    (made,) = emulator.backend.customer_lists()
    assert (made.is_nca, creations(emulator)[0]["is_nca"]) == (is_nca, is_nca)
    again = run_target([schema("email"), *people(range(5)), state(2)], **settings)
    assert (again.code, len(again.states)) == (0, 1), again.stderr
    assert members(emulator) == digests(range(5))


def test_without_the_setting_pinterest_is_not_told_and_either_kind_will_do(
    emulator: Emulator, run_target: Target
) -> None:
    assert run_target(STREAM).code == 0
    assert "is_nca" not in creations(emulator)[0]
    other = emulator.backend.create_list("existing", ["a" * 64], is_nca=True)
    assert run_target(STREAM, customer_list_name="existing").code == 0
    assert emulator.backend.members(other.id) == {"a" * 64, *digests(range(3))}


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("way", ["name", "customer_list_id", "audience_id"])
def test_a_list_of_the_other_kind_ends_the_run_before_anything_is_sent(
    emulator: Emulator, run_target: Target, run_companion: Companion, way: str, *, exists: bool
) -> None:
    made = emulator.backend.create_list("customers", ["a" * 64], is_nca=exists)
    audience = emulator.backend.create_audience("customers", made.id)
    reference = {
        "name": {},
        "customer_list_id": {"customer_list_id": made.id},
        "audience_id": {"audience_id": audience.id},
    }
    settings = {"is_nca": not exists, "customer_list_name": "customers" if way == "name" else None, **reference[way]}
    settings = {name: value for name, value in settings.items() if value is not None}
    checked = run_companion("check", **settings)
    run = run_target(STREAM, **settings)
    assert (run.code, run.states, checked.code) == (2, [], 2), run.stderr
    for told in (run.stderr, checked.stdout):
        assert "Pinterest cannot change that for an existing list" in told
        assert f"or set `is_nca` to {str(exists).lower()}" in told
        advice = {
            "name": "Set another `customer_list_name`, so",
            "customer_list_id": "Replace `customer_list_id` by a `customer_list_name` that no list has, so",
            "audience_id": "Replace `audience_id` by a `customer_list_name` that no list has, so",
        }
        assert advice[way] in told
    assert emulator.backend.writes() == []


def test_check_says_which_lists_are_of_the_other_kind_if_streams_choose_them(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    for name in ("customers", "leads"):
        emulator.backend.create_list(name, ["a" * 64], is_nca=False)
    first = run_companion("check", is_nca=True, load_method="upsert").stdout
    assert "of the lists of the ad account, these are not for new customer acquisition" in first
    assert '"customers"' in first
    assert '"leads"' in first
    assert run_target(STREAM, load_method="upsert").code == 0
    later = run_companion("check", is_nca=True, load_method="upsert").stdout
    assert "of the lists that former runs fed, these are not for new customer acquisition" in later
    assert '"leads"' not in later
    assert run_target(STREAM, is_nca=True, load_method="upsert").code == 2
    for settings in ({"is_nca": False}, {}):
        assert "new customer acquisition" not in run_companion("check", load_method="upsert", **settings).stdout


def test_a_stream_can_set_it_for_itself(emulator: Emulator, run_target: Target) -> None:
    stream = [
        schema("email", stream="leads"),
        schema("email", stream="buyers"),
        *people([1], "leads"),
        *people([2], "buyers"),
    ]
    assert run_target(stream, streams={"buyers": {"is_nca": True}, "leads": {}}).code == 0
    assert {each.name: each.is_nca for each in emulator.backend.customer_lists()} == {"leads": False, "buyers": True}


def test_two_streams_that_differ_about_one_list_end_the_run(emulator: Emulator, run_target: Target) -> None:
    stream = [schema("email", stream="a"), schema("email", stream="b"), *people([1], "a"), *people([1], "b")]
    streams = {"a": {"is_nca": True}, "b": {"is_nca": False}}
    run = run_target(stream, customer_list_name="customers", streams=streams)
    assert (run.code, "one with `is_nca: true` and one with `is_nca: false`" in run.stderr) == (2, True), run.stderr
    assert emulator.backend.writes() == []


def test_a_second_stream_of_a_list_that_exists_can_find_it_of_the_other_kind(
    emulator: Emulator, run_target: Target
) -> None:
    emulator.backend.create_list("customers", ["a" * 64])
    stream = [schema("email", stream="a"), schema("email", stream="b"), *people([1], "b")]
    run = run_target(stream, customer_list_name="customers", streams={"a": {}, "b": {"is_nca": True}})
    assert (run.code, "not for new customer acquisition, but `is_nca` is true" in run.stderr) == (2, True), run.stderr
    assert emulator.backend.writes() == []


def test_a_dry_run_finds_out_too(emulator: Emulator, run_target: Target) -> None:
    emulator.backend.create_list("customers", ["a" * 64])
    assert run_target(STREAM, is_nca=True, dry_run=True).code == 2


def test_check_tells_of_a_list_for_new_customer_acquisition(emulator: Emulator, run_companion: Companion) -> None:
    made = emulator.backend.create_list("customers", ["a" * 64], is_nca=True)
    for settings in ({"customer_list_name": "customers"}, {"customer_list_id": made.id, "is_nca": True}):
        checked = run_companion("check", **settings)
        assert checked.code == 0, checked.stdout
        assert f"(id {made.id}) for new customer acquisition is " in checked.stdout


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("status", [200, 201])
def test_answers_of_every_form_are_understood(run_target: Target, status: int, *, everywhere: bool) -> None:
    with Emulator(
        access_token=TOKEN, ad_account_id=ACCOUNT, creation_status=status, is_nca_everywhere=everywhere
    ) as emulator:
        emulator.backend.place_audience("partner", "CUSTOMER_LIST", {"customer_list_id": "1"}, received=True)
        for _ in range(2):
            run = run_target(STREAM, api_url=emulator.url, is_nca=True)
            assert (run.code, len(run.states)) == (0, 1), run.stderr
        assert members(emulator) == digests(range(3))
        assert [call.status for call in emulator.backend.calls if call.method == "POST"] == [status, status]
        asked = [call.query for call in emulator.backend.calls if call.operation == "audiences/list"]
        assert {query.get("ownership_type") for query in asked} == {"OWNED"}
        assert [each.name for each in emulator.backend.audiences()] == ["partner", "customers"]


def test_the_audience_of_someone_else_is_not_taken_for_the_lists(emulator: Emulator, run_target: Target) -> None:
    made = emulator.backend.create_list("customers", ["a" * 64])
    emulator.backend.place_audience("partner", "CUSTOMER_LIST", {"customer_list_id": made.id}, received=True)
    assert run_target(STREAM).code == 0
    assert [each.name for each in emulator.backend.audiences()] == ["partner", "customers"]
