"""Fencing numbers: how a process finds out that it lost its locks.

A lock can be lost without a sign: an older version of this target, which knows other locks, works on a SQLite ledger,
or PostgreSQL ends the session. So a process that takes a lock writes its own number into the ledger, over the number of
the former holder. It holds its locks as long as its number stands at all of them. In SQLite the number is the lock; see
`sqlite.claims`.

A newer version upgrades the tables without waiting for the locks, and a process of an older version would go on to
write what the new tables do not allow for, such as rows that a new count leaves out. So it loses its locks, too.
"""

from __future__ import annotations

import hashlib
import secrets

from target_pinterest_audience.errors import LedgerError


def lock_key(name: str) -> int:
    """Return the number of a lock in the ledger."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"pinterest lists")
    return int.from_bytes(digest.digest(), "big", signed=True)


def new_number() -> int:
    """Return a fencing number that no other process has.

    It is random and not a counter: a ledger that was restored from a backup, or a standby that lagged behind when it
    took over, would give the same count twice.
    """
    return secrets.randbits(62) + 1


def lost(where: str, reason: str, advice: str) -> LedgerError:
    """Return the error of a process that lost its locks.

    Args:
        where: the ledger, as the beginning of a sentence.
        reason: what happened, as a sentence.
        advice: what to do, as sentences.
    """
    return LedgerError(
        f"{where}: this run lost its locks on the customer lists. {reason} Nothing more is sent or written. The "
        f"ledger keeps what was being sent, and the next run sends it. {advice}"
    )


def upgraded(where: str) -> LedgerError:
    """Return the error of a process whose ledger a newer version upgraded.

    Args:
        where: the ledger, as the beginning of a sentence.
    """
    reason = "A newer version of this target upgraded the ledger while this run was at work."
    return lost(where, reason, "Let all runs use one version, and run again.")
