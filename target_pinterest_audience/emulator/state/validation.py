"""The rules of Pinterest's API descriptions 5.23 and 5.28 for ids, fields and query parameters.

Every function raises `ApiError` with status 400 if its rule is broken. The message names the field, never its value.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from target_pinterest_audience.emulator.errors import invalid_request
from target_pinterest_audience.emulator.json_types import JsonObject

_ID: Final = re.compile(r"[0-9]{1,18}")
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_ROW_FIELDS: Final = (
    "email", "external_id", "hashed_phone_number", "hashed_pinner_id", "ip_address", "liveramp_envelope", "maid",
    "user_agent",
)  # fmt: skip
_DIGEST_FIELDS: Final = ("hashed_phone_number", "hashed_pinner_id")
_BLANKS: Final = " \t\r\n"
_DEFAULT_PAGE_SIZE: Final = 25
_LARGEST_PAGE_SIZE: Final = 250
_ORDERS: Final = ("ASCENDING", "DESCENDING")

_Item = TypeVar("_Item")


def require_id(name: str, value: object) -> str:
    """Return an id: a string of 1 to 18 digits."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        message = f"{name} must be a string of 1 to 18 digits."
        raise invalid_request(message)
    return value


def text(body: JsonObject, name: str) -> str | None:
    """Return a string field; None if it is absent."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        message = f"{name} must be a string."
        raise invalid_request(message)
    return value


def required_text(body: JsonObject, name: str) -> str:
    """Return a string field that must be present and not blank."""
    value = text(body, name)
    if value is None or not value.strip():
        message = f"{name} is required."
        raise invalid_request(message)
    return value


def choice(values: Mapping[str, object], name: str, choices: Sequence[str], default: str | None = None) -> str:
    """Return a field that must be one of the choices; if it is absent, the default, which must exist then."""
    value = values.get(name, default)
    if not isinstance(value, str) or value not in choices:
        message = f"{name} must be one of {', '.join(choices)}."
        raise invalid_request(message)
    return value


def flag(body: JsonObject, name: str) -> bool:
    """Return a boolean field; false if it is absent."""
    value = body.get(name, False)
    if not isinstance(value, bool):
        message = f"{name} must be true or false."
        raise invalid_request(message)
    return value


def query_flag(query: Mapping[str, str], name: str) -> bool:
    """Return a boolean query parameter; false if it is absent."""
    return choice(query, name, ("true", "false"), "false") == "true"


def split_records(joined: str) -> list[str]:
    """Return the values of a comma-separated string, without blanks around them and without empty values.

    Empty values must be ignored, because the examples of the API description end with a comma.
    """
    return [value for part in joined.split(",") if (value := part.strip(_BLANKS))]


def members(body: JsonObject) -> list[str]:
    """Return the members that a body names in `records` or in `records_v2`; at least one. Duplicates stay.

    A row of `records_v2` is one member. What Pinterest makes of a row of several fields is not known.
    """
    if ("records_v2" in body) == ("records" in body):
        message = "Exactly one of records and records_v2 is required."
        raise invalid_request(message)
    if "records_v2" in body:
        rows = body["records_v2"]
        if not isinstance(rows, list) or not rows:
            message = "records_v2 must be an array of at least one row."
            raise invalid_request(message)
        return list(map(_row, rows))
    values = split_records(required_text(body, "records"))
    if not values:
        message = "records is empty."
        raise invalid_request(message)
    return values


def identities_of(body: JsonObject) -> list[str]:
    """Return the identities in a body that need not follow the rules."""
    joined, rows = body.get("records"), body.get("records_v2")
    values = split_records(joined) if isinstance(joined, str) else []
    return [*values, *(member_of(each) for each in (rows if isinstance(rows, list) else ()) if isinstance(each, dict))]


def member_of(row: Mapping[str, str]) -> str:
    """Return a row of `records_v2` as the emulator keeps it: `field:value`, with `&` between several fields."""
    return "&".join(f"{name}:{row[name]}" for name in sorted(row))


def _row(row: object) -> str:
    """Return a row of `records_v2` as a member, if it follows the API description 5.28."""
    if not isinstance(row, dict) or not row:
        message = "A row of records_v2 must be an object with at least one field."
        raise invalid_request(message)
    for name, value in row.items():
        if name not in _ROW_FIELDS:
            message = f"A field of a row of records_v2 must be one of {', '.join(_ROW_FIELDS)}."
            raise invalid_request(message)
        if not isinstance(value, str) or not value.strip():
            message = f"{name} in records_v2 must be a string that is not blank."
            raise invalid_request(message)
        if name in _DIGEST_FIELDS and not _DIGEST.fullmatch(value):
            message = f"{name} in records_v2 must be a SHA-1, SHA-256 or MD5 digest in hex."
            raise invalid_request(message)
    return member_of(row)


def page(
    query: Mapping[str, str], items: Sequence[_Item], id_of: Callable[[_Item], int], limit: int
) -> tuple[list[_Item], str | None]:
    """Return one page of items and the bookmark of the next.

    Args:
        query: the query parameters, of which `page_size`, `order` (by id) and `bookmark` are used.
        items: all items, in ascending order of their ids.
        id_of: returns the id of an item.
        limit: the largest page, whatever `page_size` says.

    Returns:
        The items of the page, and the bookmark of the next page; None if there is none.
    """
    size = _page_size(query)
    descending = choice(query, "order", _ORDERS, "ASCENDING") == "DESCENDING"
    # The bookmark holds the last id of the previous page, not a position, so that new items do not shift pages.
    if bookmark := query.get("bookmark"):
        last = _last_id(bookmark)
        items = [item for item in items if (id_of(item) < last if descending else id_of(item) > last)]
    ordered = list(reversed(items)) if descending else list(items)
    shown = ordered[: min(size, limit)]
    return shown, _bookmark(id_of(shown[-1])) if len(shown) < len(ordered) else None


def _page_size(query: Mapping[str, str]) -> int:
    """Return the page size that the query asks for: 1 to 250, by default 25."""
    raw = query.get("page_size", str(_DEFAULT_PAGE_SIZE))
    if not re.fullmatch("[0-9]{1,9}", raw) or not 1 <= int(raw) <= _LARGEST_PAGE_SIZE:
        message = f"page_size must be from 1 to {_LARGEST_PAGE_SIZE}."
        raise invalid_request(message)
    return int(raw)


def _bookmark(last_id: int) -> str:
    """Return an opaque bookmark for the items after an id."""
    return base64.urlsafe_b64encode(f"after:{last_id}".encode()).decode()


def _last_id(bookmark: str) -> int:
    """Return the id in a bookmark."""
    try:
        prefix, _, last = base64.b64decode(bookmark, altchars=b"-_", validate=True).decode().partition(":")
        if prefix == "after":
            return int(last)
    except (binascii.Error, ValueError):
        pass
    message = "bookmark is not valid."
    raise invalid_request(message)
