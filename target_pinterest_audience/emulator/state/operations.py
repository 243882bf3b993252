"""The emulated operations: Pinterest's names, methods, paths and rate categories (API description 5.23)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

RateCategory: TypeAlias = Literal["ads_read", "ads_write", "org_read"]

TOKEN_OPERATION: Final = "oauth/token"  # noqa: S105 - the name of an operation
LIST_WRITES: Final = frozenset({"customer_lists/create", "customer_lists/update"})

_ACCOUNT: Final = "/ad_accounts/<ad_account_id>"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API.

    Attributes:
        name: Pinterest's name for it, e.g. `customer_lists/update`.
        method: the HTTP method.
        path: the path below the base URL; `<name>` is a placeholder for one segment.
        category: the rate budget that a call is taken from.
    """

    name: str
    method: str
    path: str
    category: RateCategory


OPERATIONS: Final = (
    Operation(TOKEN_OPERATION, "POST", "/oauth/token", "org_read"),
    Operation("ad_accounts/list", "GET", "/ad_accounts", "ads_read"),
    Operation("ad_accounts/get", "GET", _ACCOUNT, "ads_read"),
    Operation("customer_lists/list", "GET", f"{_ACCOUNT}/customer_lists", "ads_read"),
    Operation("customer_lists/create", "POST", f"{_ACCOUNT}/customer_lists", "ads_write"),
    Operation("customer_lists/get", "GET", f"{_ACCOUNT}/customer_lists/<customer_list_id>", "ads_read"),
    Operation("customer_lists/update", "PATCH", f"{_ACCOUNT}/customer_lists/<customer_list_id>", "ads_write"),
    Operation("audiences/list", "GET", f"{_ACCOUNT}/audiences", "ads_read"),
    Operation("audiences/create", "POST", f"{_ACCOUNT}/audiences", "ads_write"),
    Operation("audiences/get", "GET", f"{_ACCOUNT}/audiences/<audience_id>", "ads_read"),
    Operation("audiences/update", "PATCH", f"{_ACCOUNT}/audiences/<audience_id>", "ads_write"),
    Operation("ad_groups/list", "GET", f"{_ACCOUNT}/ad_groups", "ads_read"),
    Operation("campaigns/list", "GET", f"{_ACCOUNT}/campaigns", "ads_read"),
    Operation("customer_segment/list", "GET", f"{_ACCOUNT}/customer_segments", "ads_read"),
)
