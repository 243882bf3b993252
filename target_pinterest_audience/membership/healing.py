"""Healing: identities are sent once more after a request that Pinterest did not answer. Pure.

A request that timed out may still be on its way: in a gateway, a queue, or a worker at Pinterest. If it adds a person
after a later request has removed them, the person stays on the list, although every later answer was a success. Nothing
can prevent that. So the ledger keeps the identities of each unanswered request. Once Pinterest cannot carry the old
request out any more, a later run adds or removes them again, whichever is right by then.
"""

from __future__ import annotations

from typing import Final

SAFE_SECONDS: Final = 900.0
"""The shortest time after which an unanswered request counts as dead.

Pinterest states no limit. Gateways, load balancers and the web servers behind them give up a request after one to ten
minutes; a worker that goes on after that has lost the connection of the request.
"""

_READ_TIMEOUTS: Final = 5
"""How many read time-outs are safe: a long time-out was probably set because answers are slow."""

AT_ONCE: Final = 0.0
"""The due time of notes that the next run sends and that need no healing: no request for them is unanswered."""

REFUSED: Final = -1.0
"""The same for identities that Pinterest has refused one by one, while it accepted others. They prove nothing about the
requests that carry them, however often they are refused."""

REFUSED_UNDER_WAY: Final = -2.0
"""The due time of notes of `REFUSED` once a run sends them: a request with them may be under way."""

_SENT: Final = {AT_ONCE: None, REFUSED: REFUSED_UNDER_WAY}
_AT_REST: Final = {None: AT_ONCE, REFUSED_UNDER_WAY: REFUSED}


def safe_seconds(read_timeout_seconds: float) -> float:
    """Return how many seconds after a later answer the identities of an unanswered request are sent once more.

    Args:
        read_timeout_seconds: how long requests wait for an answer.
    """
    return max(SAFE_SECONDS, _READ_TIMEOUTS * read_timeout_seconds)


def is_healing(due: float | None) -> bool:
    """Return whether the identities of a note were accepted and only wait to be sent once more.

    Args:
        due: when to send them, as Unix time; None: at once.
    """
    return due is not None and due > AT_ONCE


def may_be_under_way(due: float | None) -> bool:
    """Return whether a request with the identities of a note may have left and not been answered.

    Args:
        due: when to send them; see the constants of this module.
    """
    return due is None or due == REFUSED_UNDER_WAY


def was_refused(due: float | None) -> bool:
    """Return whether Pinterest has refused each identity of a note by itself.

    Args:
        due: when to send them; see the constants of this module.
    """
    return due in {REFUSED, REFUSED_UNDER_WAY}


def once_sent(due: float) -> float | None:
    """Return the due time of a note from the moment on when it is sent."""
    return _SENT.get(due)


def once_answered(due: float | None) -> float | None:
    """Return the due time of a note once it is certain that no request with it is under way."""
    return _AT_REST.get(due, due)


def is_due(due: float | None, now: float, safe: float) -> bool:
    """Return whether a run sends the identities of a note.

    Args:
        due: when to send them, as Unix time; None: at once.
        now: Unix time.
        safe: the result of `safe_seconds`. A due time far beyond it was written while a clock was wrong.
    """
    return due is None or due <= now or due > now + 2 * safe
