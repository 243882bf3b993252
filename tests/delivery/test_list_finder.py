"""A list is found by its name, its id or its audience, and never guessed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

import pytest

from target_pinterest_audience.delivery.creation import Attempts, Creation
from target_pinterest_audience.delivery.directory import Directory
from target_pinterest_audience.delivery.list_finder import ListFinder
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference
from target_pinterest_audience.vocabulary import ListType
from tests.support.accounts import Pinterest, TwoLists
from tests.support.waiting import Clock

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.client import PinterestClient

POLICY = RetryPolicy(retries=0, initial_seconds=0, max_seconds=0, connect_seconds=1, read_seconds=1)


def finder(account: Pinterest, if_missing: IfMissing = IfMissing.CREATE, **reference: str) -> ListFinder:
    plan = ListPlan(ListReference(**reference), ListType.EMAIL, if_missing, audience=None)
    directory = Directory(cast("PinterestClient", account), Clock())
    return ListFinder(plan, directory, Creation(POLICY, logging.getLogger("test")), logging.getLogger("test"))


def test_a_list_is_found_by_its_exact_name() -> None:
    found = finder(TwoLists(), customer_list_name="b")
    found.look_up()
    assert found.list_id == "2"


def test_a_list_is_found_by_its_id() -> None:
    found = finder(TwoLists(), customer_list_id="2")
    found.look_up()
    assert found.customer_list is not None
    assert found.customer_list.name == "b"


def test_several_lists_of_one_name_are_an_error() -> None:
    account = TwoLists()
    account.place("b", ())
    with pytest.raises(ConfigurationError, match=r'2 customer lists named "b" \(ids 2, 3\)'):
        finder(account, customer_list_name="b").look_up()


def test_the_pinned_one_of_several_lists_is_used(caplog: pytest.LogCaptureFixture) -> None:
    account = TwoLists()
    account.place("b", ())
    found = finder(account, customer_list_name="b")
    found.look_up(pinned_id="3")
    assert found.list_id == "3"
    assert 'Other customer lists are also named "b" (ids 2, 3). The run uses 3' in caplog.text


def test_an_unknown_id_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="does not have customer list 9"):
        finder(TwoLists(), customer_list_id="9").look_up()


def test_a_missing_list_is_an_error_that_names_a_similar_one() -> None:
    missing = finder(TwoLists(), IfMissing.REFUSE, customer_list_name="B")
    missing.look_up()
    with pytest.raises(ConfigurationError, match=r'Did you mean "b" \(id 2\), which differs only in case\?'):
        missing.refuse_if_missing()


def test_a_list_that_may_be_missing_is_not_an_error() -> None:
    missing = finder(TwoLists(), IfMissing.GO_ON, customer_list_id="9")
    missing.look_up()
    missing.refuse_if_missing()
    assert missing.list_id is None


def test_a_list_is_created_with_its_first_identities() -> None:
    account = TwoLists()
    new = finder(account, customer_list_name="c")
    new.look_up()
    made, is_created = new.create("x,y", Attempts())
    assert (made.id, is_created, new.list_id) == ("3", True, "3")
    assert account.members["3"] == {"x", "y"}
