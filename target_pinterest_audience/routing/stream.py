"""What is known of the rows of a stream from its schema and the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from target_pinterest_audience.identities.tally import StreamTally
    from target_pinterest_audience.identities.types import IdentityType
    from target_pinterest_audience.routing.plan import ListPlan


@dataclass(frozen=True, slots=True)
class StreamShape:
    """What is known of a stream's rows from its schema and settings.

    Attributes:
        raw_stream: its name as the tap gives it, which is what STATE speaks of.
        properties: all columns in its schema.
        source: the source that its rows belong to.
        key_properties: the columns that tell its rows apart; none if each identity is its own row.
        key_schemas: key property → its JSON schema.
        columns: identity column → its type.
        plan: returns for each identity column the list that its identities go to, if their rows name it so; for None,
            if the settings choose it.
        routed: whether rows name their lists.
        removes: whether it names people who must not be on the list.
        overwrites: whether `prune` may remove whom it does not name.
        tally: counts what becomes of its values.
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
