"""The small tables of a ledger, together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_pinterest_audience.ledger.catalogue.feeds import Feeds
from target_pinterest_audience.ledger.catalogue.lists import Lists
from target_pinterest_audience.ledger.catalogue.loaders import Loaders
from target_pinterest_audience.ledger.catalogue.removal_counts import RemovalCounts
from target_pinterest_audience.ledger.catalogue.runs import Runs
from target_pinterest_audience.ledger.catalogue.slots import Slots
from target_pinterest_audience.ledger.catalogue.sources import Sources
from target_pinterest_audience.ledger.catalogue.suppressions import Suppressions
from target_pinterest_audience.ledger.query import number_of

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.members import Members
    from target_pinterest_audience.ledger.query import Query


class Catalogue:
    """What a ledger knows besides rows and members, for one ad account of one API.

    Attributes:
        realm: the ledger's number for the ad account.
        suppressions: the people who were forgotten.
        lists: the customer lists.
        removal_counts: the removals that ceilings are checked against.
        sources: the sources.
        slots: the identity columns.
        feeds: which source feeds which list.
        loaders: which settings feed which list.
        runs: the runs.
    """

    def __init__(self, query: Query, members: Members, api_url: str, ad_account_id: str) -> None:
        """Find the ad account, or add it.

        Args:
            query: runs statements; called within a transaction here, and whenever a method writes.
            members: counts the refusals of forgotten people.
            api_url: the API, so that the lists of an emulator never pass for Pinterest's.
            ad_account_id: the ad account.
        """
        self._query = query
        self._members = members
        self.realm = number_of(query, "realms", "realm", {"api_url": api_url, "ad_account_id": ad_account_id})
        self.suppressions = Suppressions(query, self.realm, members)
        self.lists = Lists(query, self.realm, self.suppressions)
        self.removal_counts = RemovalCounts(query)
        self.sources = Sources(query, self.realm)
        self.slots = Slots(query)
        self.feeds = Feeds(query)
        self.loaders = Loaders(query, self.realm)
        self.runs = Runs(query, self.realm)

    def count_refused(self, number: int) -> int:
        """Return how many identities are kept off a list; see `Members.count_refused`."""
        return self._members.count_refused(number)

    def correct_times(self, now: float) -> None:
        """Replace times in the future, which a fast clock recorded, by now, so that they can expire like the others.

        Args:
            now: Unix time in seconds.
        """
        self._query("UPDATE sources SET last_read = ? WHERE realm = ? AND last_read > ?", now, self.realm, now)
        self._query("UPDATE runs SET started = ? WHERE realm = ? AND started > ?", now, self.realm, now)
