"""Why people were removed, as counts for each request that removed some. Nobody is named, not even by a digest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from target_pinterest_audience.counts import identities
from target_pinterest_audience.membership import Cause

_WORDS: Final[Mapping[str, str]] = {
    "delete": "deleted",
    "change": "changed",
    "refusal": "refused",
    "prune": "pruned",
    "clear": "cleared",
    "forget": "forgotten",
    "unfinished": "left by a run that was cut short",
    "repeated": "removed once more",
}


class AcceptedRemoval(NamedTuple):
    """A request that removed identities from a list.

    Attributes:
        accepted: when Pinterest accepted it, in seconds since 1970.
        causes: why, and how many for each cause.
        request_id: Pinterest's id of the request, which its support asks for; None if the answer had none.
    """

    accepted: float
    causes: Mapping[Cause, int]
    request_id: str | None


def tell_removal(removal: AcceptedRemoval, name: str | None, customer_list_id: str) -> str:
    """Tell a removal as one sentence, for the log.

    Args:
        removal: what Pinterest accepted.
        name: the list's name.
        customer_list_id: its id.
    """
    return (
        f'Removed {identities(sum(removal.causes.values()))} from customer list "{name}" (id {customer_list_id}): '
        f"{told(by_name(removal.causes))} ({_request(removal)})."
    )


def _request(removal: AcceptedRemoval) -> str:
    return f"request id {removal.request_id}" if removal.request_id is not None else "the answer had no request id"


def by_name(causes: Mapping[Cause, int]) -> dict[str, int]:
    """Return counts under the names by which reports and the ledger know causes, the greatest first."""
    in_order = sorted(causes.items(), key=lambda each: (-each[1], each[0]))
    return {cause.name.lower(): count for cause, count in in_order}


def told(causes: Mapping[str, int]) -> str:
    """Tell counts, as `by_name` returns them, as one clause."""
    return ", ".join(f"{count:,} {_WORDS.get(name, name)}" for name, count in causes.items())
