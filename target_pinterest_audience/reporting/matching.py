"""Matched people, in words: the match rate of a list, and whether campaigns can target it. Pure."""

from __future__ import annotations

from typing import Final

from target_pinterest_audience.text.counts import several

USABLE_PEOPLE: Final = 100
"""How many matched people Pinterest needs on a list before it can be targeted (Pinterest's help pages)."""


_TOO_SMALL: Final = "TOO_SMALL"


def why_untargetable(members: int | None, matched: int | None, status: str | None = None) -> str | None:
    """Return a sentence if a list has too few people to be targeted; None if it has enough, or may have.

    Args:
        members: how many identities belong on the list, by the ledger; None if that is not known.
        matched: how many people Pinterest has matched; None if it has not reported that.
        status: Pinterest's status of the audience, or of the list.
    """
    needed = f"Pinterest needs {USABLE_PEOPLE} people whom it recognises"
    if matched is not None:
        if matched >= USABLE_PEOPLE:
            return None
        known = "no one" if not matched else several(matched, "person", "people")
        return f"It cannot be targeted: Pinterest recognises {known} on it so far. {needed}."
    if members is not None and members < USABLE_PEOPLE:
        most = f"at most {several(members, 'person is', 'people are')} on it" if members else "no one is on it"
        return f"It cannot be targeted: {most}. {needed}."
    return f"It cannot be targeted: its status is {status}. {needed}." if status == _TOO_SMALL else None


def percent_words(percent: float | None) -> str | None:
    """Return a match rate for people, such as `67.5 %`; None if it is not known."""
    return None if percent is None else f"{percent:,.1f} %"
