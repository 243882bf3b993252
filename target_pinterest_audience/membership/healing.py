"""When a request that Pinterest did not answer can do no harm any more, and its identities are sent once more.

A request that timed out may still be on its way: in a gateway, a queue, or a worker at Pinterest. If it adds somebody
whom a later request has removed by then, the person stays on the list, although every later answer was a success.
Nothing can prevent that. So the ledger keeps the identities of each unanswered request, and a later run sends them once
more, in the direction that is right by then, when the old request cannot be carried out any more. Pure.
"""

from __future__ import annotations

from typing import Final

SAFE_SECONDS: Final = 900.0
"""How long an unanswered request may still be carried out, at least.

Pinterest states no limit. Gateways and load balancers give up a request after one to ten minutes, and so do the web
servers behind them; whatever is still at work after that has lost the connection that asked for it.
"""

_READ_TIMEOUTS: Final = 5
"""Whoever waits longer for an answer has seen slow ones: several such waits are safe."""

AT_ONCE: Final = 0.0
"""When something is due that the next run sends without healing it later: no request with it is unanswered."""


def safe_seconds(read_timeout_seconds: float) -> float:
    """Return how long to wait before identities are sent once more, counted from an answer that came after them.

    Args:
        read_timeout_seconds: how long requests wait for an answer.
    """
    return max(SAFE_SECONDS, _READ_TIMEOUTS * read_timeout_seconds)


def is_healing(due: float | None) -> bool:
    """Tell whether what a note names was accepted, and is only to be sent once more."""
    return due is not None and due != AT_ONCE


def is_due(due: float | None, now: float, safe: float) -> bool:
    """Tell whether a run sends what a note names.

    Args:
        due: when it may be sent; None: at once.
        now: seconds since 1970.
        safe: what `safe_seconds` returns. A time that is far beyond was written while a clock was wrong.
    """
    return due is None or due <= now or due > now + 2 * safe
