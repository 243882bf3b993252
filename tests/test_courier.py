"""Requests on a thread of their own: in order, bounded, and heard of where the run can end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from target_pinterest_audience.batches import Batch, Written
from target_pinterest_audience.courier import Courier, Crew
from target_pinterest_audience.delivery import Delivery
from target_pinterest_audience.identities import ListType
from target_pinterest_audience.pinterest import Operation, Patience
from target_pinterest_audience.pinterest.models import CustomerList
from target_pinterest_audience.routing import IfMissing, ListPlan, ListReference
from tests.test_process import wait_until

PATIENCE = Patience(retries=0, initial_seconds=0, max_seconds=0, connect_seconds=1, read_seconds=1)


def batch(number: int, size: int = 2) -> Batch:
    return Batch(Operation.ADD, tuple(b"%d-%d" % (number, n) for n in range(size)), (number,) * size, number)


class Door:
    """A write that waits until it is let through."""

    def __init__(self) -> None:
        self.begun: list[Batch] = []
        self.ended: list[Batch] = []
        self._open = threading.Semaphore(0)

    def __call__(self, written: Batch) -> Written:
        self.begun.append(written)
        assert self._open.acquire(timeout=10)
        self.ended.append(written)
        return Written([])

    def let_through(self, count: int = 1) -> None:
        self._open.release(count)


def test_what_is_handed_over_waits_up_to_a_bound() -> None:
    door = Door()
    accepted: list[Batch] = []
    crew = Crew(ahead=4)
    courier = Courier(crew, door, lambda each, _: accepted.append(each))
    batches = [batch(n) for n in range(5)]
    for each in batches[:3]:
        courier.hand_over(each)
    timer = threading.Timer(0.2, door.let_through)
    timer.start()
    started = time.monotonic()
    courier.hand_over(batches[3])
    assert time.monotonic() - started > 0.1
    assert accepted == batches[:1]
    door.let_through(10)
    courier.hand_over(batches[4])
    crew.drain()
    assert accepted == door.ended == batches


def test_one_is_written_at_a_time() -> None:
    door = Door()
    crew = Crew(ahead=100)
    courier = Courier(crew, door, Mock())
    for n in range(5):
        courier.hand_over(batch(n))
    time.sleep(0.1)
    assert len(door.begun) == 1
    door.let_through(5)
    crew.drain()


def test_after_a_failure_nothing_is_written_and_everybody_who_asks_is_told() -> None:
    accepted: list[tuple[Batch, Written]] = []
    written: list[Batch] = []

    def write(each: Batch) -> Written:
        written.append(each)
        if len(written) == 2:
            raise ZeroDivisionError
        return Written([1])

    crew = Crew(ahead=100)
    courier = Courier(crew, write, lambda each, came: accepted.append((each, came)))
    for n in range(2):
        courier.hand_over(batch(n))
    with pytest.raises(ZeroDivisionError):
        crew.drain()
    calls: list[Callable[[], Any]] = [crew.hear, crew.drain, lambda: courier.hand_over(batch(9))]
    for call in calls:
        with pytest.raises(ZeroDivisionError):
            call()
    crew.stop(1)
    assert accepted == [(batch(0), Written([1]))]
    assert len(written) == 2


def test_a_courier_that_is_stopped_waits_a_moment_for_the_request_under_way_and_begins_no_other() -> None:
    door = Door()
    accepted: list[Batch] = []
    crew = Crew(ahead=100)
    courier = Courier(crew, door, lambda each, _: accepted.append(each))
    for n in range(3):
        courier.hand_over(batch(n))
    wait_until(lambda: door.begun)
    threading.Timer(0.2, door.let_through, (3,)).start()
    crew.stop(5)
    assert accepted == door.ended == [batch(0)]


def test_a_courier_is_not_waited_for_longer_than_that() -> None:
    door = Door()
    accepted: list[Batch] = []
    crew = Crew(ahead=100)
    courier = Courier(crew, door, lambda each, _: accepted.append(each))
    courier.hand_over(batch(0))
    started = time.monotonic()
    crew.stop(0.2)
    assert time.monotonic() - started < 2
    assert accepted == []
    door.let_through(1)


def test_lists_are_written_to_side_by_side() -> None:
    together = threading.Barrier(2, timeout=10)
    client = Mock()
    client.customer_lists.side_effect = lambda: iter([CustomerList("1", "a"), CustomerList("2", "b")])
    client.update_customer_list.side_effect = lambda *_: Mock(number=together.wait(), unanswered=False)
    delivery = Delivery(client, PATIENCE, logging.getLogger("test"), max_identities=1, max_bytes=10_000, ahead=10)
    for name in "ab":
        plan = ListPlan(ListReference(customer_list_name=name), ListType.EMAIL, IfMissing.CREATE, audience=None)
        delivery.open(plan)
        delivery.put(plan.reference, Operation.ADD, b"x", 1)
    delivery.flush()
    assert client.update_customer_list.call_count == 2


def test_many_lists_are_written_to_by_a_few_threads_each_in_its_own_order() -> None:
    written: list[tuple[int, int]] = []
    threads: set[int] = set()
    accepted: list[tuple[int, int]] = []
    turns = [threading.Lock() for _ in range(40)]

    def write(each: Batch) -> Written:
        threads.add(threading.get_ident())
        number = int(each.identities[0])
        assert turns[number].acquire(blocking=False), "two requests for one list at once"
        time.sleep(0.001)
        written.append((number, each.first_line))
        turns[number].release()
        return Written([])

    crew = Crew(ahead=10)
    couriers = [
        Courier(crew, write, lambda each, _: accepted.append((int(each.identities[0]), each.first_line)))
        for _ in range(40)
    ]
    for line in range(1, 6):
        for number, courier in enumerate(couriers):
            courier.hand_over(Batch(Operation.ADD, (b"%d" % number,), (line,), line))
    crew.drain()
    assert sorted(written) == sorted(accepted) == [(number, line) for number in range(40) for line in range(1, 6)]
    for order in (written, accepted):
        for number in range(40):
            assert [line for each, line in order if each == number] == [1, 2, 3, 4, 5]
    assert 1 < len(threads) <= 8


def test_what_waits_for_all_lists_together_is_bounded() -> None:
    door = Door()
    crew = Crew(ahead=4)
    couriers = [Courier(crew, door, Mock()) for _ in range(25)]
    threading.Timer(0.3, door.let_through, (25,)).start()
    started = time.monotonic()
    for number, courier in enumerate(couriers):
        courier.hand_over(batch(number))
    assert time.monotonic() - started > 0.2
    crew.drain()
