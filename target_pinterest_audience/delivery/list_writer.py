"""One customer list at Pinterest: found or created, filled, and given its audience."""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from target_pinterest_audience.delivery.directory import Directory
from target_pinterest_audience.delivery.halving import Halving
from target_pinterest_audience.delivery.tally import ListTally
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.list_names import difference
from target_pinterest_audience.identities.packed import as_records
from target_pinterest_audience.pinterest.client import without_exceptions
from target_pinterest_audience.pinterest.errors import NotFoundError, OutcomeUnclearError, PinterestError, RefusedError
from target_pinterest_audience.pinterest.models import Audience, CustomerList
from target_pinterest_audience.pinterest.retry import Patience
from target_pinterest_audience.routing.orders import AcceptedRemoval, Batch, ListReport, Written, tell_removal
from target_pinterest_audience.routing.plan import IfMissing, ListPlan
from target_pinterest_audience.vocabulary import Operation, by_name

T = TypeVar("T")

_LOOKS_AFTER_SECONDS: Final = (2.0, 4.0, 8.0, 16.0)
"""The waits before each look for what may have been created: Pinterest may still be at it, or not list it yet."""


_NEW_FOR_SECONDS: Final = 120.0
"""How long after its creation a list may be unknown to one of Pinterest's machines."""


