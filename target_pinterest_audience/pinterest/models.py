"""What Pinterest answers with, as far as it is used; everything but the id is optional (API description 5.28).

A field that nothing here reads has no place in these types: its form must not be able to fail a run.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec

_DIGITS: Final = r"^[0-9]+\Z"

_PRINTABLE: Final = r"^[!-~]+\Z"
"""What can stand in a header, and is not empty."""

Id = Annotated[str, msgspec.Meta(pattern=_DIGITS)]
"""Digits (fact of the API description 5.23); it becomes part of addresses."""


class CustomerList(msgspec.Struct, frozen=True):
    """A customer list. `exceptions` says what went wrong with a request that was answered as a success."""

    id: Id
    name: str | None = None
    exceptions: Any = None
    status: Any = None
    """PROCESSING, READY, TOO_SMALL or UPLOADING (API description 5.28)."""
    num_uploaded_user_records: Any = None
    num_removed_user_records: Any = None
    updated_time: Any = None
    """Unix seconds."""


class Audience(msgspec.Struct, frozen=True):
    """An audience: what campaigns target."""

    id: Id
    name: Any = None
    audience_type: str | None = None
    rule: Any = None
    """What the audience is made of; its form depends on the type."""
    status: Any = None
    size: Any = None
    """People whom Pinterest found; nothing while it is looking."""
    updated_timestamp: Any = None
    """Unix seconds."""

    @property
    def customer_list_id(self) -> str | None:
        """The list that the audience stands for, if it is made of one."""
        if self.audience_type not in {"CUSTOMER_LIST", None} or not isinstance(self.rule, dict):
            return None
        list_id = self.rule.get("customer_list_id")
        return str(list_id) if re.match(_DIGITS, str(list_id)) else None


class AdAccount(msgspec.Struct, frozen=True):
    """An ad account."""

    id: str
    name: Any = None
    permissions: Any = None
    """The roles that the person has in it who signed in."""


class Tokens(msgspec.Struct, frozen=True):
    """The answer to a token request. It comes once: the refresh token that was sent is worth nothing afterwards."""

    access_token: Annotated[str, msgspec.Meta(pattern=_PRINTABLE)]
    refresh_token: Any = None
    """See `new_refresh_token`."""
    expires_in: Any = None
    """Seconds that the access token lives: 30 days (fact of the API description 5.23)."""
    refresh_token_expires_in: Any = None
    """Seconds that the refresh token lives: 60 days, anew with each exchange; older apps' end for good."""
    scope: Any = None
    """The scopes of the access token, with blanks or commas between them."""

    @property
    def new_refresh_token(self) -> str | None:
        """The refresh token that takes the place of the one that was sent; None if none came, or what came is none."""
        token = self.refresh_token
        return token if isinstance(token, str) and re.match(_PRINTABLE, token) else None


class Page(msgspec.Struct, frozen=True):
    """One page of a listing; without a bookmark it is the last."""

    items: list[msgspec.Raw]
    bookmark: str | None = None
