"""The dispatcher: a line is released once its receipt is recorded, and a stop still settles what was accepted."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, cast

import pytest

from target_pinterest_audience.delivery.delivery import Delivery, Room
from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.pinterest.errors import RefusedError, RestrictedError, UnavailableError
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.routing.orders import AcceptedRemoval, Order, Receipt
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference
from target_pinterest_audience.run.dispatcher import Dispatcher
from target_pinterest_audience.run.refusals import Refusals, RefusedIdentity
from target_pinterest_audience.run.states import StateGate
from target_pinterest_audience.vocabulary import Cause, ListType, Operation
from tests.support.accounts import TwoLists
from tests.support.messages import sha256
from tests.support.packing import packed
from tests.support.waiting import Clock, wait_until

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.client import PinterestClient

POLICY = RetryPolicy(retries=0, initial_seconds=0, max_seconds=0, connect_seconds=1, read_seconds=1)
LISTS = [ListReference(customer_list_name=name) for name in "ab"]


class Notebook:
    """A journal that keeps what it is told, or cannot be written."""

    def __init__(self, *, fails: bool = False) -> None:
        self.removals: list[AcceptedRemoval] = []
        self.settled: list[ListReference] = []
        self._fails = fails

    def removed(self, _reference: ListReference, removal: AcceptedRemoval) -> None:
        self.removals.append(removal)

    def settle(self, receipt: Receipt) -> None:
        self.settled.append(receipt.list)
        if self._fails:
            msg = "the disk is full"
            raise LedgerError(msg)

    def references_to(self, reference: ListReference) -> set[ListReference]:
        return {reference}


class Reader:
    """A reader of rows, which keeps the identities that Pinterest refused."""

    def __init__(self) -> None:
        self.refused: list[int] = []

    def note_refused(self, _references: Collection[ListReference], refused: RefusedIdentity) -> bool:
        self.refused.append(refused.line)
        return True


class World:
    """A dispatcher to two lists, with a STATE after each order."""

    def __init__(self, written: list[Any], journal: Notebook | None, *, batch_size: int = 1) -> None:
        self.account = TwoLists()
        client = cast("PinterestClient", self.account)
        self.delivery = Delivery(
            client,
            POLICY,
            logging.getLogger("test"),
            max_identities=batch_size,
            max_bytes=10_000,
            room=Room(ahead=10),
        )
        for each in LISTS:
            self.delivery.open(ListPlan(each, ListType.EMAIL, IfMissing.CREATE, audience=None))
        self.reader = Reader()
        refusals = Refusals()
        refusals.note_rows(1, 100, self.reader)
        self._gate = StateGate(written.append, Clock())
        self.dispatcher = Dispatcher(self.delivery, journal, self._gate, refusals)

    def send(self, order: Order) -> None:
        self.dispatcher.send(order)
        self._gate.arrived(order.lines[-1], order.lines[-1] + 1, order.lines[-1])


def test_an_order_that_is_taken_in_parts_is_sent_once(written: list[Any]) -> None:
    world = World(written, Notebook())
    names = [str(number) for number in range(30)]
    order = Order(LISTS[0], Operation.ADD, packed(*names), range(1, 31))
    assert world.delivery.put(order).identities < len(names)
    world.dispatcher.flush()
    world.account.updates.clear()
    world.send(order)
    world.dispatcher.flush()
    assert (len(world.account.updates), world.account.members["1"]) == (30, {*names})


def test_no_state_covers_what_the_journal_could_not_record(written: list[Any]) -> None:
    journal = Notebook(fails=True)
    world = World(written, journal)
    for line, each in enumerate(LISTS, 1):
        world.send(Order(each, Operation.ADD, packed("x"), [line]))
    wait_until(lambda: len(world.account.updates) == len(LISTS))
    with pytest.raises(LedgerError, match="disk is full"):
        world.dispatcher.flush()
    # The error of the run is known by now, so another one of the journal adds nothing.
    world.dispatcher.stop()
    assert sorted(map(str, journal.settled)) == sorted(map(str, LISTS))
    assert (written, world.delivery.watermark.floor()) == ([], 1)


def test_a_stop_writes_the_newest_state_that_is_covered_by_then(written: list[Any]) -> None:
    world = World(written, Notebook())
    for line, each in enumerate(LISTS, 1):
        world.send(Order(each, Operation.ADD, packed("x"), [line]))
    wait_until(lambda: len(world.account.updates) == len(LISTS))
    assert written == []
    world.dispatcher.stop()
    assert written == [2]


def test_a_stop_settles_the_batch_that_made_a_list(written: list[Any]) -> None:
    journal = Notebook()
    world = World(written, journal)
    made = ListReference(customer_list_name="c")
    world.delivery.open(ListPlan(made, ListType.EMAIL, IfMissing.CREATE, audience=None))
    world.send(Order(made, Operation.ADD, packed("x"), [1]))
    assert (journal.settled, world.delivery.is_idle) == ([], False)
    world.dispatcher.stop()
    assert (journal.settled, written) == ([made], [1])


def test_a_removal_is_recorded_though_the_rest_of_its_batch_failed(written: list[Any]) -> None:
    journal = Notebook()
    world = World(written, journal, batch_size=2)
    answers = iter([RefusedError("no", status=400), None, UnavailableError("later")])

    def answer(_: str) -> None:
        error = next(answers)
        if error is not None:
            raise error

    world.account.on_update = answer
    world.send(Order(LISTS[0], Operation.REMOVE, packed("x", "y"), [1, 2], Cause.DELETE))
    with pytest.raises(UnavailableError):
        world.dispatcher.flush()
    world.dispatcher.stop()
    assert [dict(each.causes) for each in journal.removals] == [{Cause.DELETE: 1}]
    assert (journal.settled, written) == ([], [])


@pytest.mark.parametrize("journal", [Notebook(), None])
def test_only_a_journal_lets_a_state_pass_phones_that_pinterest_does_not_take(
    written: list[Any], journal: Notebook | None
) -> None:
    world = World(written, journal)

    def answer(_: str) -> None:
        msg = "no phones"
        raise RestrictedError(msg, status=403)

    world.account.on_update = answer
    world.send(Order(LISTS[0], Operation.ADD, packed("hashed_phone_number:" + sha256("+1 555 0100")), [1]))
    world.dispatcher.flush()
    assert written == ([1] if journal else [])
    assert world.reader.refused == [1]
