"""The ad account of the emulator, and what was written to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from target_pinterest_audience.emulator import Emulator

ACCOUNT = "549755885175"


TOKEN = "emulator-token"


@dataclass(frozen=True, slots=True)
class Write:
    """A change of a customer list that Pinterest accepted."""

    operation: str
    identities: frozenset[str]


Sent = Callable[[], list[Write]]
"""What the fixture `sent` is."""


def members(emulator: Emulator, name: str = "customers") -> frozenset[str]:
    (found,) = [each for each in emulator.backend.customer_lists() if each.name == name]
    return emulator.backend.members(found.id)
