"""Lets runs again add people whom `forget` keeps out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import TYPE_CHECKING

from target_pinterest_audience.identities.packed import member_key
from target_pinterest_audience.membership.healing import AT_ONCE

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.reconcile.locks import Locks


def readmit(ledger: Ledger, locks: Locks, identities: Collection[bytes]) -> int:
    """Lift the suppression of identities, and note the addition of those that rows contribute already.

    Args:
        ledger: the ledger.
        locks: takes the locks of all lists in the ledger.
        identities: all forms in which a list may contain the people, packed.

    Returns:
        How many of these forms were suppressed.

    Raises:
        LedgerError: the ledger cannot be written, or another process holds a lock.
    """
    locks.take_all()
    catalogue = ledger.catalogue
    packed_of = {member_key(packed): packed for packed in identities}

    def lift() -> int:
        locks.refuse_newcomers()
        lifted = 0
        back: defaultdict[int, list[bytes]] = defaultdict(list)
        for key, packed in sorted(packed_of.items()):
            lists = catalogue.suppressions.lift(key)
            lifted += lists is not None
            for number in lists or ():
                back[number].append(packed)
        for number, some in sorted(back.items()):
            ledger.notes.add(number, some, due=AT_ONCE)
            catalogue.lists.change_members(number, len(some))
        return lifted

    return ledger.transact(lift)