class CustomerListWriter:
    """Writes to one list, one request at a time: Pinterest answers 429 to more."""

    def __init__(
        self,
        plan: ListPlan,
        directory: Directory,
        patience: Patience,
        logger: logging.Logger,
        *,
        dry: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is asked of Pinterest before the first batch.

        Args:
            plan: which list, and what may be done with it.
            directory: the ad account.
            patience: how often and how long to look for a thing that may have been created.
            logger: logs what is found and created.
            dry: whether to count what would be sent, and to send nothing.
            sleep: waits for seconds.
            clock: seconds that only ever grow.
        """
        self.plan = plan
        self.tally = ListTally()
        self._removals: deque[AcceptedRemoval] = deque()
        self._client = directory.client
        self._directory = directory
        self._patience = patience
        self._logger = logger
        self._dry = dry
        self._sleep = sleep
        self._clock = clock
        self._audience: Audience | None = None
        self._created_at: float | None = None
        self._pinned_id: str | None = None
        self._halving = Halving(self._send)
        self._unanswered = False
        """Whether a request with the batch that is written, or with a part of it, got no clear answer."""
        self.customer_list: CustomerList | None = None
        """The list, as far as it is known to exist."""
        self.namesakes: list[tuple[str, str | None]] = []
        """Names, and ids of lists, that are easily taken for that of the list if it does not exist."""

    def look_up(self, pinned_id: str | None = None, *, may_be_new: bool = False) -> None:
        """Look whether the list exists.

        Args:
            pinned_id: the id that it had in former runs.
            may_be_new: whether a run that was cut short may just have created it, so that a look may come too early.

        Raises:
            ConfigurationError: the list cannot be told, or one that must exist does not.
            PinterestError: Pinterest cannot be asked.
        """
        self._pinned_id = pinned_id
        self.customer_list = self._find(anew=False)
        if self.customer_list is None and may_be_new:
            self._logger.info("A former run may have created %s. Looking for it again.", self.plan.reference)
            self.customer_list = self._look_for(lambda: self._find(anew=True))
            self._created_at = self._clock() if self.customer_list is not None else None
        name = self.plan.reference.customer_list_name
        if self.customer_list is None and name is not None:
            self.namesakes = self._directory.namesakes(name)
            if self.namesakes and self.plan.if_missing is not IfMissing.REFUSE:
                creates = self.plan.if_missing is IfMissing.CREATE
                self._logger.warning(
                    "There is no %s. %s %s", self.plan.reference, self.question,
                    "Else a second list is created, which can be neither renamed nor deleted."
                    if creates else "Else there is nobody to remove.",
                )  # fmt: skip

    @property
    def question(self) -> str:
        """Whether another list is meant than this one, which does not exist; empty if no other resembles it."""
        if not self.namesakes:
            return ""
        name = str(self.plan.reference.customer_list_name)
        others = " or ".join(
            f'"{other}" ({f"id {list_id}" if list_id is not None else "named in this run too"}), which differs only '
            f"{difference(name, other)}"
            for other, list_id in self.namesakes
        )
        return f"Is {others}, meant? If so, use that exact name, or the id as `customer_list_id`."

    def refuse_if_missing(self) -> None:
        """Refuse to go on without a list that the plan does not allow to be missing.

        Raises:
            ConfigurationError: it is missing.
        """
        if self.customer_list is None and self.plan.if_missing is IfMissing.REFUSE:
            msg = (
                f"There is no {self.plan.reference} to remove anybody from, and `operation: remove` creates none. "
                f"{self.question or 'Check the name.'}"
            )
            raise ConfigurationError(msg)

    @property
    def list_id(self) -> str | None:
        """The list's id, as far as it is known."""
        return self.customer_list.id if self.customer_list is not None else None

    def take_removals(self) -> list[AcceptedRemoval]:
        """Return the requests that removed somebody since the last call. May be called from another thread."""
        return [self._removals.popleft() for _ in range(len(self._removals))]

    def write(self, batch: Batch) -> Written:
        """Have Pinterest accept a batch, after `look_up`, and return what came of it.

        Raises:
            PinterestError: the batch was not accepted; the subclass says what can be done.
            ConfigurationError: the list is missing, and must not be.
        """
        self.refuse_if_missing()
        adds = batch.operation is Operation.ADD
        if self.customer_list is None and not (adds and self.plan.if_missing is IfMissing.CREATE):
            # Nobody is on a list that does not exist.
            self.tally.needless += len(batch.identities)
            return Written([])
        self._unanswered = False
        refused = self._deliver(batch)
        self.tally.refused += len(refused)
        if adds:
            self.tally.added += len(batch.identities) - len(refused)
        else:
            self.tally.removed += len(batch.identities) - len(refused)
            self.tally.causes += batch.count_causes(refused)
        return Written(refused, self._unanswered)

    def _deliver(self, batch: Batch) -> list[int]:
        fitted = self._halving.fits
        try:
            return self._halving.deliver(batch)
        except RefusedError as refused:
            if self.customer_list is None:
                why = (
                    f"So {self.plan.reference} was not made. Look at its name, at the type of its identities, and "
                    "whether the ad account may have one more list."
                )
            else:
                why = (
                    f"Pinterest refuses so many identities of one batch for {self.plan.reference}, each by itself, "
                    "that it is no matter of bad rows. Look whether the list is of the right type, and still in use."
                )
            msg = f"{refused} {why} Nothing of the batch counts as delivered."
            raise RefusedError(msg, status=refused.status, code=refused.code) from None
        finally:
            if self._halving.fits != fitted:
                self._logger.warning(
                    "%s: Pinterest refuses requests of more than %s identities or so; going on with as many. Set "
                    "`batch_size_rows` to that.", self.plan.reference, f"{self._halving.fits:,}",
                )  # fmt: skip

    def _send(self, batch: Batch) -> None:
        if self._dry:
            self.tally.requests += 1
            return
        try:
            if self.customer_list is not None:
                self._update(self.customer_list, batch)
            else:
                self._create_with(batch)
        except PinterestError as error:
            # A part of the batch may be tried again.
            self._note_unanswered(unanswered=error.unanswered)
            raise

    def _note_unanswered(self, *, unanswered: bool) -> None:
        self._unanswered = self._unanswered or unanswered

    def ensure_audience(self) -> None:
        """Make the audience that lets the list be targeted, unless there is one or none is wanted.

        Pinterest may refuse while the list is small: that is a warning, and the next run tries again.
        """
        wanted = self.plan.audience
        customer_list = self.customer_list
        if wanted is None or customer_list is None:
            return
        self._audience = self._directory.audience_of(customer_list.id)
        if self._audience is not None:
            return
        if self._dry:
            self._logger.info("Dry run: an audience for %s would be made.", self.plan.reference)
            return
        name = wanted.name or customer_list.name or customer_list.id
        try:
            audience = self._once_it_is_known(
                lambda: self._create_once(
                    lambda: self._client.create_audience(name, customer_list.id, wanted.description),
                    lambda: self._directory.audience_of(customer_list.id, anew=True),
                )
            )
        except RefusedError as refused:
            self._logger.warning(
                "The audience for %s could not be made yet; the next run tries again. "
                "The list may still be too small: Pinterest wants 100 people. %s",
                self.plan.reference, refused,
            )  # fmt: skip
            return
        self._logger.info('Created audience "%s" (id %s) for %s.', name, audience.id, self.plan.reference)

    def report(self, members: int | None = None) -> ListReport:
        """Tell what happened to the list.

        Args:
            members: how many identities belong on it, if that is known.
        """
        tally = self.tally
        size = self._audience.size if self._audience is not None else None
        status = getattr(self._audience or self.customer_list, "status", None)
        return ListReport(
            chosen_by=str(self.plan.reference),
            customer_list_id=self.list_id,
            name=self.customer_list.name if self.customer_list is not None else None,
            members=members,
            matched=size if isinstance(size, int) and not isinstance(size, bool) else None,
            status=status if isinstance(status, str) else None,
            added=tally.added,
            removed=tally.removed,
            removals=by_name(tally.causes),
            refused=tally.refused,
            left_out=tally.needless,
            requests=tally.requests,
        )

    def _find(self, *, anew: bool) -> CustomerList | None:
        reference = self.plan.reference
        if reference.customer_list_id is not None:
            return self._of_id(reference.customer_list_id, "Check `customer_list_id` and `ad_account_id`.")
        if reference.audience_id is not None:
            return self._of_audience(reference.audience_id)
        return self._find_by_name(str(reference.customer_list_name), anew=anew)

    def _of_id(self, customer_list_id: str, advice: str) -> CustomerList | None:
        """Return a list by its id.

        Raises:
            ConfigurationError: the ad account does not have it, and it is not to be passed over.
        """
        try:
            return self._directory.customer_list(customer_list_id)
        except NotFoundError:
            if self.plan.if_missing is IfMissing.GO_ON:
                return None
            msg = f"The ad account does not have customer list {customer_list_id}. {advice}"
            raise ConfigurationError(msg) from None

    def _of_audience(self, audience_id: str) -> CustomerList | None:
        try:
            list_id = self._client.audience(audience_id).customer_list_id
        except NotFoundError:
            msg = f"The ad account does not have audience {audience_id}. Check `audience_id` and `ad_account_id`."
            raise ConfigurationError(msg) from None
        if list_id is None:
            msg = f"Audience {audience_id} is not of type CUSTOMER_LIST, so it has no list. Check `audience_id`."
            raise ConfigurationError(msg)
        return self._of_id(
            list_id, f"It is the list of audience {audience_id}, says Pinterest itself; try again later."
        )

    def _find_by_name(self, name: str, *, anew: bool) -> CustomerList | None:
        """Search all pages: names are not unique at Pinterest, and to guess could be to upload to a stranger's list."""
        namesakes = self._directory.named(name, anew=anew)
        pinned = None
        if self._pinned_id is not None:
            # It may have another name by now, or the listing may lag behind.
            pinned = self._of_id(
                self._pinned_id,
                f"That is what {self.plan.reference} was in former runs. Choose another list, or another name.",
            )
        ids = ", ".join(each.id for each in namesakes)
        if pinned is not None:
            if any(each.id != pinned.id for each in namesakes):
                self._logger.warning(
                    'There are other customer lists named "%s" (ids %s). As in the runs before, %s is used.',
                    name, ids, pinned.id,
                )  # fmt: skip
            return pinned
        if len(namesakes) > 1:
            msg = (
                f'The ad account has {len(namesakes)} customer lists named "{name}" (ids {ids}). Choose one: put '
                "`customer_list_id` in place of the name."
            )
            raise ConfigurationError(msg)
        return namesakes[0] if namesakes else None

    def _update(self, customer_list: CustomerList, batch: Batch) -> None:
        try:
            answer = self._once_it_is_known(
                lambda: self._client.update_customer_list(
                    customer_list.id, batch.operation, as_records(batch.identities)
                )
            )
        except NotFoundError as missing:
            msg = (
                f"{self.plan.reference} (id {customer_list.id}) is gone: Pinterest does not have it any more. "
                "Choose another list, or another name; nobody can be removed from this one."
            )
            raise ConfigurationError(msg) from missing
        self._note_unanswered(unanswered=answer.unanswered)
        self.tally.requests += 1
        if batch.operation is Operation.REMOVE:
            removal = AcceptedRemoval(answer.received, batch.count_causes(), answer.request_id)
            self._logger.info("%s", tell_removal(removal, customer_list.name, customer_list.id))
            self._removals.append(removal)

    def _once_it_is_known(self, ask: Callable[[], T]) -> T:
        """Ask for something to be done with the list, again as long as Pinterest may not know it because it is new.

        Raises:
            NotFoundError: Pinterest does not know it, and it is not new.
            PinterestError: as `ask`.
        """
        for wait in self._waits_for_a_new_list():
            try:
                return ask()
            except NotFoundError as error:  # noqa: PERF203 - one round is a request
                if wait is None:
                    raise
                self._note_unanswered(unanswered=error.unanswered)
                self._logger.info("%s was just created and cannot be found yet.", self.plan.reference)
                self._sleep(wait)
        raise AssertionError  # pragma: no cover - the waits end with None

    def _waits_for_a_new_list(self) -> Iterator[float | None]:
        """Yield how long to wait after each attempt that does not find the list; None if it is not new any more."""
        for wait in itertools.chain(_LOOKS_AFTER_SECONDS, itertools.repeat(_LOOKS_AFTER_SECONDS[-1])):
            new = self._created_at is not None and self._clock() + wait - self._created_at <= _NEW_FOR_SECONDS
            yield min(wait, self._patience.max_seconds) if new else None

    def _create_with(self, batch: Batch) -> None:
        """Create the list with its first identities: Pinterest makes no empty list."""
        name = str(self.plan.reference.customer_list_name)
        created: list[CustomerList] = []

        def create() -> CustomerList:
            created.append(self._client.create_customer_list(name, self.plan.list_type, as_records(batch.identities)))
            return created[0]

        self.customer_list = self._create_once(create, lambda: self._find_by_name(name, anew=True))
        self._created_at = self._clock()
        if created:
            self.tally.requests += 1
            self._logger.info('Created customer list "%s" (id %s).', name, self.customer_list.id)
            # The list is there; whom it was made with may not be on it.
            without_exceptions(self.customer_list)
        else:
            # It may be another process's list, so it may lack this batch; adding twice changes nothing.
            self._update(self.customer_list, batch)

    def _create_once(self, create: Callable[[], T], find: Callable[[], T | None]) -> T:
        """Create a thing that must not exist twice.

        After an unclear outcome it is looked for, and created again only if it stays missing: names are not unique,
        so that a blind retry would make a second one.

        Raises:
            OutcomeUnclearError: it stays missing, as often as it was tried.
        """
        for retries_left in range(self._patience.retries, -1, -1):
            try:
                return create()
            except OutcomeUnclearError as unclear:  # noqa: PERF203 - one round is a request
                self._note_unanswered(unanswered=True)
                self._logger.warning("%s Looking whether it was carried out.", unclear)
                found = self._look_for(find)
                if found is not None:
                    return found
                if not retries_left:
                    raise
        raise AssertionError  # pragma: no cover - the last round returns or raises

    def _look_for(self, find: Callable[[], T | None]) -> T | None:
        for wait in _LOOKS_AFTER_SECONDS:
            self._sleep(min(wait, self._patience.max_seconds))
            found = find()
            if found is not None:
                return found
        return None
