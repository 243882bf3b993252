"""Which lists and audiences an ad account has, asked for once for many lists that are looked for at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.identities.list_names import likeness

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.client import PinterestClient
    from target_pinterest_audience.pinterest.models import Audience, CustomerList

_GOOD_FOR_SECONDS: Final = 60.0
"""How old a listing may be: a list that somebody makes meanwhile, with the name of one to be created, is missed."""


class Directory:
    """The listings of an ad account, kept for a minute. Used by one thread.

    Attributes:
        client: the ad account.
    """

    def __init__(self, client: PinterestClient, clock: Callable[[], float]) -> None:
        """Prepare; nothing is asked yet.

        Args:
            client: the ad account.
            clock: seconds that only ever grow.
        """
        self.client = client
        self._clock = clock
        self._lists: list[CustomerList] = []
        self._by_name: dict[str | None, list[CustomerList]] = {}
        self._by_id: dict[str, CustomerList] = {}
        self._lists_as_of: float | None = None
        self._alike: dict[str, list[CustomerList]] | None = None
        """The likeness of a name → the lists that have such a name; None until it is asked for."""
        self._wanted: dict[str, set[str]] = {}
        """The likeness of a name → such names that this run looked for and did not find, so that it may create them."""
        self._audiences: dict[str, Audience] = {}
        """Customer list id → the oldest audience that stands for it, as far as the listing was read."""
        self._more_audiences: Iterator[Audience] = iter(())
        self._audiences_as_of: float | None = None

    def customer_lists(self, *, anew: bool = False) -> Sequence[CustomerList]:
        """Return the account's lists, the oldest first.

        Args:
            anew: whether what was asked before does not count.

        Raises:
            PinterestError: they cannot be asked for.
        """
        if anew or not self._is_good(self._lists_as_of):
            self._lists = list(self.client.customer_lists())
            self._by_name, self._by_id = {}, {}
            for each in self._lists:
                self._by_name.setdefault(each.name, []).append(each)
                self._by_id.setdefault(each.id, each)
            self._lists_as_of = self._clock()
            self._alike = None
        return self._lists

    def namesakes(self, name: str) -> list[tuple[str, str | None]]:
        """Return the names, with the ids of their lists, that are easily taken for a name that no list has.

        A name without an id is one that this run has asked for before.

        Raises:
            PinterestError: the lists cannot be asked for.
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
        """Return the account's lists of a name, the oldest first; see `customer_lists`."""
        self.customer_lists(anew=anew)
        return self._by_name.get(name, ())

    def customer_list(self, list_id: str) -> CustomerList:
        """Return a list by its id: from a listing if one was asked for, else by itself.

        Raises:
            NotFoundError: the account does not have it.
            PinterestError: it cannot be asked for.
        """
        if self._is_good(self._lists_as_of):
            listed = self._by_id.get(list_id)
            if listed is not None:
                return listed
        return self.client.customer_list(list_id)

    def audience_of(self, customer_list_id: str, *, anew: bool = False) -> Audience | None:
        """Return the oldest audience that stands for a list; None if there is none.

        Args:
            customer_list_id: the list.
            anew: whether what was asked before does not count.

        Raises:
            PinterestError: the audiences cannot be asked for.
        """
        if anew or not self._is_good(self._audiences_as_of):
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
            # The rest was not read, so that its absence says nothing.
            self._audiences_as_of = None
            raise

    def _is_good(self, as_of: float | None) -> bool:
        return as_of is not None and self._clock() - as_of <= _GOOD_FOR_SECONDS
