"""All customer lists of a run: opens each once, and ends the run with each."""

from __future__ import annotations

import logging
from collections.abc import ItemsView, Iterator, ValuesView

from target_pinterest_audience.delivery.creation import Creation
from target_pinterest_audience.delivery.destination import Destination
from target_pinterest_audience.delivery.directory import Directory
from target_pinterest_audience.delivery.pending import PendingIdentities, records_room
from target_pinterest_audience.delivery.refused_phones import phones_refused, phones_still_wait
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.errors import RefusedError
from target_pinterest_audience.pinterest.models import CustomerList
from target_pinterest_audience.routing.plan import ListPlan, ListReference, merge
from target_pinterest_audience.watermark import Watermark


class Destinations:
    """The customer lists of a run, by how the settings choose them.

    Attributes:
        pending: the identities that wait for each list.
    """

    def __init__(
        self,
        directory: Directory,
        creation: Creation,
        watermark: Watermark,
        logger: logging.Logger,
        *,
        max_identities: int,
        max_bytes: int,
        dry: bool,
    ) -> None:
        """Begin without lists; nothing is asked of Pinterest yet.

        Args:
            directory: the lists and audiences of the ad account.
            creation: creates lists and audiences.
            watermark: the watermark of the stream.
            logger: logs what happens to lists and audiences.
            max_identities: the most identities in a request.
            max_bytes: the most bytes in the body of a request.
            dry: whether to count what would be sent, and to send nothing.
        """
        self._directory = directory
        self._creation = creation
        self._watermark = watermark
        self._logger = logger
        self._max_identities = max_identities
        self._max_bytes = max_bytes
        self._dry = dry
        self.pending: dict[ListReference, PendingIdentities] = {}
        self._all: dict[ListReference, Destination] = {}
        self._by_list_id: dict[str, Destination] = {}
        self._waiting: dict[ListReference, None] = {}
        """The lists for which something waits, and some that `waiting` has not looked at since their last batch."""

    def __getitem__(self, reference: ListReference) -> Destination:
        """Return a list that was opened."""
        return self._all[reference]

    def items(self) -> ItemsView[ListReference, Destination]:
        """Return all lists with their references."""
        return self._all.items()

    def values(self) -> ValuesView[Destination]:
        """Return all lists."""
        return self._all.values()

    def waiting(self, before_line: int | None = None) -> Iterator[Destination]:
        """Yield the lists for which something waits, without a look at the others: there may be thousands.

        Args:
            before_line: only lists where something from before this line of the stream waits; None: all.
        """
        for reference in tuple(self._waiting):
            first = self.pending[reference].first_line
            if first is None:
                del self._waiting[reference]
            elif before_line is None or first < before_line:
                yield self._all[reference]

    def open(self, plan: ListPlan, pinned_id: str | None, *, may_be_new: bool) -> CustomerList | None:
        """Prepare for a list, and look it up; see `Delivery.open`."""
        known = self._all.get(plan.reference)
        if known is None:
            room = records_room(self._max_bytes, plan.reference.customer_list_name)
            pending = PendingIdentities(self._max_identities, room, self._watermark, plan.reference, self._waiting)
            known = self._all[plan.reference] = Destination(
                plan, pending, self._directory, self._creation, self._logger, dry=self._dry
            )
            self.pending[plan.reference] = pending
            known.finder.look_up(pinned_id, may_be_new=may_be_new)
            self.refuse_second_reference(known)
        else:
            known.finder.plan = merge(known.finder.plan, plan)
            known.finder.refuse_other_kind()
        return known.finder.customer_list

    def finish(self) -> None:
        """Create missing audiences, and find out how many people Pinterest matched; see `Delivery.finish`."""
        can_ask = True
        for destination in self._all.values():
            destination.finder.refuse_if_missing()
            if destination.finder.plan.audience is not None:
                destination.audience_maker.ensure()
            elif can_ask:
                # After one failure, the other lists are not asked for: each attempt is repeated for minutes.
                can_ask = destination.audience_maker.look_up()
        self._check_phones()

    def _check_phones(self) -> None:
        """Check, when everything else is accepted, that Pinterest accepted the phone numbers of the stream, too.

        Those that an earlier run left are only a warning if the settings have no phone columns any more.

        Raises:
            RefusedError: Pinterest accepts none for some lists.
        """
        refusals = {
            reference: each.writer.refused_phones
            for reference, each in self._all.items()
            if each.writer.refused_phones is not None
        }
        due = {
            reference: refused
            for reference, refused in refusals.items()
            if refused.new or self._all[reference].finder.plan.phones
        }
        for reference in refusals.keys() - due.keys():
            self._logger.warning("%s", phones_still_wait(reference, refusals[reference]))
        if due:
            raise RefusedError(phones_refused(due))

    def refuse_second_reference(self, destination: Destination) -> None:
        """Refuse a list that another stream reaches by another name or id: their writes would overtake each other.

        Raises:
            ConfigurationError: another stream uses another name or id for the list.
        """
        list_id = destination.finder.list_id
        other = self._by_list_id.setdefault(list_id, destination) if list_id is not None else destination
        if other is not destination:
            msg = (
                f"{destination.reference} and {other.reference} are the same list (id {list_id}). "
                "Choose it in the same way for all streams that feed it."
            )
            raise ConfigurationError(msg)
