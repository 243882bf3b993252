"""Creates the audience of a customer list: campaigns target audiences, not lists."""

from __future__ import annotations

import logging

from target_pinterest_audience.delivery.creation import Attempts, Creation
from target_pinterest_audience.delivery.directory import Directory
from target_pinterest_audience.delivery.list_finder import ListFinder
from target_pinterest_audience.pinterest.errors import PinterestError, RefusedError
from target_pinterest_audience.pinterest.models import Audience


class AudienceMaker:
    """Creates the audience of one customer list, unless it exists or none is wanted.

    Attributes:
        audience: the audience that existed when `ensure` or `look_up` was called; None before that, or if it is new.
    """

    def __init__(
        self, finder: ListFinder, directory: Directory, creation: Creation, logger: logging.Logger, *, dry: bool
    ) -> None:
        """Create it; nothing is asked of Pinterest before `ensure`.

        Args:
            finder: has found the list.
            directory: the audiences of the ad account.
            creation: creates the audience.
            logger: logs what is created.
            dry: whether to create nothing.
        """
        self.audience: Audience | None = None
        self._finder = finder
        self._directory = directory
        self._creation = creation
        self._logger = logger
        self._dry = dry

    def look_up(self) -> bool:
        """Find the audience of a list that the settings want none for, since it has the number of matched people.

        Returns:
            Whether Pinterest could be asked. Its answer is for people only, so a failure is only logged.
        """
        customer_list = self._finder.customer_list
        if customer_list is None:
            return True
        try:
            self.audience = self._directory.audience_of(customer_list.id)
        except PinterestError as error:
            self._logger.info("This run does not know how many people Pinterest matched. %s", error)
            return False
        return True

    def ensure(self) -> None:
        """Create the audience, unless it exists or none is wanted.

        Pinterest may refuse while the list is small. That is logged as a warning, and the next run tries again.

        Raises:
            PinterestError: Pinterest cannot be asked.
        """
        plan, customer_list = self._finder.plan, self._finder.customer_list
        wanted = plan.audience
        if wanted is None or customer_list is None:
            return
        self.audience = self._directory.audience_of(customer_list.id)
        if self.audience is not None:
            return
        if self._dry:
            self._logger.info("Dry run: a run would create an audience for %s.", plan.reference)
            return
        name = wanted.name or customer_list.name or customer_list.id
        attempts = Attempts()
        try:
            audience, _ = self._finder.retry_while_new(
                lambda: self._creation.create_once(
                    lambda: self._directory.client.create_audience(name, customer_list.id, wanted.description),
                    lambda: self._directory.audience_of(customer_list.id, anew=True),
                    attempts,
                ),
                attempts,
            )
        except RefusedError as refused:
            self._logger.warning(
                "The audience for %s could not be created yet; the next run tries again. "
                "The list may still be too small: Pinterest needs 100 people. %s",
                plan.reference, refused,
            )  # fmt: skip
            return
        self._logger.info('Created audience "%s" (id %s) for %s.', name, audience.id, plan.reference)
