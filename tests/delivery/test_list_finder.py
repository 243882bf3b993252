"""A list is found by its name, its id or its audience, and never guessed."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from target_pinterest_audience.delivery.creation import Attempts, Creation
from target_pinterest_audience.delivery.directory import Directory
from target_pinterest_audience.delivery.list_finder import ListFinder
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.packed import Records
from target_pinterest_audience.pinterest.errors import OutcomeUnclearError
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference
from target_pinterest_audience.vocabulary import ListType
from tests.support.accounts import Pinterest, TwoLists
from tests.support.waiting import Clock

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.client import PinterestClient
    from target_pinterest_audience.pinterest.models import CustomerList

POLICY = RetryPolicy(retries=0, initial_seconds=0, max_seconds=0, connect_seconds=1, read_seconds=1)


def finder(
    account: Pinterest, if_missing: IfMissing = IfMissing.CREATE, *, is_nca: bool | None = None, **reference: str
) -> ListFinder:
    plan = ListPlan(ListReference(**reference), ListType.EMAIL, if_missing, audience=None, is_nca=is_nca)
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


@pytest.mark.parametrize(
    ("wanted", "exists", "words"),
    [
        (
            True,
            False,
            r'^Customer list "b" \(id 2\) exists and is not for new customer acquisition, but `is_nca` is true\.',
        ),
        (
            False,
            True,
            r'^Customer list "b" \(id 2\) exists and is for new customer acquisition, but `is_nca` is false\.',
        ),
    ],
)
def test_a_list_of_the_other_kind_is_refused(*, wanted: bool, exists: bool, words: str) -> None:
    account = TwoLists()
    account.is_nca["2"] = exists
    with pytest.raises(ConfigurationError, match=words):
        finder(account, is_nca=wanted, customer_list_name="b").look_up()


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("same", [True, False])
def test_a_list_of_the_same_kind_is_used_and_either_kind_if_none_is_set(*, exists: bool, same: bool) -> None:
    account = TwoLists()
    account.is_nca["2"] = exists
    found = finder(account, is_nca=exists if same else None, customer_list_name="b")
    found.look_up()
    assert found.list_id == "2"


def test_the_kind_of_a_list_that_is_chosen_by_its_id_comes_from_the_listing() -> None:
    account = TwoLists()
    account.is_nca["2"] = False
    with pytest.raises(ConfigurationError, match=r"^Customer list 2 exists and is not for new customer acquisition"):
        finder(account, is_nca=True, customer_list_id="2").look_up()


def test_a_kind_that_pinterest_does_not_tell_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    found = finder(TwoLists(), is_nca=True, customer_list_id="2")
    found.look_up()
    assert found.list_id == "2"
    assert "does not report whether customer list 2 is for new customer acquisition" in caplog.text


@pytest.mark.parametrize("is_nca", [True, False, None])
def test_a_list_is_created_of_the_kind_that_is_set(*, is_nca: bool | None) -> None:
    account = TwoLists()
    new = finder(account, is_nca=is_nca, customer_list_name="c")
    new.look_up()
    new.create("x", Attempts())
    assert account.is_nca == {"3": bool(is_nca)}


def test_a_list_that_this_run_created_cannot_become_of_the_other_kind() -> None:
    new = finder(TwoLists(), customer_list_name="c")
    new.look_up()
    new.create("x", Attempts())
    new.plan = replace(new.plan, is_nca=True)
    with pytest.raises(ConfigurationError, match="is not for new customer acquisition"):
        new.refuse_other_kind()


class Lost(TwoLists):
    """Creates a list, and loses the response."""

    def create_customer_list(
        self, name: str, list_type: ListType, records: Records, *, is_nca: bool | None = None
    ) -> CustomerList:
        super().create_customer_list(name, list_type, records, is_nca=not is_nca)
        msg = "no response"
        raise OutcomeUnclearError(msg)


def test_a_list_of_the_other_kind_that_another_process_created_meanwhile_is_refused() -> None:
    new = finder(Lost(), is_nca=True, customer_list_name="c")
    new.look_up()
    with pytest.raises(ConfigurationError, match="is not for new customer acquisition"):
        new.create("x", Attempts())
