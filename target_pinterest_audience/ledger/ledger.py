"""What a ledger can do, whichever database it is kept in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue import Catalogue
    from target_pinterest_audience.membership import Count
    from target_pinterest_audience.pinterest import Operation


class Ledger(ABC):
    """Rows and what they say, members and how many rows name them, and what Pinterest has not accepted yet.

    Every method raises a `LedgerError` if the database fails. Methods that write are called within `transaction`.

    Attributes:
        where: the place of the ledger, for people; without a password.
        secret: what its keyed digests are made with.
        catalogue: the small tables: lists, sources, columns, runs.
    """

    where: str
    secret: bytes
    catalogue: Catalogue

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Commit what is written in the block, durably; roll it back if the block raises.

        In a dry run nothing is ever committed: later blocks see what earlier ones wrote, and `close` forgets it.
        """

    @abstractmethod
    def lock(self, names: Iterable[str], wait_seconds: float) -> None:
        """Take locks and keep them until the process ends or `close`; those that this ledger has already are free.

        Args:
            names: what is locked, in the order in which it is taken.
            wait_seconds: how long to wait for all of them.

        Raises:
            LedgerError: another process has one. The message names its host, process and start.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the locks and the database."""

    # Rows

    @abstractmethod
    def read_rows(self, rows: Collection[bytes]) -> dict[bytes, bytes]:
        """Return what rows say, encoded; those that the ledger does not know are left out."""

    @abstractmethod
    def write_rows(self, source: int, run: int, says: Mapping[bytes, bytes]) -> None:
        """Replace what rows say, and note that a run saw them if none since did; one that says nothing is forgotten."""

    @abstractmethod
    def mark_seen(self, run: int, rows: Collection[bytes]) -> None:
        """Note that a run saw rows; those that the ledger does not know are passed over."""

    @abstractmethod
    def unseen_rows(self, source: int, before_run: int, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Return some of a source's rows that no run since a given one saw.

        Args:
            source: the source.
            before_run: rows are returned that were last seen before this run.
            after: only rows whose digests are greater; `b""` to begin with.
            limit: how many at most.

        Returns:
            Pairs of digest and what the row says, ordered by digest.
        """

    # Members

    @abstractmethod
    def read_members(self, list_number: int, identities: Collection[bytes]) -> dict[bytes, Count]:
        """Return how many rows name each identity; those that none names are left out."""

    @abstractmethod
    def write_members(self, list_number: int, counts: Mapping[bytes, Count]) -> None:
        """Replace the counts of identities; one that no row names is forgotten."""

    # What Pinterest has not accepted yet

    @abstractmethod
    def write_unsettled(self, list_number: int, operations: Mapping[bytes, Operation]) -> None:
        """Note what is about to be sent for identities, in place of what was to be sent for them before."""

    @abstractmethod
    def settle(self, list_number: int, operation: Operation, identities: Collection[bytes]) -> None:
        """Forget what was noted, since it was accepted; what was noted meanwhile for the other operation stays."""

    @abstractmethod
    def unsettled(self, list_number: int) -> Iterator[tuple[bytes, Operation]]:
        """Yield what was noted for a list and not settled, removals first."""
