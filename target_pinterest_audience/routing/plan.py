"""Plans: which list each type of identity of a stream goes to, derived from settings and column names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.types import IDENTITY_TYPES, IdentityType, default_type
from target_pinterest_audience.records.paths import resolve
from target_pinterest_audience.routing.near_names import cannot_hold_identities, told_columns
from target_pinterest_audience.routing.wrong_names import hint_about
from target_pinterest_audience.settings import Mode, StreamSettings
from target_pinterest_audience.vocabulary import ListType

_SHARED = frozenset({ListType.EMAIL, ListType.IDFA, ListType.MAID, ListType.PHONE})
"""The list types whose identities share one list, unless `one_list_per_type` is set."""


class ListReference(NamedTuple):
    """How the settings choose a list: exactly one of the three is set. A tuple, since each row may look one up."""

    customer_list_id: str | None = None
    customer_list_name: str | None = None
    audience_id: str | None = None

    def __str__(self) -> str:
        """Return the name of the list for people."""
        if self.customer_list_id is not None:
            return f"customer list {self.customer_list_id}"
        if self.audience_id is not None:
            return f"the customer list of audience {self.audience_id}"
        return f'customer list "{self.customer_list_name}"'


@dataclass(frozen=True, slots=True)
class AudiencePlan:
    """The audience to make for a list."""

    name: str | None
    """The audience's name; None for the name of the list."""
    description: str | None


class IfMissing(Enum):
    """What to do if a list does not exist."""

    CREATE = "create it with the first additions"
    REFUSE = "fail: a stream that only removes has nothing to create it with"
    GO_ON = "go on: nobody is on the list, and nobody is to be added"


@dataclass(frozen=True, slots=True)
class ListPlan:
    """What a stream wants of one list.

    Attributes:
        reference: how the list is chosen.
        list_type: the type to create it with, if it must be created.
        if_missing: what to do if it does not exist.
        audience: the audience to make unless there is one; None to make none.
        is_nca: whether the list must be, or be created, for new customer acquisition; None if either will do.
        phones: whether a stream has phone columns for it.
    """

    reference: ListReference
    list_type: ListType
    if_missing: IfMissing
    audience: AudiencePlan | None
    is_nca: bool | None = None
    phones: bool = False


def merge(known: ListPlan, plan: ListPlan) -> ListPlan:
    """Combine what two streams want of one list.

    The audience is made if either stream wants one. A list with addresses has the type EMAIL, any other list the type
    that came first, and PHONE only if all its identities are phone numbers.

    Raises:
        ConfigurationError: the streams want different audiences for the list, or differ about `is_nca`.
    """
    if known.audience is not None and plan.audience is not None and known.audience != plan.audience:
        msg = (
            f"Two streams feed {plan.reference} and ask for different audiences. Give both the same `audience_name` "
            "and `audience_description`."
        )
        raise ConfigurationError(msg)
    if {known.is_nca, plan.is_nca} == {True, False}:
        msg = (
            f"Two streams feed {plan.reference}, one with `is_nca: true` and one with `is_nca: false`. A list can only "
            "be one or the other. Give both streams the same value, or different lists."
        )
        raise ConfigurationError(msg)
    return ListPlan(
        known.reference,
        list_type=_common(known.list_type, plan.list_type),
        if_missing=min(known.if_missing, plan.if_missing, key=list(IfMissing).index),
        audience=known.audience or plan.audience,
        is_nca=known.is_nca if known.is_nca is not None else plan.is_nca,
        phones=known.phones or plan.phones,
    )


def _common(first: ListType, second: ListType) -> ListType:
    if ListType.EMAIL in {first, second}:
        return ListType.EMAIL
    return second if first is ListType.PHONE else first


def find_columns(
    properties: Mapping[str, Any], stream: str, settings: StreamSettings, *, is_open: bool = False
) -> dict[str, IdentityType]:
    """Return the identity columns of a stream, with their types.

    Args:
        properties: column → its JSON schema.
        stream: the stream's name, for messages.
        settings: the stream's settings.
        is_open: whether records can have other columns, too, because the schema declares none.

    Returns:
        Column, or the text of a path into one → type; empty if there are none.

    Raises:
        ConfigurationError: there are none, although `streams` sets `identity_columns` or `operation: remove` for the
            stream.
    """
    found = {
        name: kind
        for name, kind in settings.identity_columns.items()
        if name in properties or resolve(name, properties, is_open=is_open) is not None
    }
    if not settings.identity_columns:
        by_name = {
            name: default_type(name) for name, schema in properties.items() if not cannot_hold_identities(schema)
        }
        found = {name: kind for name, kind in by_name.items() if kind is not None}
    if not found and "identity_columns" in settings.own:
        msg = (
            f"Stream {stream} has none of the columns in `identity_columns` "
            f"({', '.join(settings.identity_columns)}). Correct the names, set `streams.{stream}.identity_columns`, or "
            "deselect the stream in the tap."
        )
        msg += "".join(hint_about(name, properties) for name in settings.identity_columns)
        raise ConfigurationError(msg)
    if not found and settings.operation is Mode.REMOVE and "operation" in settings.own:
        msg = (
            f"Stream {stream} is to remove people (`operation` under `streams`), but has no identity column. "
            f"{told_columns(properties)} Set `streams.{stream}.identity_columns` to the right column, or deselect the "
            "stream in the tap."
        )
        raise ConfigurationError(msg)
    return found


