"""How many identities wait in memory: beyond that, half-full batches leave, and orders are taken only in part."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from target_pinterest_audience.delivery.delivery import Delivery, Room
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.routing.orders import MixedOrder, Order
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference
from target_pinterest_audience.vocabulary import Cause, ListType, Operation
from tests.support.accounts import TwoLists
from tests.support.packing import packed
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.client import PinterestClient

POLICY = RetryPolicy(retries=0, initial_seconds=0, max_seconds=0, connect_seconds=1, read_seconds=1)
A, B, C = (ListReference(customer_list_name=name) for name in "abc")


class World:
    """A delivery to two lists, whose requests a test lets through."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.account = TwoLists(lambda _: self.may_end.wait(20))

    def delivery(self, room: Room, *, batch_size: int = 100) -> Delivery:
        client = cast("PinterestClient", self.account)
        delivery = Delivery(
            client, POLICY, logging.getLogger("test"), max_identities=batch_size, max_bytes=10_000, room=room
        )
        for each in (A, B, C):
            delivery.open(ListPlan(each, ListType.EMAIL, IfMissing.CREATE, audience=None))
        return delivery


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.may_end.set()


def order(reference: ListReference, *names: str) -> Order:
    return Order(reference, Operation.ADD, packed(*names), range(1, len(names) + 1))


def collect(delivery: Delivery) -> None:
    """Wait until nothing is under way."""
    while not delivery.is_idle:
        list(delivery.receipts(1))


def mixed(reference: ListReference, *names: str) -> MixedOrder:
    return MixedOrder([reference] * len(names), Operation.ADD, packed(*names), range(1, len(names) + 1))


def test_an_order_is_not_taken_while_too_many_identities_wait(world: World) -> None:
    delivery = world.delivery(Room(ahead=1, waiting=2))
    delivery.put(order(A, "u", "v"))
    assert delivery.flush()
    # They wait for the request that is under way, so nothing makes room.
    assert delivery.put_mixed(mixed(A, "w", "x", "y")).identities == 3
    assert delivery.put(order(B, "z")).identities == 0
    assert delivery.put_mixed(mixed(B, "z")).identities == 0
    world.may_end.set()
    collect(delivery)
    assert delivery.put(order(B, "z")).identities == 1
    collect(delivery)
    assert world.account.members == {"1": {*"uvwxy"}, "2": set()}


def test_full_batches_that_left_do_not_wait(world: World) -> None:
    delivery = world.delivery(Room(waiting=2), batch_size=2)
    world.may_end.set()
    for names in ("uv", "wx", "yz"):
        taken = delivery.put_mixed(mixed(A, *names))
        assert taken.identities == 2
        collect(delivery)
    assert world.account.members["1"] == {*"uvwxyz"}


def test_the_fullest_list_makes_room(world: World) -> None:
    delivery = world.delivery(Room(ahead=100, waiting=3))
    world.may_end.set()
    for each in (order(A, "x"), order(B, "x", "y", "z"), order(A, "y")):
        delivery.put(each)
    collect(delivery)
    assert world.account.members == {"1": set(), "2": {*"xyz"}}


def test_what_is_accepted_counts_whether_it_is_added_or_removed(world: World) -> None:
    delivery = world.delivery(Room(ahead=10))
    world.may_end.set()
    delivery.put(order(A, "x", "y"))
    delivery.put(Order(B, Operation.REMOVE, packed("z"), [1], Cause.DELETE))
    delivery.flush()
    collect(delivery)
    assert delivery.accepted_so_far == (2, 3)


def test_receipts_are_not_waited_for_once_there_is_one(world: World) -> None:
    delivery = world.delivery(Room(ahead=1), batch_size=1)
    delivery.put(order(A, "x"))
    wait_until(lambda: world.account.updates)
    delivery.put(order(C, "x"))
    began = time.monotonic()
    assert [receipt.list for receipt in delivery.receipts(15)] == [C]
    assert time.monotonic() - began < 10


def test_a_stop_ends_the_requests_of_the_client(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[bool] = []
    monkeypatch.setattr(world.account, "stop", lambda: stopped.append(True), raising=False)
    delivery = world.delivery(Room())
    assert list(delivery.stop()) == []
    assert stopped == [True]
