"""How many people may leave a list because the ledger derives it, or because their rows are marked as deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from target_pinterest_audience.errors import RemovalCeilingError
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.open import open_ledger
from target_pinterest_audience.reconcile.ceiling import Ceilings, MassRefusal
from target_pinterest_audience.reconcile.windows.decisions import (
    Decisions,
    ListDecisions,
    Movement,
    Removal,
    movements,
)
from target_pinterest_audience.vocabulary import Cause
from tests.support.account import ACCOUNT

HOUR = 3_600.0
DAY = 24 * HOUR


class Book:
    """Lists in a ledger, and a run after the other that removes people from them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.now = 1_790_000_000.0
        with ledger.transaction():
            self.lists = [ledger.catalogue.lists.add(str(number), "L").number for number in (7, 8)]

    def fill(self, members: int, place: int = 0) -> None:
        with self.ledger.transaction():
            self.ledger.catalogue.lists.change_members(self.lists[place], members - self.members(place))

    def members(self, place: int = 0) -> int:
        return self.ledger.catalogue.lists.entry(self.lists[place]).members

    def begin(self, percent: int = 20, deleted_percent: int = 50, *, lists: int = 1) -> Ceilings:
        explain = 'customer list "L"', "Since the last run `hashing` changed, which may be why. "
        ceilings = Ceilings(percent, lambda _: explain, lambda: self.now, deleted_percent=deleted_percent)
        with self.ledger.transaction():
            for number in self.lists[:lists]:
                ceilings.begin(self.ledger.catalogue, number)
        return ceilings

    def leave(self, ceilings: Ceilings, place: int = 0, *, added: int = 0, derived: int = 0, deleted: int = 0,
              refused: int = 0) -> None:  # fmt: skip
        """Work a window off."""
        number = self.lists[place]
        with self.ledger.transaction():
            self.ledger.catalogue.lists.change_members(number, added - derived - deleted - refused)
            ceilings.count(self.ledger.catalogue, {number: Movement(added, derived, deleted, refused)})

    def end(self) -> None:
        """Let the run end cleanly."""
        with self.ledger.transaction():
            run = self.ledger.catalogue.runs.begin("main", {}, self.now)
            self.ledger.catalogue.runs.end(run, "clean", self.now, [])
            self.ledger.catalogue.removal_counts.close(self.lists)

    def run(self, percent: int = 20, deleted_percent: int = 50, **leaving: int) -> bool:
        """Let a whole run happen; return whether the ceilings let it."""
        ceilings = self.begin(percent, deleted_percent)
        try:
            self.leave(ceilings, **leaving)
        except RemovalCeilingError:
            return False
        self.end()
        return True


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    url = f"sqlite:///{tmp_path}/ledger.db"
    with closing(open_ledger(url, "https://127.0.0.1", ACCOUNT, wait_seconds=1)) as ledger:
        yield Book(ledger)


def removals(*causes: Cause, were_members: bool = True) -> dict[bytes, Removal]:
    return {b"%d" % place: Removal(cause, 1, were_members) for place, cause in enumerate(causes)}


@pytest.mark.parametrize(
    ("percent", "members", "allowed"),
    [
        (20, 100, 20), (20, 104, 20), (20, 105, 21), (33, 60, 19), (0, 100, 10), (1, 100_000, 1000), (99, 200, 198),
        (20, 20, 10), (20, 19, 9), (20, 11, 5), (20, 6, 3), (0, 3, 3), (0, 4, 3), (90, 11, 9),
    ],
)  # fmt: skip
def test_the_share_of_members_or_ten_may_leave_but_never_more_than_half_of_the_list(
    book: Book, percent: int, members: int, allowed: int
) -> None:
    book.fill(members)
    assert not book.run(percent, derived=allowed + 1)
    assert book.run(percent, derived=allowed)


@pytest.mark.parametrize(
    ("percent", "members", "allowed"),
    [(50, 100, 50), (50, 101, 50), (50, 19, 10), (50, 3, 10), (0, 1_000, 10), (99, 200, 198)],
)
def test_the_share_of_members_may_be_deleted_and_always_ten(
    book: Book, percent: int, members: int, allowed: int
) -> None:
    book.fill(members)
    assert not book.run(deleted_percent=percent, deleted=allowed + 1)
    assert book.run(deleted_percent=percent, deleted=allowed)