def chosen_list(settings: StreamSettings) -> ListReference | None:
    """Return the list that the settings choose; None if the stream's name chooses it."""
    if settings.customer_list_id is not None:
        return ListReference(customer_list_id=settings.customer_list_id)
    if settings.audience_id is not None:
        return ListReference(audience_id=settings.audience_id)
    if settings.customer_list_name:
        return ListReference(customer_list_name=settings.customer_list_name)
    return None


class FormerLists(NamedTuple):
    """The lists that a source has fed, by their names for people.

    Attributes:
        own: lists that the settings in use feed or fed, or that no other settings are known to feed.
        others: lists that only other settings fed.
    """

    own: list[str]
    others: list[str]


def possible_lists(stream: str, settings: StreamSettings) -> set[ListReference]:
    """Return the lists that a stream can feed, whatever its identity columns are; without lists that its rows name.

    Args:
        stream: the stream's name.
        settings: its settings.
    """
    chosen = chosen_list(settings) or ListReference(customer_list_name=stream)
    if chosen.customer_list_name is None:
        return {chosen}
    types = {kind.list_type.value for kind in IDENTITY_TYPES.values()}
    return {chosen, *(ListReference(customer_list_name=f"{chosen.customer_list_name} - {each}") for each in types)}


def plan_lists(
    columns: Mapping[str, IdentityType], stream: str, settings: StreamSettings, list_name: str | None = None
) -> dict[IdentityType, ListPlan]:
    """Return the list that each type of identity of a stream goes to.

    Args:
        columns: the stream's identity columns and their types.
        stream: the stream's name, which becomes the list's name unless a setting chooses the list.
        settings: the stream's settings.
        list_name: the list name in some rows of the stream; None if the settings choose the list.

    Raises:
        ConfigurationError: a setting names one list by id, and the types need several lists.
    """
    kinds = [kind for kind in IDENTITY_TYPES.values() if kind in columns.values()]
    groups: dict[ListType | None, list[IdentityType]] = {}
    for kind in kinds:
        alone = settings.one_list_per_type or kind.list_type not in _SHARED
        groups.setdefault(kind.list_type if alone else None, []).append(kind)
    by_id = settings.customer_list_id is not None or settings.audience_id is not None
    if by_id and len(groups) > 1:
        setting = "customer_list_id" if settings.customer_list_id is not None else "audience_id"
        msg = (
            f"`{setting}` names one list, but the columns of stream {stream} need {len(groups)} "
            f"({', '.join(kind.name for kind in kinds)}). Use `customer_list_name`, or set `identity_columns` to the "
            "columns of one list."
        )
        raise ConfigurationError(msg)
    return {
        kind: _plan(group, members, list_name or stream, settings)
        for group, members in groups.items()
        for kind in members
    }  # fmt: skip


def _plan(group: ListType | None, members: list[IdentityType], name: str, settings: StreamSettings) -> ListPlan:
    suffix = f" - {group.value}" if group is not None else ""
    reference = chosen_list(settings) or ListReference(customer_list_name=name)
    if reference.customer_list_name is not None:
        reference = ListReference(customer_list_name=f"{reference.customer_list_name}{suffix}")
    adds = settings.operation is Mode.ADD
    audience = None
    if adds and settings.create_audience and settings.audience_id is None:
        called = f"{settings.audience_name}{suffix}" if settings.audience_name is not None else None
        audience = AudiencePlan(called, settings.audience_description)
    # A list name in a row is no wrong setting: nobody is on a list that does not exist.
    without = IfMissing.REFUSE if settings.list_name_column is None else IfMissing.GO_ON
    if_missing = IfMissing.CREATE if adds else without
    phones = any(kind.list_type is ListType.PHONE for kind in members)
    return ListPlan(reference, members[0].list_type, if_missing, audience, settings.is_nca, phones)
