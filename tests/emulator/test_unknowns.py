"""What is not known of Pinterest: the emulator can do it in each way that is thinkable."""

from __future__ import annotations

from typing import Any, cast, get_args

import pytest

from target_pinterest_audience.emulator import ApiError, Backend, Settings
from target_pinterest_audience.emulator.settings import Counting, HalfRows, ResetForm, UploadsAccess
from tests.support.backend import token
from tests.support.operations import NAMED, perform, update
from tests.support.waiting import Clock

ROW = {"email": "a" * 64, "hashed_phone_number": "b" * 64}
UPPER = "AAAAAAAA-0000-4000-8000-00000000000F"


def lists(clock: Clock, **settings: Any) -> tuple[Backend, str]:
    backend = Backend(Settings(**settings), clock=clock)
    return backend, backend.create_list("customers").id


@pytest.mark.parametrize(("counters", "grown"), [("received", [3, 2]), ("changed", [2, 1])])
def test_counters_count_what_came_or_what_changed(clock: Clock, counters: Counting, grown: list[int]) -> None:
    backend, of = lists(clock, counters=counters)
    added = update(backend, of, operation_type="ADD", records="a,a,b")
    removed = update(backend, of, operation_type="REMOVE", records="a,absent")
    assert [added["num_uploaded_user_records"], removed["num_removed_user_records"]] == grown
    made = perform(backend, "customer_lists/create", {"name": "another", "records": "a,a,b"})
    assert made["num_uploaded_user_records"] == grown[0]


@pytest.mark.parametrize(
    ("half_rows", "left", "found"),
    [
        ("kept", {"email:" + "a" * 64 + "&hashed_phone_number:" + "b" * 64}, 0),
        ("shortened", {"hashed_phone_number:" + "b" * 64}, 1),
        ("removed", set(), 1),
    ],
)
def test_half_a_row_is_removed_in_each_way(clock: Clock, half_rows: HalfRows, left: set[str], found: int) -> None:
    backend, of = lists(clock, half_rows=half_rows, counters="changed")
    update(backend, of, operation_type="ADD", records_v2=[ROW])
    half = update(backend, of, operation_type="REMOVE", records_v2=[{"email": ROW["email"]}])
    assert backend.members(of) == left
    assert half["num_removed_user_records"] == found
    update(backend, of, operation_type="REMOVE", records_v2=[ROW])
    assert backend.members(of) == set()


def test_the_case_of_device_ids_can_be_ignored(clock: Clock) -> None:
    for ignored, members in ((False, {UPPER, UPPER.lower(), "Abc"}), (True, {UPPER, "Abc"})):
        backend, of = lists(clock, ignore_device_id_case=ignored)
        update(backend, of, operation_type="ADD", records=f"{UPPER},{UPPER.lower()},Abc")
        assert backend.members(of) == members
        update(backend, of, operation_type="ADD", records_v2=[{"maid": UPPER.lower()}])
        assert (f"maid:{UPPER}" in backend.members(of)) is ignored


@pytest.mark.parametrize(
    ("form", "value"),
    [("seconds", "50"), ("milliseconds", "50000"), ("epoch", "1790000060"), ("window", "60"), ("absent", None)],
)
def test_the_reset_comes_in_each_form(clock: Clock, form: ResetForm, value: str | None) -> None:
    backend = Backend(Settings(rate_limit_reset=form), clock=clock)
    backend.admit(NAMED["ad_accounts/get"], backend.settings.access_token)
    clock.now += 10
    assert backend.headers("ads_read").get("x-ratelimit-reset") == value


@pytest.mark.parametrize(("shown", "count"), [(True, 2), (False, 1)])
def test_received_audiences_are_in_the_listing_or_not(clock: Clock, count: int, *, shown: bool) -> None:
    backend, of = lists(clock, list_received_audiences=shown)
    backend.create_audience("owned", of)
    backend.place_audience("shared", "VISITOR", {}, received=True)
    assert len(perform(backend, "audiences/list")["items"]) == count
    assert len(perform(backend, "audiences/list", query={"ownership_type": "RECEIVED"})["items"]) == 1


@pytest.mark.parametrize(
    ("access", "parts", "status"),
    [("absent", 1, 404), ("restricted", 1, 403), ("open", 0, 400), ("open", 11, 400), ("open", True, 400)],
)
def test_uploads_are_refused(clock: Clock, access: UploadsAccess, parts: Any, status: int) -> None:
    backend, of = lists(clock, uploads=access)
    with pytest.raises(ApiError) as refused:
        perform(
            backend, "customer_list_uploads/create", {"operation": "ADD", "total_parts": parts}, customer_list_id=of
        )
    assert refused.value.status == status


def test_an_upload_has_an_address_for_each_part_and_does_not_begin(clock: Clock) -> None:
    backend, of = lists(clock, uploads="open")
    body = {"operation": "REMOVE", "total_parts": 2}
    made = perform(backend, "customer_list_uploads/create", body, customer_list_id=of)
    again = perform(backend, "customer_list_uploads/create", body, customer_list_id=of)
    parts = made["s3_multipart_upload_data"]["file_parts"]
    assert [each["part_number"] for each in parts] == [1, 2]
    assert made["customer_list_upload"]["state"] == "NOT_STARTED"
    assert made["customer_list_upload"]["id"] != again["customer_list_upload"]["id"]
    with pytest.raises(ApiError, match="404"):
        perform(backend, "customer_list_uploads/create", body, customer_list_id="1")


def test_a_refresh_token_can_stay(clock: Clock) -> None:
    backend = Backend(Settings(renew_refresh_token=False), clock=clock)
    for _ in range(2):
        answer = token(backend, grant_type="refresh_token", refresh_token="emulator-refresh")
        assert answer["refresh_token"] == "emulator-refresh"


def test_a_revoked_refresh_token_can_revoke_all(clock: Clock) -> None:
    for revokes_all in (False, True):
        backend = Backend(Settings(revoke_all_on_reuse=revokes_all), clock=clock)
        new = token(backend, grant_type="refresh_token", refresh_token="emulator-refresh")["refresh_token"]
        with pytest.raises(ApiError):
            token(backend, grant_type="refresh_token", refresh_token="emulator-refresh")
        if revokes_all:
            with pytest.raises(ApiError):
                token(backend, grant_type="refresh_token", refresh_token=new)
        else:
            token(backend, grant_type="refresh_token", refresh_token=new)


@pytest.mark.parametrize(
    ("option", "choices"),
    [("counters", Counting), ("half_rows", HalfRows), ("rate_limit_reset", ResetForm), ("uploads", UploadsAccess)],
)
def test_an_option_has_choices(option: str, choices: Any) -> None:
    for choice in get_args(choices):
        Settings(**cast("Any", {option: choice}))
    with pytest.raises(ValueError, match=f"{option} must be one of {', '.join(get_args(choices))}"):
        Settings(**cast("Any", {option: "?"}))
