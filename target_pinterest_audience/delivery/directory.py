"""A cache of the lists and audiences of an ad account: one listing serves the lookup of many lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.identities.list_names import likeness

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.client import PinterestClient
    from target_pinterest_audience.pinterest.models import Audience, CustomerList

_FRESH_SECONDS: Final = 60.0
"""How old a listing may be. The run does not see a list of the same name that another process creates meanwhile."""


class Directory:
    """Caches the listings of an ad account for a minute. Only one thread may use it.

    Attributes:
        client: the ad account.
    """

    def __init__(self, client: PinterestClient, clock: Callable[[], float]) -> None:
        """Create it; nothing is asked of Pinterest yet.

        Args:
            client: the ad account.
            clock: monotonic time in seconds.
        """
        self.client = client
        self._clock = clock
        self._lists: list[CustomerList] = []
        self._by_name: dict[str | None, list[CustomerList]] = {}
        self._by_id: dict[str, CustomerList] = {}
        self._lists_as_of: float | None = None
        self._alike: dict[str, list[CustomerList]] | None = None
        """The likeness of a name → the lists of such names; None until it is needed."""
        self._wanted: dict[str, set[str]] = {}
        """The likeness of a name → such names that this run looked for and did not find, so that it may create them."""
        self._audiences: dict[str, Audience] = {}
        """Customer list id → the oldest audience of the list, as far as the listing was read."""
        self._more_audiences: Iterator[Audience] = iter(())
        self._audiences_as_of: float | None = None

    def customer_lists(self, *, anew: bool = False) -> Sequence[CustomerList]:
        """Return the account's lists, the oldest first.

        Args:
            anew: whether to ignore the cache.

        Raises:
            PinterestError: Pinterest cannot be asked.
        """
        if anew or not self._is_fresh(self._lists_as_of):
            self._lists = list(self.client.customer_lists())
            self._by_name, self._by_id = {}, {}
            for each in self._lists:
                self._by_name.setdefault(each.name, []).append(each)
                self._by_id.setdefault(each.id, each)
            self._lists_as_of = self._clock()
            self._alike = None
        return self._lists

    def namesakes(self, name: str) -> list[tuple[str, str | None]]:
        """Return the names, with the ids of their lists, that are easily mistaken for a name that no list has.

        A name without an id is one that this run asked for before.

        Raises:
            PinterestError: Pinterest cannot be asked.
        """
        listed, like = self.customer_lists(), likeness(name)
        if self._alike is None:
            self._alike = {}
            for each in listed:
                if each.name:
                    self._alike.setdefault(likeness(each.name), []).append(each)
        found: list[tuple[str, str | None]] = [
            (each.name or "", each.id) for each in self._alike.get(like, ()) if each.name != name
        ]
        wanted = self._wanted.setdefault(like, set())
        found += [(other, None) for other in sorted(wanted - {name, *(listed_name for listed_name, _ in found)})]
        wanted.add(name)
        return found

    def named(self, name: str, *, anew: bool = False) -> Sequence[CustomerList]:
        """Return the account's lists of a name, the oldest first.

        Args:
            name: the exact name.
            anew: whether to ignore the cache.

        Raises:
            PinterestError: Pinterest cannot be asked.
        """
        self.customer_lists(anew=anew)
        return self._by_name.get(name, ())

    def customer_list(self, list_id: str) -> CustomerList:
        """Return a list by its id: from the cached listing if it is there, else with a request.

        Raises:
            NotFoundError: the account does not have the list.
            PinterestError: Pinterest cannot be asked.
        """
        if self._is_fresh(self._lists_as_of):
            listed = self._by_id.get(list_id)
            if listed is not None:
                return listed
        return self.client.customer_list(list_id)

    def acquires_new_customers(self, found: CustomerList) -> bool | None:
        """Return whether a list is for new customer acquisition; None if Pinterest does not report it.

        Recorded live calls have it in the listing only, so a list that was read by its id is looked up there.

        Raises:
            PinterestError: Pinterest cannot be asked.
        """
        if found.acquires_new_customers is None:
            self.customer_lists()
            found = self._by_id.get(found.id, found)
        return found.acquires_new_customers

    def audience_of(self, customer_list_id: str, *, anew: bool = False) -> Audience | None:
        """Return the oldest audience of a list; None if there is none.

        Args:
            customer_list_id: the list.
            anew: whether to ignore the cache.

        Raises:
            PinterestError: Pinterest cannot be asked.
        """
        if anew or not self._is_fresh(self._audiences_as_of):
            self._audiences.clear()
            self._more_audiences = self.client.audiences()
            self._audiences_as_of = self._clock()
        while customer_list_id not in self._audiences:
            audience = self._next_audience()
            if audience is None:
                return None
            if audience.customer_list_id is not None:
                self._audiences.setdefault(audience.customer_list_id, audience)
        return self._audiences[customer_list_id]

    def _next_audience(self) -> Audience | None:
        try:
            return next(self._more_audiences, None)
        except BaseException:
            # The rest of the listing was not read, so an audience that is missing here may still exist.
            self._audiences_as_of = None
            raise

    def _is_fresh(self, as_of: float | None) -> bool:
        return as_of is not None and self._clock() - as_of <= _FRESH_SECONDS
