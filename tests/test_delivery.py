from __future__ import annotations

import logging
from typing import Any
from unittest.mock import Mock

import pytest

from target_pinterest_audience import delivery as delivery_module
from target_pinterest_audience.delivery import Delivery
from target_pinterest_audience.identities import ListType
from target_pinterest_audience.pinterest import Operation, Patience
from target_pinterest_audience.pinterest.errors import RefusedError
from target_pinterest_audience.pinterest.models import CustomerList
from target_pinterest_audience.routing import ListPlan, ListReference
from target_pinterest_audience.state import StateGate
from tests.conftest import Clock

PATIENCE = Patience(retries=0, initial_seconds=0, max_seconds=0, connect_seconds=1, read_seconds=1)


def plan(name: str) -> ListPlan:
    return ListPlan(ListReference(customer_list_name=name), ListType.EMAIL, may_create=True, audience=None)


@pytest.fixture
def client() -> Mock:
    client = Mock()
    client.customer_lists.side_effect = lambda: iter([CustomerList("1", "a"), CustomerList("2", "b")])
    return client


@pytest.fixture
def delivery(client: Mock, written: list[Any], clock: Clock) -> Delivery:
    gate = StateGate(written.append, clock)
    return Delivery(client, PATIENCE, logging.getLogger("test"), max_identities=2, max_bytes=10_000, gate=gate)


def test_a_batch_that_failed_holds_its_states_back_for_good(
    delivery: Delivery, client: Mock, written: list[Any]
) -> None:
    reference = delivery.open(plan("a"))
    client.update_customer_list.side_effect = [RefusedError("no"), None]
    delivery.put(reference, Operation.ADD, "x", 1)
    with pytest.raises(RefusedError):
        delivery.put(reference, Operation.ADD, "y", 2)
    delivery.hold_state({"at": 3}, 3)
    delivery.put(reference, Operation.ADD, "z", 4)
    delivery.flush()
    assert written == []


def test_an_overdue_state_sends_only_what_it_waits_for(
    delivery: Delivery, client: Mock, written: list[Any], clock: Clock
) -> None:
    first, second = delivery.open(plan("a")), delivery.open(plan("b"))
    delivery.put(first, Operation.ADD, "x", 1)
    delivery.hold_state({"at": 2}, 2)
    delivery.put(second, Operation.ADD, "y", 3)
    delivery.tick()
    assert client.update_customer_list.call_count == 0
    clock.now = delivery_module.STATE_PATIENCE_SECONDS
    delivery.tick()
    (call,) = client.update_customer_list.call_args_list
    assert call.args[0] == "1"
    assert written == [{"at": 2}]
