from __future__ import annotations

from typing import Any

import pytest

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.routing.plan import IfMissing, find_columns, plan_lists
from target_pinterest_audience.settings import StreamSettings, resolve


def settings(**values: Any) -> StreamSettings:
    return resolve({"ad_account_id": "1", "access_token": "t", **values}, {}, {})[0].default_stream


def plans(*kinds: str, **values: Any) -> dict[str, tuple[str, str]]:
    columns = {f"column_{kind}": IDENTITY_TYPES[kind] for kind in kinds}
    planned = plan_lists(columns, "customers", settings(**values))
    return {kind.name: (str(plan.reference), plan.list_type.value) for kind, plan in planned.items()}


def test_columns_are_found_by_name_in_any_case() -> None:
    found = find_columns(dict.fromkeys(["ID", "Email", "GAID", "city", "my_email"]), "customers", settings())
    assert {column: kind.name for column, kind in found.items()} == {"Email": "EMAIL", "GAID": "GAID"}


def test_columns_that_are_named_are_the_only_ones() -> None:
    chosen = settings(identity_columns={"mail": "EMAIL", "x": "IDFA"})
    found = find_columns({"email": {}, "mail": {}}, "customers", chosen)
    assert list(found) == ["mail"]


def test_a_stream_without_any_of_the_columns_that_the_top_level_names_has_none() -> None:
    assert find_columns({"email": {}}, "orders", settings(identity_columns={"mail": "EMAIL"})) == {}


@pytest.mark.parametrize(
    ("name", "own", "words"),
    [
        ("orders", {"identity_columns": {"mail": "EMAIL"}}, r"Stream orders has none of the columns .*mail"),
        ("ord*", {"identity_columns": {"mail": "EMAIL"}}, r"Stream orders has none of the columns .*mail"),
        ("orders", {"operation": "remove"}, "Stream orders is to remove people"),
    ],
)
def test_a_stream_that_lacks_the_columns_that_it_was_given_is_a_mistake(
    name: str, own: dict[str, Any], words: str
) -> None:
    resolved = resolve({"ad_account_id": "1", "access_token": "t", "streams": {name: own}}, {}, {})[0]
    with pytest.raises(ConfigurationError, match=words):
        find_columns({"mail_sent": {}}, "orders", resolved.for_stream("orders"))


def test_addresses_and_devices_share_a_list_and_the_others_have_their_own() -> None:
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
def test_one_id_cannot_stand_for_two_lists(setting: str) -> None:
    assert len(plans("EMAIL", "IDFA", **{setting: "77"})) == 2
    with pytest.raises(ConfigurationError, match=f"`{setting}` names one list"):
        plans("EMAIL", "LR_ID", **{setting: "77"})


def test_who_only_removes_creates_nothing() -> None:
    columns = {"email": IDENTITY_TYPES["EMAIL"]}
    (plan,) = plan_lists(columns, "unsubscribed", settings(operation="remove")).values()
    assert (plan.if_missing, plan.audience) == (IfMissing.REFUSE, None)
