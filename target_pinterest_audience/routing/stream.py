"""The shape of a stream: what its schema and the settings say about its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from target_pinterest_audience.identities.tally import StreamTally
    from target_pinterest_audience.identities.types import IdentityType
    from target_pinterest_audience.routing.holdout import HoldOut
    from target_pinterest_audience.routing.plan import ListPlan


@dataclass(frozen=True, slots=True)
class StreamShape:
    """What the schema and the settings of a stream say about its rows.

    Attributes:
        raw_stream: its name in the tap's messages, which STATE uses.
        properties: all columns in its schema.
        source: the source of its rows.
        key_properties: the columns of the key; none if each identity is a row of its own.
        key_schemas: key property → its JSON schema.
        columns: identity column → its type.
        plan: returns the list for the identities in each column, given the list name in a row, or None if the settings
            choose the list.
        routed: whether rows name their lists.
        removes: whether the people in the stream must not be on the list.
        overwrites: whether `prune` may remove people who are missing from the stream.
        tally: counts the outcomes of its values.
        holdout: the share of its people who are kept off the lists; None if there is none.
        row_rules: the settings by which its rows refuse (`refusal`), and are deleted (`deletion`), as JSON values.
    """

    raw_stream: str
    properties: tuple[str, ...]
    source: str
    key_properties: tuple[str, ...]
    key_schemas: Mapping[str, Any]
    columns: Mapping[str, IdentityType]
    plan: Callable[[str | None], Mapping[str, ListPlan]]
    routed: bool
    removes: bool
    overwrites: bool
    tally: StreamTally
    holdout: HoldOut | None = None
    row_rules: Mapping[str, Any] = field(default_factory=dict)
