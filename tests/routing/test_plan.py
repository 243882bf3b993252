from __future__ import annotations

from typing import Any

import pytest

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, find_columns, merge, plan_lists
from target_pinterest_audience.settings import StreamSettings, resolve


def settings(**values: Any) -> StreamSettings:
    return resolve({"ad_account_id": "1", "access_token": "t", **values}, {})[0].default_stream


def plans(*kinds: str, **values: Any) -> dict[str, tuple[str, str]]:
    columns = {f"column_{kind}": IDENTITY_TYPES[kind] for kind in kinds}
    planned = plan_lists(columns, "customers", settings(**values))
    return {kind.name: (str(plan.reference), plan.list_type.value) for kind, plan in planned.items()}


def test_columns_are_found_by_name_in_any_case() -> None:
    found = find_columns(dict.fromkeys(["ID", "Email", "GAID", "city", "my_email"]), "customers", settings())
    assert {column: kind.name for column, kind in found.items()} == {"Email": "EMAIL", "GAID": "GAID"}


def test_only_the_named_columns_are_used() -> None:
    chosen = settings(identity_columns={"mail": "EMAIL", "x": "IDFA"})
    found = find_columns({"email": {}, "mail": {}}, "customers", chosen)
    assert list(found) == ["mail"]


def test_a_stream_that_lacks_the_columns_of_the_top_level_has_no_identities() -> None:
    assert find_columns({"email": {}}, "orders", settings(identity_columns={"mail": "EMAIL"})) == {}


@pytest.mark.parametrize(
    ("name", "own", "words"),
    [
        ("orders", {"identity_columns": {"mail": "EMAIL"}}, r"Stream orders has none of the columns .*mail"),
        ("ord*", {"identity_columns": {"mail": "EMAIL"}}, r"Stream orders has none of the columns .*mail"),
        ("orders", {"operation": "remove"}, "Stream orders is to remove people"),
    ],
)
def test_a_stream_that_lacks_its_own_columns_is_a_configuration_error(
    name: str, own: dict[str, Any], words: str
) -> None:
    resolved = resolve({"ad_account_id": "1", "access_token": "t", "streams": {name: own}}, {})[0]
    with pytest.raises(ConfigurationError, match=words):
        find_columns({"mail_sent": {}}, "orders", resolved.for_stream("orders"))


def test_addresses_and_device_ids_share_a_list_and_other_types_have_their_own() -> None:
    shared = 'customer list "customers"'
    assert plans("GAID", "IDFA", "EMAIL", "MAID", "LR_ID", "DLX_ID", "HASHED_PINNER_ID") == {
        "EMAIL": (shared, "EMAIL"),
        "IDFA": (shared, "EMAIL"),
        "GAID": (shared, "EMAIL"),
        "MAID": (shared, "EMAIL"),
        "LR_ID": ('customer list "customers - LR_ID"', "LR_ID"),
        "DLX_ID": ('customer list "customers - DLX_ID"', "DLX_ID"),
        "HASHED_PINNER_ID": ('customer list "customers - HASHED_PINNER_ID"', "HASHED_PINNER_ID"),
    }


def test_a_shared_list_without_addresses_has_its_first_type() -> None:
    assert plans("GAID", "IDFA")["GAID"] == ('customer list "customers"', "IDFA")
    assert plans("GAID")["GAID"] == ('customer list "customers"', "MAID")


def test_one_list_per_type_splits_by_the_types_that_pinterest_knows() -> None:
    split = plans("EMAIL", "IDFA", "GAID", "MAID", one_list_per_type=True, customer_list_name="VIP")
    assert split == {
        "EMAIL": ('customer list "VIP - EMAIL"', "EMAIL"),
        "IDFA": ('customer list "VIP - IDFA"', "IDFA"),
        "GAID": ('customer list "VIP - MAID"', "MAID"),
        "MAID": ('customer list "VIP - MAID"', "MAID"),
    }


@pytest.mark.parametrize("setting", ["customer_list_id", "audience_id"])
def test_one_id_cannot_name_two_lists(setting: str) -> None:
    assert len(plans("EMAIL", "IDFA", **{setting: "77"})) == 2
    with pytest.raises(ConfigurationError, match=f"`{setting}` names one list"):
        plans("EMAIL", "LR_ID", **{setting: "77"})


def test_a_stream_that_only_removes_creates_nothing() -> None:
    columns = {"email": IDENTITY_TYPES["EMAIL"]}
    (plan,) = plan_lists(columns, "unsubscribed", settings(operation="remove")).values()
    assert (plan.if_missing, plan.audience) == (IfMissing.REFUSE, None)


def plan(**values: Any) -> ListPlan:
    (planned,) = plan_lists({"email": IDENTITY_TYPES["EMAIL"]}, "customers", settings(**values)).values()
    return planned


@pytest.mark.parametrize("is_nca", [True, False, None])
def test_a_plan_has_the_kind_of_list_that_is_set(*, is_nca: bool | None) -> None:
    assert plan(is_nca=is_nca).is_nca is is_nca


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [(True, None, True), (None, True, True), (False, None, False), (True, True, True), (None, None, None)],
)
def test_two_streams_of_one_list_need_to_set_its_kind_once(
    *, first: bool | None, second: bool | None, both: bool | None
) -> None:
    assert merge(plan(is_nca=first), plan(is_nca=second)).is_nca is both


@pytest.mark.parametrize("first", [True, False])
def test_two_streams_of_one_list_cannot_differ_about_its_kind(*, first: bool) -> None:
    with pytest.raises(ConfigurationError, match='Two streams feed customer list "customers", one with `is_nca: true`'):
        merge(plan(is_nca=first), plan(is_nca=not first))
