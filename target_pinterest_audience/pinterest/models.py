"""Pinterest's response bodies; everything but the id is optional (API description 5.28).

They declare only fields that the package reads: no other field's form can fail a run.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec

_DIGITS: Final = r"^[0-9]+\Z"

_PRINTABLE: Final = r"^[!-~]+\Z"
"""Text that a header can hold, and that is not empty."""

_NOTHING: Final = frozenset({"null", "none"})
"""How programs write a missing value as text."""

_MATCHING: Final = "INITIALIZING"
"""The status of an audience whose people Pinterest is still matching (API description 5.28)."""

Id = Annotated[str, msgspec.Meta(pattern=_DIGITS)]
"""Digits (fact of the API description 5.23): the id becomes part of a URL."""


class CustomerList(msgspec.Struct, frozen=True):
    """A customer list."""

    id: Id
    name: str | None = None
    exceptions: Any = None
    """Why a request failed that has a status of success."""
    status: Any = None
    """PROCESSING, READY, TOO_SMALL or UPLOADING (API description 5.28)."""
    num_uploaded_user_records: Any = None
    num_removed_user_records: Any = None
    updated_time: Any = None
    """Unix time in seconds."""
    is_nca: Any = None
    """Whether the list is for new customer acquisition. Recorded live calls have it in the listing only."""

    @property
    def acquires_new_customers(self) -> bool | None:
        """Whether the list is for new customer acquisition; None if the response does not report it."""
        return self.is_nca if isinstance(self.is_nca, bool) else None


class Audience(msgspec.Struct, frozen=True):
    """An audience: what campaigns target."""

    id: Id
    name: Any = None
    audience_type: str | None = None
    rule: Any = None
    """The definition of the audience. Its form depends on the type, and varies: in answers, `percentage` is a number or
    a text, and `seed_id` and `visitor_source_id` are an id or a list of ids (API description 5.28)."""
    status: Any = None
    size: Any = None
    """How many people Pinterest matched; null while it is matching."""
    updated_timestamp: Any = None
    """Unix time in seconds."""
    is_nca: Any = None
    """Whether the audience comes from a list for new customer acquisition."""

    @property
    def matched(self) -> int | None:
        """How many people Pinterest has matched; None while it is matching, when live answers show null or 0."""
        if not isinstance(self.size, int) or isinstance(self.size, bool):
            return None
        return None if not self.size and self.status == _MATCHING else self.size

    @property
    def customer_list_id(self) -> str | None:
        """The customer list that the audience is made of; None if it is made of something else."""
        if self.audience_type not in {"CUSTOMER_LIST", None} or not isinstance(self.rule, dict):
            return None
        list_id = self.rule.get("customer_list_id")
        return str(list_id) if re.match(_DIGITS, str(list_id)) else None


class CustomerSegment(msgspec.Struct, frozen=True):
    """A customer segment: audiences that count as existing customers in Performance+ campaigns."""

    id: Id
    name: Any = None
    audience_ids: Any = None
    status: Any = None
    """ACTIVE or DELETED (API description 5.28)."""
    updated_time: Any = None
    """Unix time in seconds."""
    sizing: Any = None
    """The estimated size, if it was asked for. The description has the parameter and names no field for the answer;
    targeting templates, which have the same parameter, name it so. No live call is known."""


class AdAccount(msgspec.Struct, frozen=True):
    """An ad account."""

    id: str
    name: Any = None
    permissions: Any = None
    """The roles in the account of the person who signed in."""


class Tokens(msgspec.Struct, frozen=True):
    """The response to a token request. It comes only once: the refresh token that was sent is invalid afterwards.

    A body without any valid token is no response to a token request, and is not decoded.
    """

    access_token: Any = None
    """The access token, unchecked: use `new_access_token`."""
    refresh_token: Any = None
    """The next refresh token, unchecked: use `new_refresh_token`."""
    expires_in: Any = None
    """The lifetime of the access token in seconds: 30 days (fact of the API description 5.23)."""
    refresh_token_expires_in: Any = None
    """The lifetime of the refresh token in seconds: 60 days, renewed with each exchange except for older apps."""
    scope: Any = None
    """The scopes of the access token, separated by blanks or commas."""

    def __post_init__(self) -> None:
        """Check that there is a token.

        Raises:
            ValueError: there is none.
        """
        if self.new_access_token is None and self.new_refresh_token is None:
            msg = "no token"
            raise ValueError(msg)

    @property
    def new_access_token(self) -> str | None:
        """The access token; None if the response has no valid one."""
        return _token(self.access_token)

    @property
    def new_refresh_token(self) -> str | None:
        """The refresh token that replaces the one that was sent; None if the response has no valid one."""
        token = _token(str(self.refresh_token).strip())
        return token if isinstance(self.refresh_token, str) and token != str(self.access_token).strip() else None


def _token(value: object) -> str | None:
    """Return a token from a response; None if it is not one."""
    is_token = isinstance(value, str) and re.match(_PRINTABLE, value) and value.lower() not in _NOTHING
    return str(value) if is_token else None


class Page(msgspec.Struct, frozen=True):
    """One page of a listing. The last page has no bookmark."""

    items: list[msgspec.Raw]
    bookmark: str | None = None
