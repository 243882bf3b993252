"""The next problem of a list: one short sentence on what needs doing first. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from target_pinterest_audience.reporting.matching import USABLE_PEOPLE
from target_pinterest_audience.text.ages import age
from target_pinterest_audience.text.counts import several

_TOO_SMALL: Final = "TOO_SMALL"
"""Pinterest's status of an audience with too few people."""


class ListFacts(NamedTuple):
    """What is known of a list.

    Attributes:
        is_created: whether it exists at Pinterest.
        has_audience: whether an audience makes it available to campaigns; None if Pinterest was not asked.
        status: Pinterest's status of the audience; None if that is not known.
        members: how many identities belong on it, by the ledger.
        matched: how many people Pinterest recognises on it; None if that is not known.
        pending: how many identities runs noted and Pinterest has not accepted yet.
        silent_seconds: how long ago a run last read rows for it; None if that is not known.
        contributing_rows: how many rows contribute to it, by the ledger.
    """

    is_created: bool
    has_audience: bool | None
    status: str | None
    members: int
    matched: int | None
    pending: int
    silent_seconds: float | None
    contributing_rows: int


def next_problem(facts: ListFacts, stale_hours: float) -> str | None:
    """Return what needs doing first about a list; None if nothing does.

    Args:
        facts: what is known of it.
        stale_hours: after how many hours without rows somebody should look.
    """
    if not facts.is_created and not facts.contributing_rows:
        # It may be misspelt: a stream with `operation: remove` leaves such an entry, and creates no list.
        return "Not created yet: no row adds anyone."
    if not facts.is_created:
        return "Not created yet: run the target."
    if not facts.members:
        # Also if no rows came for long: a list that was retired is empty.
        return "Empty: no row contributes to it."
    if facts.silent_seconds is not None and facts.silent_seconds > stale_hours * 3_600:
        return f"Last rows {age(facts.silent_seconds)}: check the schedule and the tap."
    if facts.pending:
        return f"{several(facts.pending, 'identity is', 'identities are')} pending: run the target again."
    if facts.has_audience is False:
        return "No audience: create one with `audiences create`."
    return _too_small(facts)


def _too_small(facts: ListFacts) -> str | None:
    if facts.matched is not None and facts.matched >= USABLE_PEOPLE:
        return None
    if facts.members < USABLE_PEOPLE:
        return f"Too small: Pinterest needs {USABLE_PEOPLE} people. Add rows."
    if facts.matched is not None:
        return f"Too small: {facts.matched} of {USABLE_PEOPLE} people matched. Wait two days, or add rows."
    if facts.status == _TOO_SMALL:
        return f"Too small: Pinterest needs {USABLE_PEOPLE} people whom it recognises. Wait two days, or add rows."
    return None
