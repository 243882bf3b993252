from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import Mock

import pytest

from target_pinterest_audience.delivery.delivery import Delivery
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.packed import Records
from target_pinterest_audience.pinterest.errors import UnavailableError
from target_pinterest_audience.pinterest.models import CustomerList
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.routing.orders import Order
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference
from target_pinterest_audience.run.dispatcher import Dispatcher
from target_pinterest_audience.run.run import STATE_PATIENCE_SECONDS, Run
from target_pinterest_audience.run.states import StateGate
from target_pinterest_audience.vocabulary import ListType, Operation
from tests.support.accounts import TwoLists
from tests.support.packing import packed
from tests.support.waiting import Clock, wait_until

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.client import PinterestClient

POLICY = RetryPolicy(retries=0, initial_seconds=0, max_seconds=0, connect_seconds=1, read_seconds=1)


def plan(name: str) -> ListPlan:
    return ListPlan(ListReference(customer_list_name=name), ListType.EMAIL, IfMissing.CREATE, audience=None)


class World:
    """A delivery to two lists, and the run that holds its states back."""

    def __init__(self, account: TwoLists, written: list[Any], clock: Clock) -> None:
        client = cast("PinterestClient", account)
        self.delivery = Delivery(client, POLICY, logging.getLogger("test"), max_identities=2, max_bytes=10_000)
        self.dispatcher = Dispatcher(self.delivery)
        self.run = Run(self.delivery, Mock(), Mock(), Mock(), StateGate(written.append, clock))

    def open(self, name: str) -> ListReference:
        self.delivery.open(plan(name))
        return plan(name).reference

    def add(self, reference: ListReference, name: str, line: int) -> None:
        self.dispatcher.send(Order(reference, Operation.ADD, packed(name), [line]))


@pytest.fixture
def account() -> TwoLists:
    return TwoLists()


@pytest.fixture
def world(account: TwoLists, written: list[Any], clock: Clock) -> World:
    return World(account, written, clock)


def unavailable(_: str) -> None:
    msg = "no"
    raise UnavailableError(msg)


def test_a_failed_batch_holds_its_states_back_for_good(world: World, account: TwoLists, written: list[Any]) -> None:
    reference = world.open("a")
    account.on_update = unavailable
    world.add(reference, "x", 1)
    world.add(reference, "y", 2)
    with pytest.raises(UnavailableError):
        world.dispatcher.flush()
    with pytest.raises(UnavailableError):
        world.run.hold_state({"at": 3}, 3)
    with pytest.raises(UnavailableError):
        world.add(reference, "z", 4)
    with pytest.raises(UnavailableError):
        world.run.flush()
    assert written == []
    assert len(account.updates) == 1


def test_an_overdue_state_sends_only_the_lists_that_it_waits_for(
    world: World, account: TwoLists, written: list[Any], clock: Clock
) -> None:
    first, second = world.open("a"), world.open("b")
    world.add(first, "x", 1)
    world.run.hold_state({"at": 2}, 2)
    world.add(second, "y", 3)
    world.run.tick()
    assert account.updates == []
    clock.now = STATE_PATIENCE_SECONDS
    world.run.tick()
    wait_until(lambda: account.updates)
    world.dispatcher.flush(before_line=2)
    assert account.updates == ["1"]
    while not written:
        world.run.tick()
    assert written == [{"at": 2}]


def test_a_flush_before_a_line_leaves_that_line(world: World, account: TwoLists) -> None:
    reference = world.open("a")
    world.add(reference, "x", 3)
    world.dispatcher.flush(before_line=3)
    assert world.dispatcher.delivery.is_idle
    assert account.updates == []
    world.dispatcher.flush(before_line=4)
    wait_until(lambda: account.updates)


def test_a_receipt_tells_whether_an_attempt_got_no_answer(world: World, account: TwoLists) -> None:
    account.late = iter([0, 1_000])
    reference = world.open("a")
    unanswered = []
    for line, name in enumerate("xy", 1):
        world.delivery.put(Order(reference, Operation.ADD, packed(name), [line]))
        world.delivery.flush()
        while not world.delivery.is_idle:
            unanswered += [receipt.batch.unanswered for receipt in world.delivery.receipts(1)]
    assert unanswered == [False, True]


class FailingCreation(TwoLists):
    """Reports that the creation of a list failed, although the list exists then."""

    def create_customer_list(
        self,
        name: str,
        _list_type: ListType,
        _records: Records,
        *,
        is_nca: bool | None = None,  # noqa: ARG002 - a list of any kind fails
    ) -> CustomerList:
        return CustomerList(self.place(name, ()).id, name, exceptions={"code": 1})


def test_a_list_is_not_created_twice_when_the_answer_reports_a_failure(written: list[Any], clock: Clock) -> None:
    account = FailingCreation()
    world = World(account, written, clock)
    reference = world.open("c")
    world.dispatcher.send(Order(reference, Operation.ADD, packed("x", "y"), [1, 2]))
    world.dispatcher.flush()
    world.dispatcher.stop()
    assert sorted(account.names.values()) == ["a", "b", "c"]
    assert account.members["3"] == {"x", "y"}


class SameCreation(TwoLists):
    """Returns a list that there is already instead of a new one."""

    def create_customer_list(
        self,
        _name: str,
        _list_type: ListType,
        _records: Records,
        *,
        is_nca: bool | None = None,  # noqa: ARG002 - a list of any kind is the same
    ) -> CustomerList:
        return self.customer_list("1")


def test_a_list_that_turns_out_to_be_the_list_of_another_is_refused(written: list[Any], clock: Clock) -> None:
    world = World(SameCreation(), written, clock)
    world.open("a")
    reference = world.open("c")
    with pytest.raises(ConfigurationError, match="are the same list"):
        world.dispatcher.send(Order(reference, Operation.ADD, packed("x", "y"), [1, 2]))
    assert world.delivery.watermark.floor() == 1
