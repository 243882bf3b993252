"""The interface of a ledger, whichever database holds it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeVar

from target_pinterest_audience.ledger.alerts import StandingAlerts
from target_pinterest_audience.ledger.catalogue.audit import Audit
from target_pinterest_audience.ledger.catalogue.catalogue import Catalogue
from target_pinterest_audience.ledger.catalogue.meta import places_rows, secret_of
from target_pinterest_audience.ledger.history import History
from target_pinterest_audience.ledger.notes import Notes
from target_pinterest_audience.membership.row_keys import Digester, realm_of

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.locks import Locks
    from target_pinterest_audience.ledger.members import Members
    from target_pinterest_audience.ledger.query import Query
    from target_pinterest_audience.ledger.rows import Rows

T = TypeVar("T")


class Ledger(ABC):
    """Remembers what rows say, who is on each list because of it, and what Pinterest has not accepted yet.

    Every method, also of the parts, raises a `LedgerError` if the database fails. Methods that write are called within
    `transaction`. One thread at a time uses the database, for the length of a transaction; the others wait.

    Attributes:
        where: the place of the ledger, for people, as the beginning of a sentence; without a password.
        caveat: what is dangerous about its place, as sentences; None if nothing is known to be.
        secret: the key of its digests.
        places_rows: whether rows with neighbouring keys lie side by side; see `row_keys.RowDigester`.
        digester: makes its digests, for its ad account.
        locks: the locks of this process.
        rows: what rows say.
        members: how many rows name each identity.
        notes: what Pinterest has not accepted yet.
        catalogue: the small tables: lists, sources, slots, runs.
        history: the runs and removals, for people.
        alerts: the standing alerts.
        audit: who ran commands that change who is on lists.
    """

    where: str
    caveat: str | None = None
    secret: bytes
    places_rows: bool
    digester: Digester
    locks: Locks
    rows: Rows
    members: Members
    notes: Notes
    catalogue: Catalogue
    history: History
    alerts: StandingAlerts
    audit: Audit

    def _open_tables(self, query: Query, api_url: str, ad_account_id: str) -> None:
        """Read the secret, and make the parts that are the same for all databases. `members` is there already.

        Args:
            query: runs statements; called within a transaction.
            api_url: the API.
            ad_account_id: the ad account.
        """
        self.secret = secret_of(query)
        self.places_rows = places_rows(query)
        self.digester = Digester(self.secret, realm_of(api_url, ad_account_id), places_rows=self.places_rows)
        self.notes = Notes(query)
        self.catalogue = Catalogue(query, self.members, api_url, ad_account_id)
        self.history = History(query, self.catalogue.realm)
        self.alerts = StandingAlerts(query, self.catalogue.realm)
        self.audit = Audit(query, self.catalogue.realm)

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Commit durably what the block writes, or roll it back if the block raises.

        If the database goes away meanwhile, nothing was written, and this raises; `transact` begins anew.

        In a dry run nothing is ever committed: later blocks read what earlier ones wrote, and `close` discards it.

        Raises:
            LedgerError: this process lost one of its locks, or another process writes for too long.
        """

    def transact(self, work: Callable[[], T], undo: Callable[[], object] = bool) -> T:  # noqa: ARG002 - nothing to undo
        """Call a function in a transaction, and call it again if the database went away before it was committed.

        Args:
            work: reads and writes the ledger.
            undo: takes back what it changed in memory; called before it is called again.

        Raises:
            LedgerError: as for `transaction`.
        """
        with self.transaction():
            return work()

    def tidy(self, rows: int) -> None:  # noqa: B027 - only one database needs it
        """Put rows in order for a while, where that keeps the ledger fast. Not called within a transaction.

        Args:
            rows: how many rows are about to be written.

        Raises:
            LedgerError: as for `transaction`.
        """

    @abstractmethod
    def interrupt(self) -> None:
        """End what another thread does in the database with a `LedgerError`; do nothing if it is idle."""

    @abstractmethod
    def close(self) -> None:
        """Release the locks, and close the database."""
