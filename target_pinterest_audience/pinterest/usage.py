"""What uses an audience: ad groups, campaigns and customer segments (API description 5.28)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from target_pinterest_audience.pinterest.errors import (
    NotFoundError,
    NotPermittedError,
    PinterestError,
    RateLimitedError,
    RefusedError,
    UnavailableError,
)
from target_pinterest_audience.pinterest.models import CustomerSegment, Id

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.client import PinterestClient

_UNSAID: Final = (NotFoundError, NotPermittedError, RateLimitedError, RefusedError, UnavailableError)
"""The errors after which a command continues without knowing the uses. After others, it cannot continue at all."""

_DORMANT: Final = frozenset({"PAUSED", "ARCHIVED", "DRAFT", "DELETED_DRAFT", "DELETED"})
"""The statuses of what shows no ads. A status that is missing or unknown counts as active."""

_MOST_NAMES: Final = 5
"""How many ad groups and campaigns a message names."""

_NO_SEGMENT: Final = "0"
"""Clears the customer segment of an ad group (API description 5.28)."""


class AdGroup(msgspec.Struct, frozen=True):
    """An ad group."""

    id: Id
    name: Any = None
    status: Any = None
    targeting_spec: Any = None
    """`AUDIENCE_INCLUDE` and `AUDIENCE_EXCLUDE` are documented as ids of customer lists; the examples are ids of
    audiences."""
    customer_segment_id: Any = None


class Campaign(msgspec.Struct, frozen=True):
    """A campaign."""

    id: Id
    name: Any = None
    status: Any = None
    performance_plus_campaign_settings: Any = None
    """`pinner_list_exclusions` has the ids of lists that the whole campaign excludes."""


class How(str, Enum):
    """How something uses an audience. The values are shown to people."""

    INCLUDES = "includes"
    EXCLUDES = "excludes"
    HOLDS = "holds"
    """A customer segment holds it."""
    USES_SEGMENT = "uses a customer segment that holds"
    """Pinterest does not document whether the ad group then shows ads to the segment, or to everyone else."""


class Use(NamedTuple):
    """One thing that uses an audience.

    Attributes:
        kind: `ad group`, `campaign` or `customer segment`.
        id: its id.
        name: its name; None if Pinterest did not report it.
        status: its status; None if Pinterest did not report it.
        how: how it uses the audience.
        active: whether it may show ads.
    """

    kind: str
    id: str
    name: str | None
    status: str | None
    how: How
    active: bool

    @property
    def may_keep_ads_away(self) -> bool:
        """Whether it may be what keeps ads away from the people of the audience."""
        return self.active and self.how in {How.EXCLUDES, How.USES_SEGMENT}

    @property
    def told(self) -> str:
        """What uses the audience, and how, as a sentence that lacks the audience."""
        name = f' "{self.name}"' if self.name is not None else ""
        status = "" if self.status is None else f", {self.status}"
        return f"{self.kind}{name} (id {self.id}{status}) {self.how.value}"


class Usage(NamedTuple):
    """Everything that uses an audience, as far as Pinterest reported it.

    Attributes:
        uses: the ad groups, campaigns and customer segments.
        unread: what could not be read, and why, as sentences.
        is_certain: whether every ad group and campaign that excludes the audience is in `uses`.
    """

    uses: tuple[Use, ...]
    unread: tuple[str, ...]
    is_certain: bool


class _FormError(UnavailableError):
    """An answer names audiences in a form that the API description does not have."""


def read_usage(client: PinterestClient, ids: Collection[str]) -> Usage:
    """Return what uses an audience.

    Args:
        client: the ad account.
        ids: the ids of the audience and of its customer list: campaigns may name it by either.

    Raises:
        PinterestError: Pinterest could not be asked anything at all, for example because the token is not valid.
    """
    uses: list[Use] = []
    unread: list[str] = []
    holding: set[str] | None = None
    try:
        uses += _segments(client, ids)
        holding = {each.id for each in uses}
    except _UNSAID as error:
        unread.append(_unread("customer segments", error))
    is_certain = True
    try:
        for use in _ad_groups(client, ids, holding):
            uses.append(use)
            # Without the segments, nobody knows what the segment of an ad group holds.
            is_certain = is_certain and not (holding is None and use.how is How.USES_SEGMENT and use.active)
    except _UNSAID as error:
        is_certain = False
        unread.append(_unread("ad groups", error))
    try:
        uses += _campaigns(client, ids)
    except _UNSAID as error:
        is_certain = False
        unread.append(_unread("campaigns", error))
    if holding is None:
        uses = [each for each in uses if each.how is not How.USES_SEGMENT]
    return Usage(tuple(sorted(uses, key=lambda each: not each.may_keep_ads_away)), tuple(unread), is_certain)


def told_uses(uses: Sequence[Use]) -> str:
    """Return what uses `it`, a list or audience, in words; only the first few by name."""
    names = "; ".join(f"{each.told} it" for each in uses[:_MOST_NAMES])
    rest = len(uses) - _MOST_NAMES
    return names + (f"; and {rest:,} more" if rest > 0 else "")


def usage_of_list(client: PinterestClient, customer_list_id: str) -> Usage:
    """Return what uses a customer list, or an audience that is made of it. Raises as `read_usage` does."""
    audiences = {each.id for each in client.audiences() if each.customer_list_id == customer_list_id}
    return read_usage(client, {customer_list_id, *audiences})


def _unread(what: str, error: PinterestError) -> str:
    return f"Pinterest did not show the {what} of the ad account. {error}"


def _segments(client: PinterestClient, ids: Collection[str]) -> Iterator[Use]:
    for each in client.customer_segments():
        if each.status != "DELETED" and not _ids(each.audience_ids).isdisjoint(ids):
            yield _use("customer segment", each, How.HOLDS)


def _ad_groups(client: PinterestClient, ids: Collection[str], holding: Collection[str] | None) -> Iterator[Use]:
    """Yield the uses by ad groups; if it is not known which segments hold the audience, by those with any segment."""
    for each in client.listing("ad_groups", AdGroup):
        targeting = _object(each.targeting_spec)
        for key, how in (("AUDIENCE_EXCLUDE", How.EXCLUDES), ("AUDIENCE_INCLUDE", How.INCLUDES)):
            if not _ids(targeting.get(key)).isdisjoint(ids):
                yield _use("ad group", each, how)
        segment = _ids(each.customer_segment_id) - {_NO_SEGMENT}
        if segment and (holding is None or not segment.isdisjoint(holding)):
            yield _use("ad group", each, How.USES_SEGMENT)


def _campaigns(client: PinterestClient, ids: Collection[str]) -> Iterator[Use]:
    for each in client.listing("campaigns", Campaign):
        settings = _object(each.performance_plus_campaign_settings)
        if not _ids(settings.get("pinner_list_exclusions")).isdisjoint(ids):
            yield _use("campaign", each, How.EXCLUDES)


def _use(kind: str, found: AdGroup | Campaign | CustomerSegment, how: How) -> Use:
    name, status = (value if isinstance(value, str) else None for value in (found.name, found.status))
    return Use(kind, found.id, name, status, how, status not in _DORMANT)


def _object(value: object) -> dict[str, object]:
    """Return an object in an answer; empty for null.

    Raises:
        _FormError: it is something else.
    """
    if value is None or isinstance(value, dict):
        return value or {}
    raise _FormError(_ODD)


def _ids(value: object) -> frozenset[str]:
    """Return the ids in an answer: a list of them, a single one, or null.

    Raises:
        _FormError: it is something else, in which an exclusion might hide.
    """
    values = value if isinstance(value, list) else [value] if value is not None else []
    if not all(isinstance(each, (str, int)) for each in values):
        raise _FormError(_ODD)
    return frozenset(map(str, values))


_ODD: Final = "Its answer names audiences in a form that the API description does not have."
