"""What Pinterest answers with, as far as it is used; everything but the id is optional (API description 5.28)."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec


class Operation(str, Enum):
    """What a PATCH of a customer list does with its records."""

    ADD = "ADD"
    REMOVE = "REMOVE"


class CustomerList(msgspec.Struct, frozen=True):
    """A customer list. The counters count what was sent, known or not: they are not the list's size."""

    id: str
    name: str = ""
    status: str | None = None
    num_batches: float | None = None
    num_uploaded_user_records: float | None = None
    num_removed_user_records: float | None = None
    exceptions: Any = None


class AudienceRule(msgspec.Struct, frozen=True):
    """What an audience is made of; a CUSTOMER_LIST audience names its list."""

    customer_list_id: str | None = None


class Audience(msgspec.Struct, frozen=True):
    """An audience: what campaigns target."""

    id: str
    name: str | None = None
    audience_type: str | None = None
    rule: AudienceRule | None = None
    status: str | None = None
    size: int | None = None

    @property
    def customer_list_id(self) -> str | None:
        """The list that the audience stands for, if it is made of one."""
        if self.audience_type not in {"CUSTOMER_LIST", None} or self.rule is None:
            return None
        return self.rule.customer_list_id


class AdAccount(msgspec.Struct, frozen=True):
    """An ad account and what the caller may do in it."""

    id: str
    name: str | None = None
    permissions: list[str] = []


class Tokens(msgspec.Struct, frozen=True):
    """The answer to a token request; lifetimes are in seconds."""

    access_token: str
    expires_in: int | None = None
    refresh_token: str | None = None
    refresh_token_expires_in: int | None = None


class Page(msgspec.Struct, frozen=True):
    """One page of a listing; without a bookmark it is the last."""

    items: list[msgspec.Raw] = []
    bookmark: str | None = None
