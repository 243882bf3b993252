"""How many people may leave a list because the ledger says so."""

from __future__ import annotations

import pytest

from target_pinterest_audience.ceiling import Ceilings
from target_pinterest_audience.changes import Decisions, ListDecisions, Removal
from target_pinterest_audience.errors import RemovalCeilingError
from target_pinterest_audience.membership import Cause

LIST = 1


def ceilings(percent: int = 20, members: int = 100) -> Ceilings:
    explain = 'customer list "L"', "Since the last run `hashing` changed, which may be why. "
    return Ceilings(percent, lambda _number: explain, {LIST: members})


def removals(count: int, cause: Cause | None, number: int = LIST) -> Decisions:
    identities = [b"%d" % n for n in range(count)]
    if cause is None:
        return {number: ListDecisions(additions=dict.fromkeys(identities, 1))}
    return {number: ListDecisions(removals=dict.fromkeys(identities, Removal(cause, 1)))}


@pytest.mark.parametrize(
    ("percent", "members", "allowed"),
    [
        (20, 100, 20), (20, 104, 20), (20, 105, 21), (33, 60, 19), (0, 100, 10), (20, 11, 10), (1, 100_000, 1000),
        (99, 200, 198),
    ],
)  # fmt: skip
def test_up_to_the_share_of_members_may_leave(percent: int, members: int, allowed: int) -> None:
    ceilings(percent, members).check(removals(allowed, Cause.CHANGE))
    with pytest.raises(RemovalCeilingError):
        ceilings(percent, members).check(removals(allowed + 1, Cause.PRUNE))


def test_everybody_may_leave_if_all_are_allowed_to() -> None:
    ceilings(100, 100).check(removals(150, Cause.CHANGE))


def test_a_list_that_nobody_was_on_has_no_ceiling() -> None:
    ceilings(0, 0).check(removals(1000, Cause.CHANGE))


@pytest.mark.parametrize("cause", [Cause.DELETE, Cause.REFUSAL, None])
def test_what_was_asked_for_has_no_ceiling(cause: Cause | None) -> None:
    ceilings(0).check(removals(1000, cause))


def test_the_removals_of_a_run_add_up_for_each_list() -> None:
    both = ceilings()
    both.members[2] = 100
    for number in (LIST, 2):
        for _ in range(4):
            both.check(removals(5, Cause.CHANGE, number))
            both.check(removals(500, Cause.DELETE, number))
    with pytest.raises(RemovalCeilingError):
        both.check(removals(1, Cause.CHANGE))


def test_the_message_has_the_figures_the_list_the_suspect_and_the_way_out() -> None:
    with pytest.raises(RemovalCeilingError) as raised:
        ceilings(20, 1000).check(removals(1000, Cause.CHANGE))
    assert raised.value.exit_code == 6
    for words in (
        '1,000 of the 1,000 members of customer list "L"', "more than 20 %", "`max_removal_percent`",
        "`hashing` changed", "raise the setting for one run",
    ):  # fmt: skip
        assert words in str(raised.value)
