"""The fencing number: how a process finds out that it lost its locks.

A lock can be lost without a sign: an older version, which knows other locks, works on a SQLite ledger, or PostgreSQL
ends the session. So whoever takes a lock writes a number of its own into the ledger, over that of the holder before. A
process holds its locks as long as its number stands at all of them. In SQLite the number is the lock: see `claims`.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from target_pinterest_audience.errors import LedgerError

COUNT: Final = "SELECT count(*) FROM fences WHERE number = ?"
"""Counts the locks at which a number stands: one statement, however many locks there are."""


def lock_key(name: str) -> int:
    """Return the number by which the ledger knows a lock."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"pinterest lists")
    return int.from_bytes(digest.digest(), "big", signed=True)


def new_number() -> int:
    """Return a fencing number that no other process has.

    It is random and does not count up: a ledger that was restored from a backup, or a standby that lagged behind when
    it took over, would give the same count twice.
    """
    return secrets.randbits(62) + 1


def lost(where: str, reason: str, advice: str) -> LedgerError:
    """Return the error of a process that lost its locks.

    Args:
        where: names the ledger, as the beginning of a sentence.
        reason: what happened, as a sentence.
        advice: what to do, as sentences.
    """
    return LedgerError(
        f"{where}: this run lost its locks on the customer lists. {reason} Nothing more is sent or written. What was "
        f"being sent stays noted, and the next run sends it. {advice}"
    )
