"""The emulated operations: Pinterest's names, methods, paths and rate categories (API description 5.28)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

RateCategory: TypeAlias = Literal["ads_read", "ads_write", "org_read"]

TOKEN_OPERATION: Final = "oauth/token"  # noqa: S105 - the name of an operation
LIST_WRITES: Final = frozenset({"customer_lists/create", "customer_lists/update"})

SEGMENT_UPDATE: Final = "customer_segment/update"

_ACCOUNT: Final = "/ad_accounts/<ad_account_id>"
_LISTS: Final = f"{_ACCOUNT}/customer_lists"
_AUDIENCES: Final = f"{_ACCOUNT}/audiences"
_SEGMENTS: Final = f"{_ACCOUNT}/customer_segments"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API.

    Attributes:
        name: Pinterest's name for it, e.g. `customer_lists/update`.
        method: the HTTP method.
        path: the path below the base URL; `<name>` is a placeholder for one segment.
        category: the rate budget that a call is taken from.
        needs_person: whether a person must have signed in; tokens of an application alone are refused.
    """

    name: str
    method: str
    path: str
    category: RateCategory
    needs_person: bool = False

    @property
    def creates(self) -> bool:
        """Whether it creates something."""
        return self.name.endswith("/create")


OPERATIONS: Final = (
    Operation(TOKEN_OPERATION, "POST", "/oauth/token", "org_read"),
    Operation("ad_accounts/list", "GET", "/ad_accounts", "ads_read"),
    Operation("ad_accounts/get", "GET", _ACCOUNT, "ads_read"),
    Operation("customer_lists/list", "GET", _LISTS, "ads_read", needs_person=True),
    Operation("customer_lists/create", "POST", _LISTS, "ads_write", needs_person=True),
    Operation("customer_lists/get", "GET", f"{_LISTS}/<customer_list_id>", "ads_read"),
    Operation("customer_lists/update", "PATCH", f"{_LISTS}/<customer_list_id>", "ads_write", needs_person=True),
    Operation(
        "customer_list_uploads/create", "POST", f"{_LISTS}/<customer_list_id>/uploads", "ads_write", needs_person=True
    ),
    Operation("audiences/list", "GET", _AUDIENCES, "ads_read"),
    Operation("audiences/create", "POST", _AUDIENCES, "ads_write", needs_person=True),
    Operation("audiences/get", "GET", f"{_AUDIENCES}/<audience_id>", "ads_read"),
    Operation("audiences/update", "PATCH", f"{_AUDIENCES}/<audience_id>", "ads_write", needs_person=True),
    Operation("ad_groups/list", "GET", f"{_ACCOUNT}/ad_groups", "ads_read"),
    Operation("campaigns/list", "GET", f"{_ACCOUNT}/campaigns", "ads_read"),
    Operation("customer_segment/list", "GET", _SEGMENTS, "ads_read", needs_person=True),
    Operation("customer_segment/create", "POST", _SEGMENTS, "ads_write", needs_person=True),
    Operation(SEGMENT_UPDATE, "PATCH", _SEGMENTS, "ads_write", needs_person=True),
)
