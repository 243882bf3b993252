"""An order for many lists does what an order for each list does."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_pinterest_audience.delivery.delivery import Delivery
from target_pinterest_audience.pinterest.errors import UnavailableError
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.routing.orders import MixedOrder, Order
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference
from target_pinterest_audience.run.dispatcher import Dispatcher
from target_pinterest_audience.vocabulary import Cause, ListType, Operation
from tests.support.accounts import TwoLists

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.client import PinterestClient

POLICY = RetryPolicy(retries=0, initial_seconds=0, max_seconds=0, connect_seconds=1, read_seconds=1)
LISTS = [ListReference(customer_list_name=name) for name in ("a", "b")]
PEOPLE = [hashlib.sha256(str(number).encode()).digest() for number in range(6)]

rows = st.lists(st.tuples(st.sampled_from(LISTS), st.sampled_from(PEOPLE)), max_size=12)
orders = st.lists(st.tuples(st.sampled_from(list(Operation)), rows), max_size=5)


def open_lists(account: TwoLists) -> Dispatcher:
    client = cast("PinterestClient", account)
    delivery = Delivery(client, POLICY, logging.getLogger("test"), max_identities=3, max_bytes=10_000)
    for reference in LISTS:
        delivery.open(ListPlan(reference, ListType.EMAIL, IfMissing.CREATE, audience=None))
    return Dispatcher(delivery)


@given(orders=orders)
def test_an_order_for_many_lists_does_what_an_order_for_each_identity_does(
    orders: list[tuple[Operation, list[tuple[ListReference, bytes]]]],
) -> None:
    together, apart = TwoLists(), TwoLists()
    at_once, one_by_one = open_lists(together), open_lists(apart)
    line = 1
    for operation, group in orders:
        lines = range(line, line + len(group))
        line += len(group)
        lists, people = [reference for reference, _ in group], [person for _, person in group]
        again = at_once.send_mixed(MixedOrder(lists, operation, people, lines, Cause.DELETE))
        again -= sum(
            one_by_one.send(Order(reference, operation, [person], [at], Cause.DELETE))
            for (reference, person), at in zip(group, lines, strict=True)
        )
        assert again == 0
        assert at_once.delivery.watermark.newest == one_by_one.delivery.watermark.newest
    for dispatcher in (at_once, one_by_one):
        dispatcher.flush()
        assert dispatcher.delivery.watermark.floor() is None
        dispatcher.stop()
    assert together.members == apart.members
    assert sorted(together.updates) == sorted(apart.updates)


def test_an_order_for_many_lists_ends_at_the_list_that_cannot_be_delivered() -> None:
    def refuse(list_id: str) -> None:
        raise UnavailableError(list_id)

    dispatcher = open_lists(TwoLists(refuse))
    dispatcher.send_mixed(MixedOrder(LISTS * 3, Operation.ADD, PEOPLE, range(1, 7)))
    with pytest.raises(UnavailableError):
        dispatcher.flush()
    dispatcher.stop()
    assert dispatcher.delivery.watermark.floor() is not None