@pytest.mark.parametrize("members", [1, 3, 10])
def test_ten_people_may_change_their_addresses_on_a_list_of_any_size(book: Book, members: int) -> None:
    book.fill(members)
    for _ in range(10 // members):
        assert book.run(added=members, derived=members)
    assert not book.run(added=members + 10, derived=members + 10)


def test_ten_people_may_be_replaced_but_not_more(book: Book) -> None:
    book.fill(12)
    assert not book.run(added=12, derived=12)
    assert not book.run(added=3, derived=10)
    assert book.run(added=4, derived=10)


def test_everyone_may_leave_if_the_ceiling_is_100(book: Book) -> None:
    book.fill(100)
    assert book.run(percent=100, deleted_percent=100, added=500, derived=150, deleted=150)


def test_an_empty_list_has_no_ceiling(book: Book) -> None:
    assert book.run(percent=0, deleted_percent=0, added=3_000, derived=1_000, deleted=1_000)
    assert not book.run(percent=0, derived=11)


def test_the_two_ceilings_are_counted_separately_and_refusals_have_none(book: Book) -> None:
    book.fill(100)
    assert book.run(derived=20, deleted=30, refused=50)


@pytest.mark.parametrize("cause", [Cause.CLEAR, Cause.FORGET, Cause.UNFINISHED])
def test_removals_by_a_command_of_a_person_do_not_count(cause: Cause) -> None:
    assert movements({1: ListDecisions(removals=removals(cause))}) == {1: Movement(0, 0, 0, 0)}


def test_causes_are_counted_separately() -> None:
    left = removals(Cause.CHANGE, Cause.PRUNE, Cause.DELETE, Cause.REFUSAL, Cause.REFUSAL, Cause.REFUSAL)
    decisions: Decisions = {1: ListDecisions({b"new": 1}, left), 2: ListDecisions()}
    assert movements(decisions) == {1: Movement(added=1, derived=2, deleted=1, refused=3)}


def test_the_removal_of_a_non_member_does_not_count() -> None:
    left = removals(Cause.DELETE, Cause.REFUSAL, were_members=False)
    assert movements({1: ListDecisions(removals=left)}) == {1: Movement(0, 0, 0, 0)}


def test_the_removals_of_a_run_add_up_for_each_list(book: Book) -> None:
    book.fill(100)
    book.fill(100, 1)
    ceilings = book.begin(lists=2)
    for place in (0, 1):
        for _ in range(4):
            book.leave(ceilings, place, derived=5, deleted=5)
    for leaving in ({"derived": 1}, {"deleted": 31}):
        with pytest.raises(RemovalCeilingError):
            book.leave(ceilings, **leaving)
    assert book.members() == 60


@pytest.mark.parametrize("kind", ["derived", "deleted"])
def test_many_small_runs_together_do_not_exceed_a_ceiling(book: Book, kind: str) -> None:
    book.run(added=500)
    for _ in range(14):
        book.now += 300
        book.run(**{kind: book.members() * 3 // 20})
    assert book.members() == (425 if kind == "derived" else 262)
    book.now += HOUR
    assert not book.run(**{kind: 70})
    book.now += DAY
    assert book.run(**{kind: 60})


def test_a_list_that_only_grows_keeps_one_starting_size(book: Book) -> None:
    for _ in range(30):
        book.run(added=10)
        book.now += 60
    assert [start.members for start in book.ledger.catalogue.removal_counts.starts(book.lists[0])] == [290]


def test_counts_older_than_a_day_are_deleted(book: Book) -> None:
    for size in (100, 90, 80):
        book.fill(size)
        book.run(derived=2)
        book.now += 10 * HOUR
    book.run()
    assert [start.members for start in book.ledger.catalogue.removal_counts.starts(book.lists[0])] == [90, 80, 78]


def test_removals_at_the_end_of_a_long_run_count_for_a_day_from_then(book: Book) -> None:
    book.fill(500)
    ceilings = book.begin()
    book.now += 2 * DAY
    book.leave(ceilings, derived=90)
    book.end()
    book.now += HOUR
    assert not book.run(derived=11)


def test_starting_sizes_of_a_fast_clock_count_for_a_day(book: Book) -> None:
    book.fill(100)
    book.now += 365 * DAY
    book.run(derived=20)
    book.now -= 365 * DAY
    assert not book.run(derived=1)
    book.now += DAY + 1
    assert book.run(derived=16)


@pytest.mark.parametrize("kind", ["derived", "deleted"])
def test_after_an_allowed_removal_the_next_runs_count_from_zero(book: Book, kind: str) -> None:
    book.fill(100)
    assert not book.run(**{kind: 70})
    assert book.run(percent=80, deleted_percent=80, **{kind: 70})
    assert book.run(percent=80, deleted_percent=80, **{kind: 5})
    assert not book.run(percent=80, deleted_percent=80, **{kind: 11})
    assert book.run(**{kind: 5})
    assert not book.run(**{kind: 6})


def test_a_run_that_did_not_need_its_higher_ceiling_still_counts(book: Book) -> None:
    book.fill(100)
    assert book.run(percent=90, derived=15)
    assert not book.run(derived=6)


def test_a_killed_run_counts_and_nobody_is_counted_twice(book: Book) -> None:
    book.fill(100)
    for _ in range(2):
        book.leave(book.begin(), derived=9, deleted=20)
    assert not book.run(derived=3)
    assert not book.run(deleted=11)
    assert book.run(derived=2, deleted=10)


def test_rolled_back_removals_are_not_counted(book: Book) -> None:
    book.fill(100)
    for _ in range(3):
        assert not book.run(derived=15, deleted=51)
    assert book.run(derived=20, deleted=50)


def test_a_list_known_only_from_the_ledger_has_ceilings(book: Book) -> None:
    book.fill(100, 1)
    ceilings = book.begin()
    book.leave(ceilings, 1, derived=15)
    with pytest.raises(RemovalCeilingError, match="21 of the 100 members"):
        book.leave(ceilings, 1, derived=6)
    with pytest.raises(RemovalCeilingError, match="51 of the 85 members"):
        book.leave(book.begin(), 1, added=7, deleted=51)


def test_a_list_that_is_named_late_continues_its_counts(book: Book) -> None:
    book.fill(100, 1)
    ceilings = book.begin()
    book.leave(ceilings, 1, derived=15)
    with book.ledger.transaction():
        ceilings.begin(book.ledger.catalogue, book.lists[1])
    with pytest.raises(RemovalCeilingError, match="21 of the 100 members"):
        book.leave(ceilings, 1, derived=6)


def test_after_clear_the_count_of_the_day_starts_again(book: Book) -> None:
    book.fill(100)
    book.run(derived=20, deleted=50)
    with book.ledger.transaction():
        book.ledger.catalogue.removal_counts.reset(book.lists[0])
    book.fill(100)
    assert book.run(derived=20, deleted=50)


def test_the_message_has_the_figures_the_list_the_changed_setting_and_the_remedy(book: Book) -> None:
    book.fill(1_000)
    with pytest.raises(RemovalCeilingError) as raised:
        book.leave(book.begin(), derived=1_000)
    assert raised.value.exit_code == 6
    for words in (
        '1,000 of the 1,000 members of customer list "L"', "more than 20 %", "`max_removal_percent`",
        "`hashing` changed", "raise the setting for one run",
    ):  # fmt: skip
        assert words in str(raised.value)


def test_the_message_about_deletes_says_what_to_check(book: Book) -> None:
    book.fill(1_000)
    with pytest.raises(RemovalCeilingError) as raised:
        book.leave(book.begin(), deleted=900)
    for words in (
        '900 of the 1,000 members of customer list "L"', "marked as deleted", "more than 50 %", "`max_deleted_percent`",
        "`hashing` changed", "removes no one else", "Check whether the removal column", "100 switches",
    ):  # fmt: skip
        assert words in str(raised.value)


def test_the_message_says_if_the_day_exceeded_the_ceiling(book: Book) -> None:
    book.fill(1_000)
    book.run(derived=150, deleted=400)
    with pytest.raises(RemovalCeilingError, match=r"^Over the last 24 hours, 201 of the 1,000 members of customer"):
        book.leave(book.begin(), derived=51)
    with pytest.raises(RemovalCeilingError, match=r"^Over the last 24 hours, 501 of the 1,000 members of customer"):
        book.leave(book.begin(), deleted=101)


@pytest.mark.parametrize(("members", "refused"), [(100, 51), (12, 11)])
def test_refusals_of_more_than_half_of_the_members_and_more_than_ten_are_reported(
    book: Book, members: int, refused: int
) -> None:
    book.fill(members)
    ceilings = book.begin()
    for part in (refused - 9, 9):
        book.leave(ceilings, added=50, refused=part)
    assert ceilings.mass_refusals() == [MassRefusal(book.lists[0], members, refused)]


@pytest.mark.parametrize(("members", "refused"), [(100, 50), (12, 10), (0, 50)])
def test_fewer_refusals_are_not_reported(book: Book, members: int, refused: int) -> None:
    book.fill(members)
    ceilings = book.begin()
    book.leave(ceilings, added=50, refused=refused)
    assert ceilings.mass_refusals() == []
