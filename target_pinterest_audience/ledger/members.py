"""Members: how many rows contribute each identity to a list, and how many refuse it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_pinterest_audience.membership.counts import Count


class Members(ABC):
    """The counts of statements about each identity. They are derived from what rows say, and kept in step with it."""

    @abstractmethod
    def read(self, list_number: int, identities: Collection[bytes]) -> dict[bytes, Count]:
        """Return identity → its counts. Identities that no row names are left out."""

    @abstractmethod
    def write(self, list_number: int, counts: Mapping[bytes, Count]) -> None:
        """Replace the counts of identities. Those that no row names are deleted."""

    def insert(self, list_number: int, identities: Collection[bytes]) -> bool:  # noqa: ARG002 - declined
        """Count identities as contributed by one row each, without a look-up before, where that is faster.

        Returns:
            Whether they were written. If one is known already, or if it would not be faster, nothing is written.
        """
        return False
