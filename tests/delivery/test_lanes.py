"""Batches on threads: in order in each lane, bounded, and collected on the thread that submits them."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from target_pinterest_audience.delivery.delivery import Delivery, Room
from target_pinterest_audience.delivery.lanes import Lanes
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.routing.orders import Batch, Order, Written
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference
from target_pinterest_audience.run.dispatcher import Dispatcher
from target_pinterest_audience.vocabulary import ListType, Operation
from target_pinterest_audience.watermark import Watermark
from tests.support.accounts import TwoLists
from tests.support.packing import packed
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.client import PinterestClient

POLICY = RetryPolicy(retries=0, initial_seconds=0, max_seconds=0, connect_seconds=1, read_seconds=1)


def batch(number: int, size: int = 2) -> Batch:
    identities = tuple(b"%d-%d" % (number, n) for n in range(size))
    return Batch(Operation.ADD, identities, (number,) * size, Watermark().hold(number))


class Door:
    """A request that waits until it is let through."""

    def __init__(self) -> None:
        self.begun: list[Batch] = []
        self.ended: list[Batch] = []
        self._open = threading.Semaphore(0)

    def __call__(self, sent: Batch) -> Written:
        self.begun.append(sent)
        assert self._open.acquire(timeout=10)
        self.ended.append(sent)
        return Written([])

    def let_through(self, count: int = 1) -> None:
        self._open.release(count)


def collect(lanes: Lanes[str], count: int) -> list[Batch]:
    """The batches of so many results, none of which is a failure."""
    found: list[Batch] = []
    while len(found) < count:
        for result in lanes.results(10):
            assert isinstance(result.outcome, Written)
            found.append(result.batch)
    return found


def test_a_lane_has_room_up_to_its_limit() -> None:
    door, lanes = Door(), Lanes[str](ahead=4)
    batches = [batch(n) for n in range(4)]
    for each in batches[:3]:
        assert lanes.has_room("a")
        lanes.submit("a", each, door)
    assert not lanes.has_room("a")
    assert lanes.has_room("b")
    door.let_through()
    assert collect(lanes, 1) == batches[:1]
    assert lanes.has_room("a")
    lanes.submit("a", batches[3], door)
    door.let_through(3)
    assert collect(lanes, 3) == batches[1:]
    assert door.ended == batches


def test_all_lanes_together_have_room_up_to_a_limit() -> None:
    door, lanes = Door(), Lanes[str](ahead=4)
    count = 0
    while lanes.has_room(f"lane {count}"):
        lanes.submit(f"lane {count}", batch(count), door)
        count += 1
    assert lanes.under_way == 2 * count == 38
    door.let_through(count)
    collect(lanes, count)
    assert lanes.has_room("another")


def test_a_lane_sends_one_batch_at_a_time() -> None:
    door, lanes = Door(), Lanes[str](ahead=100)
    for n in range(5):
        lanes.submit("a", batch(n), door)
    time.sleep(0.1)
    assert len(door.begun) == 1
    door.let_through(5)
    collect(lanes, 5)


class SlowQueue:
    """A queue that takes its time over the first thing that is put into it."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._waits = iter([0.2])

    def put(self, thing: Any) -> None:
        time.sleep(next(self._waits, 0))
        self._queue.put(thing)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


def test_a_batch_begins_only_after_the_result_of_the_one_before_is_kept() -> None:
    door, lanes = Door(), Lanes[str](ahead=100)
    lanes._results = SlowQueue()  # type: ignore[assignment]
    door.let_through(2)
    batches = [batch(n) for n in range(2)]
    for each in batches:
        lanes.submit("a", each, door)
    assert collect(lanes, 2) == batches


def test_a_lane_that_failed_sends_nothing_more() -> None:
    sent: list[Batch] = []

    def send(each: Batch) -> Written:
        sent.append(each)
        if len(sent) == 2:
            raise ZeroDivisionError
        return Written([1])

    lanes = Lanes[str](ahead=100)
    for n in range(3):
        lanes.submit("a", batch(n), send)
    outcomes = [result.outcome for _ in range(2) for result in lanes.results(1)]
    lanes.stop(1)
    assert outcomes[0] == Written([1])
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert [*lanes.results()] == []
    assert len(sent) == 2


def test_stopped_lanes_wait_briefly_for_the_request_under_way_and_begin_no_other() -> None:
    door, lanes = Door(), Lanes[str](ahead=100)
    for n in range(3):
        lanes.submit("a", batch(n), door)
    wait_until(lambda: door.begun)
    threading.Timer(0.2, door.let_through, (3,)).start()
    lanes.stop(5)
    assert [result.batch for result in lanes.results()] == door.ended == [batch(0)]


