"""The messages about phone numbers that Pinterest does not accept for a list. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from target_pinterest_audience.routing.plan import ListReference
from target_pinterest_audience.text.counts import several

_FEW_LISTS: Final = 3
"""How many lists a message names."""


class RefusedPhones(NamedTuple):
    """The phone numbers of a list that were not delivered, because Pinterest accepts no phone numbers for the list.

    Attributes:
        reason: what Pinterest answered.
        new: how many came from rows of the stream.
        resent: how many an earlier run left.
        removals: how many of both were to be removed from the list.
    """

    reason: str
    new: int
    resent: int
    removals: int = 0


def phones_refused(lists: Mapping[ListReference, RefusedPhones]) -> str:
    """Return the error message of a run that could not deliver phone numbers to these lists."""
    names = list(map(str, lists))
    others = len(names) - _FEW_LISTS
    where = ", ".join(names[:_FEW_LISTS]) + (f" and {several(others, 'other', 'others')}" if others > 0 else "")
    count = sum(each.new + each.resent for each in lists.values())
    removals = sum(each.removals for each in lists.values())
    advice = (
        _stay_on_list(removals)
        if removals
        else "Leave the phone columns out (`identity_columns`), or ask Pinterest to let the ad account use "
        "`records_v2`."
    )
    reason = next(iter(lists.values())).reason
    return (
        f"Pinterest refused all phone numbers for {where}, and accepted everything else. {reason} {advice} "
        f"The next run tries {several(count, 'phone number', 'phone numbers')} again."
    )


def phones_still_wait(reference: ListReference, refused: RefusedPhones) -> str:
    """Return the warning of a run that only tried the phone numbers of earlier runs again."""
    return (
        f"{reference}: Pinterest refused {several(refused.resent, 'phone number', 'phone numbers')} of earlier runs "
        "once more. They stay pending in the ledger, and each run tries them again."
        + (f" {_stay_on_list(refused.removals)}" if refused.removals else "")
    )


def _stay_on_list(removals: int) -> str:
    """Return the advice about phone numbers that Pinterest does not remove."""
    return (
        f"{several(removals, 'phone number was', 'phone numbers were')} to be removed and may still be on the list. "
        "Ask Pinterest to let the ad account use `records_v2`: until then nobody is removed by phone number. Leaving "
        "the phone columns out does not help these people."
    )
