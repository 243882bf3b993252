"""The list book: which customer list each reference of a run leads to, and the ledger's number for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.errors import ConfigurationError, LedgerError
from target_pinterest_audience.reconcile.locks import reference_to
from target_pinterest_audience.reconcile.notes import owes_additions
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference
from target_pinterest_audience.settings import MissingLedger
from target_pinterest_audience.text.counts import first_of
from target_pinterest_audience.vocabulary import ListType

if TYPE_CHECKING:
    from target_pinterest_audience.delivery.delivery import Delivery
    from target_pinterest_audience.ledger.catalogue.lists import ListEntry
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.pinterest.models import CustomerList
    from target_pinterest_audience.reconcile.ceiling import Ceilings
    from target_pinterest_audience.reconcile.locks import Locks
    from target_pinterest_audience.reconcile.run_record import RunRecorder
    from target_pinterest_audience.settings import Settings

_NAMED: Final = 5
"""How many lists a warning names."""


class ListBook:
    """Opens the lists of a run: each is locked, looked up at Pinterest, and entered in the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        delivery: Delivery,
        locks: Locks,
        ceilings: Ceilings,
        recorder: RunRecorder,
        logger: logging.Logger,
    ) -> None:
        """Begin without lists.

        Args:
            ledger: the ledger.
            settings: the settings.
            delivery: looks lists up at Pinterest.
            locks: the locks of the process.
            ceilings: count the removals from each list.
            recorder: knows the hash algorithm of the last run.
            logger: logs warnings.
        """
        self._ledger = ledger
        self._settings = settings
        self._delivery = delivery
        self._locks = locks
        self._ceilings = ceilings
        self._recorder = recorder
        self._logger = logger
        self._references: dict[int, ListReference] = {}
        self._numbers: dict[ListReference, int] = {}
        self._ways: dict[int, set[ListReference]] = {}
        """List → all references that lead to it."""
        self._former: set[int] = set()
        """The lists that were opened because the ledger knows them, before a stream of this run named them."""
        self._with_id: set[int] = set()
        """The lists whose Pinterest ids are in the ledger."""

    @property
    def opened(self) -> Mapping[int, ListReference]:
        """The lists of the run by the ledger's numbers, with the reference that delivery knows each by."""
        return self._references

    def number_of(self, reference: ListReference) -> int | None:
        """Return the ledger's number of a list; None if the ledger does not feed it in this run."""
        return self._numbers.get(reference)

    def references_of(self, number: int) -> set[ListReference]:
        """Return all references of the run that lead to a list."""
        return set(self._ways.get(number, ()))

    def was_never_created(self, number: int) -> bool:
        """Return whether a list that the run opened does not exist, and no request may still create it."""
        reference = self._references.get(number)
        return reference is not None and self._delivery.was_never_created(reference)

    def open(self, plan: ListPlan) -> int:
        """Lock a list, look it up, and return the ledger's number for it. Raises as `open_all` does."""
        return self.open_all([plan])[0]

    def open_all(self, plans: Sequence[ListPlan]) -> list[int]:
        """Lock lists, look them up, and return the ledger's number for each.

        All of them are locked in one transaction and entered in another: a commit takes much longer than an entry, and
        the rows of one block may name thousands of lists.

        Raises:
            LedgerError: another process has a list; or the ledger does not know it and `missing_ledger` is `stop`.
            ConfigurationError: the settings match no list or several; or the hash algorithm of a list changed.
            PinterestError: Pinterest cannot be reached, or refuses the request.
        """
        catalogue = self._ledger.catalogue
        new = [each for each in dict.fromkeys(plan.reference for plan in plans) if each not in self._numbers]
        self._locks.take_references(new)
        pinned = {reference: catalogue.lists.pinned(str(reference)) for reference in new}
        for reference, entry in pinned.items():
            if entry is not None and entry.number in self._former:
                self._lead_to_former(reference, entry)
        found: dict[ListReference, CustomerList | None] = {}
        for plan in plans:
            if plan.reference in found or plan.reference in self._numbers:
                self._open_again(plan)
            else:
                found[plan.reference] = self._look_up(plan, pinned[plan.reference])
        self._enter_all(found, pinned)
        return [self._numbers[plan.reference] for plan in plans]

    def _lead_to_former(self, reference: ListReference, entry: ListEntry) -> None:
        """Note that a stream names a list that was opened because the ledger knows it."""

        def begin() -> None:
            self._check_algorithm(entry.number, reference)
            self._ceilings.begin(self._ledger.catalogue, entry.number)

        self._ledger.transact(begin, self._ceilings.checkpoint())
        former = self._references[entry.number]
        self._remember(entry, former)
        self._lead(reference, entry.number)

    def _open_again(self, plan: ListPlan) -> None:
        """Tell delivery what another column or stream wants of a list that is open."""
        number = self._numbers.get(plan.reference)
        if number is not None and self._references[number] != plan.reference:
            # Delivery refuses a second reference to a list. The first one leads to a list that exists, or must.
            plan = replace(plan, reference=self._references[number], if_missing=IfMissing.REFUSE)
        self._delivery.open(plan)

    def _look_up(self, plan: ListPlan, pinned: ListEntry | None) -> CustomerList | None:
        pinned_id = pinned.customer_list_id if pinned is not None else None
        may_be_new = pinned is not None and pinned_id is None and owes_additions(self._ledger, pinned.number)
        return self._delivery.open(plan, pinned_id, may_be_new=may_be_new)

    def _enter_all(
        self, found: Mapping[ListReference, CustomerList | None], pinned: Mapping[ListReference, ListEntry | None]
    ) -> None:
        """Enter lists in the ledger, each as it was found at Pinterest and as the ledger knew it before."""
        if not found:
            return
        catalogue = self._ledger.catalogue
        self._locks.take_references([ListReference(customer_list_id=each.id) for each in found.values() if each])
        entries: dict[ListReference, ListEntry] = {}
        unknown: list[ListReference] = []

        def enter() -> None:
            unknown.clear()
            for reference, customer_list in found.items():
                entry, is_known = self._enter(reference, customer_list, pinned[reference])
                entries[reference] = entry
                if not is_known:
                    unknown.append(reference)
                self._check_algorithm(entry.number, reference)
                self._ceilings.begin(catalogue, entry.number)
                catalogue.lists.pin(str(reference), entry.number)
            if unknown and self._settings.missing_ledger is MissingLedger.STOP:
                msg = (
                    f"{self._may_have_others(unknown)} Set `ledger_url` to the ledger of the former runs. If there "
                    "were none, set `missing_ledger: warn` for one run."
                )
                raise LedgerError(msg)

        self._ledger.transact(enter, self._ceilings.checkpoint())
        if unknown:
            self._logger.warning(
                "%s If runs are in throw-away containers, keep the ledger in PostgreSQL or on a volume, and set "
                "`missing_ledger: stop`.", self._may_have_others(unknown),
            )  # fmt: skip
        for reference, entry in entries.items():
            if found[reference] is not None:
                self._with_id.add(entry.number)
            self._remember(entry, reference)

    def reference(self, number: int) -> ListReference:
        """Return the reference that delivery knows a list by; open the list if only former settings led to it.

        Raises:
            TargetError: the list cannot be opened.
        """
        if number not in self._references:
            entry = self._ledger.catalogue.lists.entry(number)
            reference = reference_to(entry)
            self._delivery.open(ListPlan(reference, ListType.EMAIL, IfMissing.GO_ON, audience=None))
            self._remember(entry, reference)
            self._former.add(number)
        return self._references[number]

    def note_id(self, number: int, customer_list_id: str) -> None:
        """Note the id of a list that exists at Pinterest, and lock it by its id.

        From its creation on, another process may use the list by its id.

        Raises:
            LedgerError: another process has the list, or the ledger cannot be written.
        """
        if number not in self._with_id:
            self._locks.take_references([ListReference(customer_list_id=customer_list_id)])
            catalogue = self._ledger.catalogue
            if catalogue.lists.entry(number).customer_list_id is None:
                self._ledger.transact(partial(catalogue.lists.set_id, number, customer_list_id))
            self._with_id.add(number)

    def _enter(
        self, reference: ListReference, found: CustomerList | None, pinned: ListEntry | None
    ) -> tuple[ListEntry, bool]:
        """Return the ledger's entry for a list, and whether the ledger knows its members.

        If the list is new to the ledger, the entry is new, too.
        """
        catalogue = self._ledger.catalogue
        if found is None:
            return pinned or catalogue.lists.add(None, reference.customer_list_name), True
        entry = catalogue.lists.by_id(found.id)
        if entry is not None:
            return entry, True
        if pinned is not None and pinned.customer_list_id is None:
            catalogue.lists.set_id(pinned.number, found.id)
            # If no addition is noted for it, no interrupted run of ours can have created it.
            return pinned, owes_additions(self._ledger, pinned.number)
        return catalogue.lists.add(found.id, found.name), False

    def _remember(self, entry: ListEntry, reference: ListReference) -> None:
        self._lead(reference, entry.number)
        self._references[entry.number] = reference

    def _lead(self, reference: ListReference, number: int) -> None:
        self._numbers[reference] = number
        self._ways.setdefault(number, set()).add(reference)

    def _may_have_others(self, lists: Sequence[ListReference]) -> str:
        """Return the warning that lists may have members that the ledger does not know."""
        named = first_of(list(map(str, lists)), _NAMED, "list", "lists")
        return (
            f"{self._ledger.where} knows nothing of {named}, which {'exists' if len(lists) == 1 else 'exist'} at "
            "Pinterest. The target sends everyone in the stream again, and cannot remove people whom former runs sent "
            "and who have left since."
        )

    def _check_algorithm(self, number: int, reference: ListReference) -> None:
        """Note the hash algorithm of a run that feeds a list.

        Raises:
            ConfigurationError: the algorithm changed, and a refusal is known only under the former one.
        """
        catalogue, algorithm = self._ledger.catalogue, self._settings.hash_algorithm.value
        former, partial = catalogue.lists.algorithm(number)
        if former is None and partial:
            former = self._recorder.last_algorithm()
        if former not in {None, algorithm} and partial:
            msg = (
                f"`hash_algorithm` was {former} when a run last fed {reference}, and is {algorithm} now. The ledger "
                f"knows some people who refuse to be on the list by their {former} digest only, so {algorithm} would "
                f"let them back. Set `hash_algorithm: {former}` again, or use another list."
            )
            raise ConfigurationError(msg)
        catalogue.lists.set_algorithm(number, algorithm)
