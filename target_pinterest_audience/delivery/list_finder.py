"""Finds one customer list at Pinterest, or creates it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import msgspec

from target_pinterest_audience.delivery.creation import Attempts, Creation
from target_pinterest_audience.delivery.directory import Directory
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.list_names import difference
from target_pinterest_audience.identities.packed import Records
from target_pinterest_audience.pinterest.errors import NotFoundError, NotPermittedError, RefusedError
from target_pinterest_audience.pinterest.models import CustomerList
from target_pinterest_audience.routing.plan import IfMissing, ListPlan

T = TypeVar("T")


class ListFinder:
    """Finds the customer list that a plan names.

    Attributes:
        plan: which list, and what may be done with it.
        customer_list: the list; None if it does not exist, or was not looked up yet.
    """

    def __init__(self, plan: ListPlan, directory: Directory, creation: Creation, logger: logging.Logger) -> None:
        """Create it; nothing is asked of Pinterest before `look_up`.

        Args:
            plan: which list, and what may be done with it.
            directory: the lists of the ad account.
            creation: creates the list.
            logger: logs what is found and created.
        """
        self.plan = plan
        self.customer_list: CustomerList | None = None
        self._directory = directory
        self._creation = creation
        self._logger = logger
        self._pinned_id: str | None = None
        self._created_at: float | None = None
        self._may_be_new = False
        """Whether a request that Pinterest has not answered clearly may have created the list, or may still do so."""
        self._namesakes: list[tuple[str, str | None]] = []
        """Names, and ids of lists, that are easily mistaken for a list that does not exist."""

    @property
    def list_id(self) -> str | None:
        """The id of the list; None if it is not known to exist."""
        return self.customer_list.id if self.customer_list is not None else None

    @property
    def was_never_created(self) -> bool:
        """Whether the list does not exist, and no request may still create it."""
        return self.customer_list is None and not self._may_be_new

    def look_up(self, pinned_id: str | None = None, *, may_be_new: bool = False) -> None:
        """Look for the list.

        Args:
            pinned_id: the id that the list had in earlier runs.
            may_be_new: whether an interrupted run may just have created it, so that Pinterest may not list it yet.

        Raises:
            ConfigurationError: the list is ambiguous, does not exist although it must, or is not of the kind that
                `is_nca` names.
            PinterestError: Pinterest cannot be asked.
        """
        self._pinned_id = pinned_id
        self._may_be_new = may_be_new
        self.customer_list = self._find(anew=False)
        if self.customer_list is None and may_be_new:
            self._logger.info("An interrupted run may have created %s. Looking for it again.", self.plan.reference)
            self.customer_list = self._creation.look_again(lambda: self._find(anew=True))
            self._created_at = self._creation.clock() if self.customer_list is not None else None
        self.refuse_other_kind()
        name = self.plan.reference.customer_list_name
        if self.customer_list is None and name is not None:
            self._namesakes = self._directory.namesakes(name)
            if self._namesakes and self.plan.if_missing is not IfMissing.REFUSE:
                creates = self.plan.if_missing is IfMissing.CREATE
                self._logger.warning(
                    "There is no %s. %s %s", self.plan.reference, self._question(),
                    "Otherwise the run creates a second list, which can be neither renamed nor deleted."
                    if creates else "Otherwise there is nobody to remove.",
                )  # fmt: skip

    def refuse_if_missing(self) -> None:
        """Stop if the list does not exist and the plan does not allow that.

        Raises:
            ConfigurationError: the list does not exist, and the plan does not allow that.
        """
        if self.customer_list is None and self.plan.if_missing is IfMissing.REFUSE:
            advice = "Check the name, or first run what adds people to it."
            msg = (
                f"There is no {self.plan.reference} to remove people from, and `operation: remove` does not create "
                f"one. {self._question() if self._namesakes else advice}"
            )
            raise ConfigurationError(msg)

    def refuse_other_kind(self) -> None:
        """Stop if the list exists and is not of the kind that `is_nca` names.

        Raises:
            ConfigurationError: the list is for new customer acquisition and must not be, or the other way round.
            PinterestError: Pinterest cannot be asked.
        """
        wanted, found = self.plan.is_nca, self.customer_list
        if wanted is None or found is None:
            return
        is_nca = self._directory.acquires_new_customers(found)
        if is_nca is None:
            self._logger.warning(
                "Pinterest does not report whether %s is for new customer acquisition, so `is_nca: %s` could not be "
                "checked.",
                self._named(found), str(wanted).lower(),
            )  # fmt: skip
        elif is_nca is not wanted:
            msg = (
                f"{_capitalized(self._named(found))} exists and is "
                f"{'' if is_nca else 'not '}for new customer acquisition, but `is_nca` is {str(wanted).lower()}. "
                f"Pinterest cannot change that for an existing list. {self._other_list()}, so that the target creates "
                f"a list of this kind, or set `is_nca` to {str(is_nca).lower()}."
            )
            raise ConfigurationError(msg)

    def _named(self, found: CustomerList) -> str:
        """Return the list for people, with its id once."""
        reference = self.plan.reference
        return str(reference) if reference.customer_list_id is not None else f"{reference} (id {found.id})"

    def _other_list(self) -> str:
        """Return how to let the target create another list: only one setting may choose the list."""
        if self.plan.reference.customer_list_name is not None:
            return "Set another `customer_list_name`"
        setting = "customer_list_id" if self.plan.reference.customer_list_id is not None else "audience_id"
        return f"Replace `{setting}` by a `customer_list_name` that no list has"

    def create(self, records: Records, attempts: Attempts) -> tuple[CustomerList, bool]:
        """Create the list with its first identities: Pinterest creates no empty list.

        Args:
            records: the identities, as the request has them.
            attempts: records attempts without a clear answer.

        Returns:
            The list; and whether this call created it. Else a lookup found it after an unclear outcome: it may be
            another process's list, so it may lack the identities.

        Raises:
            ConfigurationError: a lookup found several lists of the name, or one that is not of the kind that `is_nca`
                names.
            PinterestError: the list could not be created.
        """
        name = str(self.plan.reference.customer_list_name)
        is_nca, may_be_new = self.plan.is_nca, self._may_be_new
        # Before the request: a signal may end the run while it is under way.
        self._may_be_new = True
        try:
            made, is_created = self._creation.create_once(
                lambda: self._directory.client.create_customer_list(name, self.plan.list_type, records, is_nca=is_nca),
                lambda: self._find_by_name(name, anew=True),
                attempts,
            )
        except (RefusedError, NotPermittedError):
            # A clear refusal creates nothing, unless an earlier attempt got no answer.
            self._may_be_new = may_be_new or attempts.unanswered
            raise
        if is_created and made.acquires_new_customers is None:
            # Recorded live calls do not repeat it in this response.
            made = msgspec.structs.replace(made, is_nca=bool(is_nca))
        self.customer_list, self._created_at = made, self._creation.clock()
        self.refuse_other_kind()
        if is_created:
            self._logger.info('Created customer list "%s" (id %s).', name, made.id)
        return made, is_created

    def retry_while_new(self, request: Callable[[], T], attempts: Attempts) -> T:
        """Send a request about the list, again as long as Pinterest may not find the list because it is new.

        Args:
            request: sends the request.
            attempts: records attempts without a clear answer.

        Raises:
            NotFoundError: Pinterest does not find the list, and it is not new.
            PinterestError: as `request`.
        """
        return self._creation.retry_while_new(request, self.plan.reference, self._created_at, attempts)

    def _question(self) -> str:
        """Ask whether one of the namesakes is meant."""
        name = str(self.plan.reference.customer_list_name)
        others = " or ".join(
            f'"{other}" ({f"id {list_id}" if list_id is not None else "also named in this run"}), which differs only '
            f"{difference(name, other)}"
            for other, list_id in self._namesakes
        )
        return f"Did you mean {others}? If so, use that exact name, or set `customer_list_id` to its id."

    def _find(self, *, anew: bool) -> CustomerList | None:
        reference = self.plan.reference
        if reference.customer_list_id is not None:
            return self._find_by_id(reference.customer_list_id, "Check `customer_list_id` and `ad_account_id`.")
        if reference.audience_id is not None:
            return self._find_by_audience(reference.audience_id)
        return self._find_by_name(str(reference.customer_list_name), anew=anew)

    def _find_by_id(self, customer_list_id: str, advice: str) -> CustomerList | None:
        """Return a list by its id; None if it does not exist and the plan allows that.

        Raises:
            ConfigurationError: the ad account does not have the list, and the plan does not allow that.
        """
        try:
            return self._directory.customer_list(customer_list_id)
        except NotFoundError:
            if self.plan.if_missing is IfMissing.GO_ON:
                return None
            msg = f"The ad account does not have customer list {customer_list_id}. {advice}"
            raise ConfigurationError(msg) from None

    def _find_by_audience(self, audience_id: str) -> CustomerList | None:
        try:
            list_id = self._directory.client.audience(audience_id).customer_list_id
        except NotFoundError:
            msg = f"The ad account does not have audience {audience_id}. Check `audience_id` and `ad_account_id`."
            raise ConfigurationError(msg) from None
        if list_id is None:
            msg = f"Audience {audience_id} is not of type CUSTOMER_LIST, so it has no list. Check `audience_id`."
            raise ConfigurationError(msg)
        return self._find_by_id(
            list_id, f"Pinterest itself names it as the list of audience {audience_id}. Try again later."
        )

    def _find_by_name(self, name: str, *, anew: bool) -> CustomerList | None:
        """Return the one list of a name; the pinned one if there are several.

        Names are not unique at Pinterest, and a guess could upload people to somebody else's list.

        Raises:
            ConfigurationError: several lists have the name, and none is pinned; or the pinned list is gone.
        """
        namesakes = self._directory.named(name, anew=anew)
        pinned = None
        if self._pinned_id is not None:
            # The list may have been renamed, or the listing may lag behind.
            pinned = self._find_by_id(
                self._pinned_id,
                f"Earlier runs used it for {self.plan.reference}. Choose another list, or another name.",
            )
        ids = ", ".join(each.id for each in namesakes)
        if pinned is not None:
            if any(each.id != pinned.id for each in namesakes):
                self._logger.warning(
                    'Other customer lists are also named "%s" (ids %s). The run uses %s, as earlier runs did.',
                    name, ids, pinned.id,
                )  # fmt: skip
            return pinned
        if len(namesakes) > 1:
            msg = (
                f'The ad account has {len(namesakes)} customer lists named "{name}" (ids {ids}). Choose one: set '
                "`customer_list_id` instead of the name."
            )
            raise ConfigurationError(msg)
        return namesakes[0] if namesakes else None


def _capitalized(sentence: str) -> str:
    """Return a sentence with a capital first letter; the rest stays as it is."""
    return sentence[:1].upper() + sentence[1:]
