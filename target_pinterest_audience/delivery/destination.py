"""Everything that one run keeps about one customer list."""

from __future__ import annotations

import logging

from target_pinterest_audience.delivery.audience_maker import AudienceMaker
from target_pinterest_audience.delivery.creation import Creation
from target_pinterest_audience.delivery.directory import Directory
from target_pinterest_audience.delivery.list_finder import ListFinder
from target_pinterest_audience.delivery.list_writer import ListWriter
from target_pinterest_audience.delivery.pending import PendingIdentities
from target_pinterest_audience.routing.orders import ListReport, ListSize, match_percent
from target_pinterest_audience.routing.plan import ListPlan, ListReference
from target_pinterest_audience.vocabulary import by_name


class Destination:
    """One customer list of a run: what waits for it, and what finds it, writes to it and creates its audience.

    Attributes:
        pending: the identities that wait for a batch.
        finder: finds or creates the list.
        writer: sends its batches.
        audience_maker: creates its audience.
    """

    def __init__(
        self,
        plan: ListPlan,
        pending: PendingIdentities,
        directory: Directory,
        creation: Creation,
        logger: logging.Logger,
        *,
        dry: bool,
    ) -> None:
        """Create it; nothing is asked of Pinterest yet.

        Args:
            plan: which list, and what may be done with it.
            pending: the identities that wait for a batch.
            directory: the lists and audiences of the ad account.
            creation: creates the list and the audience.
            logger: logs what happens to the list and its audience.
            dry: whether to count what would be sent, and to send nothing.
        """
        self.pending = pending
        self.finder = ListFinder(plan, directory, creation, logger)
        self.writer = ListWriter(self.finder, directory.client, logger, dry=dry)
        self.audience_maker = AudienceMaker(self.finder, directory, creation, logger, dry=dry)

    @property
    def reference(self) -> ListReference:
        """How the settings choose the list."""
        return self.finder.plan.reference

    def report(self, size: ListSize | None = None) -> ListReport:
        """Return what was sent to the list.

        Args:
            size: how big it is by the ledger, if that is known.
        """
        tally, customer_list, audience = self.writer.tally, self.finder.customer_list, self.audience_maker.audience
        matched = audience.matched if audience is not None else None
        rows = size.contributing_rows if size is not None else None
        status = getattr(audience or customer_list, "status", None)
        return ListReport(
            chosen_by=str(self.reference),
            customer_list_id=self.finder.list_id,
            name=customer_list.name if customer_list is not None else None,
            members=size.members if size is not None else None,
            contributing_rows=rows,
            matched=matched,
            match_percent=match_percent(matched, rows),
            status=status if isinstance(status, str) else None,
            added=tally.added,
            removed=tally.removed,
            removals=by_name(tally.causes),
            refused=tally.refused,
            left_out=tally.needless,
            requests=tally.requests,
        )
