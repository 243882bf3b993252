"""The watermark: what is not delivered yet keeps STATE back, and nothing else does."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from target_pinterest_audience.watermark import Hold, Watermark

LINES = st.integers(0, 30)
GROUPS = st.sampled_from(["a", "b", None])


def test_without_holds_there_is_no_floor() -> None:
    watermark = Watermark()
    assert (watermark.floor(), watermark.floor("a"), watermark.newest) == (None, None, None)


def test_the_floor_is_the_earliest_line_that_is_held() -> None:
    watermark = Watermark()
    five, three = watermark.hold(5, "a"), watermark.hold(3, "b")
    assert (watermark.floor(), watermark.floor("a"), watermark.floor("b")) == (3, 5, 3)
    three.release()
    assert (watermark.floor(), watermark.floor("b")) == (5, None)
    five.move(2)
    assert watermark.floor() == watermark.floor("a") == 2
    five.move(9)
    assert watermark.floor() == 9
    five.release()
    assert watermark.floor() is None


def test_a_signal_while_a_hold_moves_leaves_it_at_the_former_line() -> None:
    watermark = Watermark()
    hold = watermark.hold(5)
    with patch.object(Watermark, "note", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        hold.move(9)
    assert watermark.floor() == 5


def test_the_newest_line_stays_when_its_hold_is_gone() -> None:
    watermark = Watermark()
    watermark.hold(5).release()
    watermark.hold(2)
    assert watermark.newest == 5
    watermark.reach(9)
    watermark.reach(7)
    assert watermark.newest == 9


class Histories(RuleBasedStateMachine):
    """Any history of holds against a plain list of them."""

    def __init__(self) -> None:
        super().__init__()
        self.watermark = Watermark()
        self.holds: list[tuple[Hold, str | None]] = []

    @rule(line=LINES, group=GROUPS)
    def hold(self, line: int, group: str | None) -> None:
        self.holds.append((self.watermark.hold(line, group), group))

    @rule(line=LINES, which=st.integers(0, 100))
    def move(self, line: int, which: int) -> None:
        if self.holds:
            self.holds[which % len(self.holds)][0].move(line)

    @rule(which=st.integers(0, 100))
    def release(self, which: int) -> None:
        if self.holds:
            self.holds.pop(which % len(self.holds))[0].release()

    @invariant()
    def floors_are_the_least_lines(self) -> None:
        lines = [(hold.line, group) for hold, group in self.holds if hold.line is not None]
        assert self.watermark.floor() == min((line for line, _ in lines), default=None)
        for each in ("a", "b"):
            assert self.watermark.floor(each) == min((line for line, group in lines if group == each), default=None)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=100, deadline=None)


@given(st.lists(LINES, min_size=1))
def test_the_floor_does_not_search_released_holds(lines: list[int]) -> None:
    watermark = Watermark()
    for line in lines:
        watermark.hold(line).release()
    last = watermark.hold(31)
    assert watermark.floor() == 31
    last.release()
    assert watermark.floor() is None
