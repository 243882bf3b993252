"""One customer list at Pinterest: found or created, filled, and given its audience."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from target_pinterest_audience.batches import Batch
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest import Audience, CustomerList, Operation, Patience, PinterestClient
from target_pinterest_audience.pinterest.errors import NotFoundError, OutcomeUnclearError, RefusedError
from target_pinterest_audience.routing import ListPlan
from target_pinterest_audience.tally import ListTally

T = TypeVar("T")

_LOOKS_AFTER_SECONDS: Final = (2.0, 4.0, 8.0, 16.0)
"""The waits before each look for what may have been created: Pinterest may still be at it, or not list it yet."""


class CustomerListWriter:
    """Writes to one list, one request at a time: Pinterest answers 429 to more."""

    def __init__(
        self,
        plan: ListPlan,
        client: PinterestClient,
        patience: Patience,
        logger: logging.Logger,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; nothing is asked of Pinterest before the first batch.

        Args:
            plan: which list, and what may be done with it.
            client: the ad account.
            patience: how often and how long to look for a thing that may have been created.
            logger: told what is found and created.
            sleep: waits for seconds.
        """
        self.plan = plan
        self.tally = ListTally()
        self._client = client
        self._patience = patience
        self._logger = logger
        self._sleep = sleep
        self._list: CustomerList | None = None
        self._looked = False

    def resolve(self) -> str | None:
        """Look the list up, unless that was done.

        Returns:
            Its id; None if it does not exist yet.

        Raises:
            ConfigurationError: the list cannot be told, or is missing and must not be created.
            PinterestError: Pinterest cannot be asked.
        """
        if not self._looked:
            self._list = self._find()
            self._looked = True
        if self._list is None and not self.plan.may_create:
            msg = (
                f"There is no {self.plan.reference} to remove anybody from, and `operation: remove` creates none. "
                "Check the name."
            )
            raise ConfigurationError(msg)
        return self.list_id

    @property
    def list_id(self) -> str | None:
        """The list's id, as far as it is known."""
        return self._list.id if self._list is not None else None

    def write(self, batch: Batch) -> None:
        """Have Pinterest accept a batch, after `resolve`.

        Raises:
            PinterestError: the batch was not accepted; the subclass says what can be done.
        """
        if self._list is not None:
            self._update(self._list, batch)
        elif batch.operation is Operation.ADD:
            self._create_with(batch)
        else:
            # Nobody is on a list that does not exist.
            self.tally.needless += len(batch.identities)
            return
        if batch.operation is Operation.ADD:
            self.tally.added += len(batch.identities)
        else:
            self.tally.removed += len(batch.identities)

    def ensure_audience(self) -> None:
        """Make the audience that lets the list be targeted, unless there is one or none is wanted.

        Pinterest may refuse while the list is small: that is a warning, and the next run tries again.
        """
        wanted = self.plan.audience
        if wanted is None or self.resolve() is None or self._list is None:
            return
        customer_list = self._list
        if self._find_audience(customer_list) is not None:
            return
        name = wanted.name or customer_list.name or customer_list.id
        try:
            audience = self._create_once(
                lambda: self._client.create_audience(name, customer_list.id, wanted.description),
                lambda: self._find_audience(customer_list),
            )
        except RefusedError as refused:
            self._logger.warning(
                "The audience for %s could not be made yet; the next run tries again. "
                "The list may still be too small: Pinterest wants 100 people. %s",
                self.plan.reference, refused,
            )  # fmt: skip
            return
        self._logger.info('Created audience "%s" (id %s) for %s.', name, audience.id, self.plan.reference)

    def summary(self) -> str | None:
        """Tell what happened to the list; None if nothing did."""
        if self._list is None:
            return f"{self.plan.reference}: {self.tally}" if self._looked else None
        return f'customer list "{self._list.name}" (id {self._list.id}): {self.tally}'

    def _find(self) -> CustomerList | None:
        reference = self.plan.reference
        try:
            if reference.customer_list_id is not None:
                return self._client.customer_list(reference.customer_list_id)
            if reference.audience_id is not None:
                return self._of_audience(reference.audience_id)
        except NotFoundError:
            setting = "customer_list_id" if reference.customer_list_id is not None else "audience_id"
            msg = f"The ad account does not have {reference}. Check `{setting}` and `ad_account_id`."
            raise ConfigurationError(msg) from None
        return self._find_by_name(str(reference.customer_list_name))

    def _of_audience(self, audience_id: str) -> CustomerList:
        list_id = self._client.audience(audience_id).customer_list_id
        if list_id is None:
            msg = f"Audience {audience_id} is not of type CUSTOMER_LIST, so it has no list. Check `audience_id`."
            raise ConfigurationError(msg)
        return self._client.customer_list(list_id)

    def _find_by_name(self, name: str) -> CustomerList | None:
        """Search all pages: names are not unique at Pinterest, and to guess could be to upload to a stranger's list."""
        found = [each for each in self._client.customer_lists() if each.name == name]
        if len(found) > 1:
            ids = ", ".join(each.id for each in found)
            msg = (
                f'The ad account has {len(found)} customer lists named "{name}" (ids {ids}). Choose one: put '
                "`customer_list_id` in place of the name."
            )
            raise ConfigurationError(msg)
        return found[0] if found else None

    def _find_audience(self, customer_list: CustomerList) -> Audience | None:
        return next((each for each in self._client.audiences() if each.customer_list_id == customer_list.id), None)

    def _update(self, customer_list: CustomerList, batch: Batch) -> None:
        self._client.update_customer_list(customer_list.id, batch.operation, batch.identities)
        self.tally.requests += 1

    def _create_with(self, batch: Batch) -> None:
        """Create the list with its first identities: Pinterest makes no empty list."""
        name = str(self.plan.reference.customer_list_name)
        created: list[CustomerList] = []

        def create() -> CustomerList:
            created.append(self._client.create_customer_list(name, self.plan.list_type, batch.identities))
            return created[0]

        self._list = self._create_once(create, lambda: self._find_by_name(name))
        if created:
            self.tally.requests += 1
            self._logger.info('Created customer list "%s" (id %s).', name, self._list.id)
        else:
            # It may be another process's list, so it may lack this batch; adding twice changes nothing.
            self._update(self._list, batch)

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
