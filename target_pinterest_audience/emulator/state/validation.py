"""The rules of Pinterest's API description 5.23 for ids, fields and query parameters.

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


def records(body: JsonObject) -> list[str]:
    """Return the values of `records`, of which there must be at least one. Duplicates stay."""
    if "records_v2" in body:
        message = (
            "Exactly one of records and records_v2 is required."
            if "records" in body
            else "This emulator does not support records_v2; send records."
        )
        raise invalid_request(message)
    values = split_records(required_text(body, "records"))
    if not values:
        message = "records is empty."
        raise invalid_request(message)
    return values


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