def test_stopped_lanes_begin_nothing_that_waits_for_a_thread() -> None:
    door, lanes = Door(), Lanes[int](ahead=100)
    for lane in range(10):
        lanes.submit(lane, batch(lane), door)
    wait_until(lambda: len(door.begun) == 8)
    threading.Timer(0.2, door.let_through, (10,)).start()
    lanes.stop(5)
    assert len(door.begun) == len([*lanes.results()]) == 8


def test_stopped_lanes_are_not_waited_for_any_longer() -> None:
    door, lanes = Door(), Lanes[str](ahead=100)
    lanes.submit("a", batch(0), door)
    started = time.monotonic()
    lanes.stop(0.2)
    assert time.monotonic() - started < 2
    assert [*lanes.results()] == []
    door.let_through(1)


def test_many_lanes_share_a_few_threads_and_each_keeps_its_order() -> None:
    sent: list[tuple[int, int]] = []
    threads: set[int] = set()
    turns = [threading.Lock() for _ in range(40)]

    def send(each: Batch) -> Written:
        threads.add(threading.get_ident())
        number = int(each.identities[0])
        assert turns[number].acquire(blocking=False), "two requests for one list at once"
        time.sleep(0.001)
        sent.append((number, each.lines[0]))
        turns[number].release()
        return Written([])

    lanes = Lanes[int](ahead=100)
    for line in range(1, 6):
        for number in range(40):
            hold = Watermark().hold(line)
            lanes.submit(number, Batch(Operation.ADD, (b"%d" % number,), (line,), hold), send)
    collected = [(result.lane, result.batch.lines[0]) for _ in range(200) for result in lanes.results(10)]
    assert sorted(sent) == sorted(collected) == [(number, line) for number in range(40) for line in range(1, 6)]
    for order in (sent, collected):
        for number in range(40):
            assert [line for each, line in order if each == number] == [1, 2, 3, 4, 5]
    assert 1 < len(threads) <= 8


class TestDelivery:
    """The same by way of the dispatcher."""

    @staticmethod
    def delivery(account: TwoLists, ahead: int) -> tuple[Delivery, list[ListReference]]:
        client = cast("PinterestClient", account)
        delivery = Delivery(
            client, POLICY, logging.getLogger("test"), max_identities=1, max_bytes=10_000, room=Room(ahead=ahead)
        )
        references = [ListReference(customer_list_name=name) for name in "ab"]
        for each in references:
            delivery.open(ListPlan(each, ListType.EMAIL, IfMissing.CREATE, audience=None))
        return delivery, references

    def test_lists_are_written_to_in_parallel(self) -> None:
        together = threading.Barrier(2, timeout=10)
        account = TwoLists(lambda _: together.wait())
        delivery, references = self.delivery(account, ahead=10)
        dispatcher = Dispatcher(delivery)
        for each in references:
            dispatcher.send(Order(each, Operation.ADD, packed("x"), [1]))
        dispatcher.flush()
        assert account.members == {"1": {"x"}, "2": {"x"}}

    def test_an_order_waits_for_room(self) -> None:
        let = threading.Event()
        account = TwoLists(lambda _: let.wait(10))
        delivery, references = self.delivery(account, ahead=1)
        order = Order(references[0], Operation.ADD, packed("v", "w", "x", "y"), [1, 2, 3, 4])
        assert delivery.put(order).identities == 2
        assert delivery.put(order, 2).identities == 0
        threading.Timer(0.2, let.set).start()
        dispatcher = Dispatcher(delivery)
        started = time.monotonic()
        assert dispatcher.send(order._replace(identities=order.identities[2:], lines=[3, 4])) == 0
        assert time.monotonic() - started > 0.1
        dispatcher.flush()
        assert account.updates == ["1"] * 4

    def test_every_call_after_a_failure_raises_it_but_returns_other_receipts(self) -> None:
        def update(list_id: str) -> None:
            if list_id == "1":
                raise ZeroDivisionError

        account = TwoLists(update)
        delivery, references = self.delivery(account, ahead=10)
        for line, each in enumerate(references, 1):
            delivery.put(Order(each, Operation.ADD, packed("x"), [line]))
        wait_until(lambda: len(account.updates) == 2)
        dispatcher = Dispatcher(delivery)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                dispatcher.flush()
        dispatcher.stop()
        assert delivery.watermark.floor() == 1
        assert delivery.watermark.floor(references[1]) is None


def test_a_thread_that_a_signal_kept_from_starting_does_not_keep_lanes_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Signalled(BaseException):
        """What a signal handler raises."""

    def interrupted(_: threading.Thread) -> None:
        raise Signalled

    lanes = Lanes[str](ahead=10)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(Signalled):
            lanes.submit("a", batch(1), Door())
    lanes.stop(1)
