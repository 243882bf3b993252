from __future__ import annotations

import logging
from typing import Any
from unittest.mock import Mock

import pytest

from target_pinterest_audience.delivery.delivery import Delivery
from target_pinterest_audience.pinterest.errors import UnavailableError
from target_pinterest_audience.pinterest.models import CustomerList
from target_pinterest_audience.pinterest.retry import Patience
from target_pinterest_audience.routing.orders import Order
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference
from target_pinterest_audience.run.dispatcher import Dispatcher
from target_pinterest_audience.run.run import STATE_PATIENCE_SECONDS, Run
from target_pinterest_audience.run.states import StateGate
from target_pinterest_audience.vocabulary import ListType, Operation
from tests.conftest import Clock
from tests.packing import packed
from tests.test_process import wait_until

PATIENCE = Patience(retries=0, initial_seconds=0, max_seconds=0, connect_seconds=1, read_seconds=1)


def plan(name: str) -> ListPlan:
    return ListPlan(ListReference(customer_list_name=name), ListType.EMAIL, IfMissing.CREATE, audience=None)


class World:
    """A delivery to two lists, and the run that holds its states back."""

    def __init__(self, client: Mock, written: list[Any], clock: Clock) -> None:
        client.customer_lists.side_effect = lambda: iter([CustomerList("1", "a"), CustomerList("2", "b")])

        self.delivery = Delivery(client, PATIENCE, logging.getLogger("test"), max_identities=2, max_bytes=10_000)
        self.dispatcher = Dispatcher(self.delivery)
        self.run = Run(self.delivery, Mock(), Mock(), Mock(), StateGate(written.append, clock))

    def open(self, name: str) -> ListReference:
        self.delivery.open(plan(name))
        return plan(name).reference

    def add(self, reference: ListReference, name: str, line: int) -> None:
        self.dispatcher.send(Order(reference, Operation.ADD, packed(name), [line]))


@pytest.fixture
def client() -> Mock:
    return Mock()


@pytest.fixture
def world(client: Mock, written: list[Any], clock: Clock) -> World:
    return World(client, written, clock)


def test_a_batch_that_failed_holds_its_states_back_for_good(world: World, client: Mock, written: list[Any]) -> None:
    reference = world.open("a")
    client.update_customer_list.side_effect = UnavailableError("no")
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
    assert client.update_customer_list.call_count == 1


def test_an_overdue_state_sends_only_what_it_waits_for(
    world: World, client: Mock, written: list[Any], clock: Clock
) -> None:
    first, second = world.open("a"), world.open("b")
    world.add(first, "x", 1)
    world.run.hold_state({"at": 2}, 2)
    world.add(second, "y", 3)
    world.run.tick()
    assert client.update_customer_list.call_count == 0
    clock.now = STATE_PATIENCE_SECONDS
    world.run.tick()
    wait_until(lambda: client.update_customer_list.call_args_list)
    world.dispatcher.flush(before_line=2)
    (call,) = client.update_customer_list.call_args_list
    assert call.args[0] == "1"
    while not written:
        world.run.tick()
    assert written == [{"at": 2}]


def test_a_list_that_was_made_is_not_made_again_though_the_answer_reports_a_failure(client: Mock) -> None:
    client.customer_lists.side_effect = lambda: iter(())
    client.create_customer_list.return_value = CustomerList("7", "c", exceptions={"code": 1})
    delivery = Delivery(client, PATIENCE, logging.getLogger("test"), max_identities=2, max_bytes=10_000)
    delivery.open(plan("c"))
    dispatcher = Dispatcher(delivery)
    dispatcher.send(Order(plan("c").reference, Operation.ADD, packed("x", "y"), [1, 2]))
    dispatcher.flush()
    dispatcher.stop()
    assert client.create_customer_list.call_count == 1
    sent = [call.args[2] for call in client.update_customer_list.call_args_list]
    assert sorted(identity for records in sent for identity in records.split(",")) == ["x", "y"]
