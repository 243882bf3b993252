"""Counts what a run sends to one list."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from target_pinterest_audience.vocabulary import Cause


@dataclass(slots=True)
class ListTally:
    """The counts of one list."""

    added: int = 0
    removed: int = 0
    needless: int = 0
    """Identities for a list that does not exist and that the plan does not create."""
    refused: int = 0
    """Single identities that Pinterest refused."""
    requests: int = 0
    """Requests that Pinterest accepted or refused."""
    causes: Counter[Cause] = field(default_factory=Counter)
    """Why identities were removed."""
