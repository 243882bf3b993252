from __future__ import annotations

from typing import Any

import pytest

from target_pinterest_audience.run.states import StateGate
from tests.support.waiting import Clock


@pytest.fixture
def gate(written: list[Any], clock: Clock) -> StateGate:
    return StateGate(written.append, clock)


def test_a_state_leaves_at_once_when_nothing_waits(gate: StateGate, written: list[Any]) -> None:
    gate.arrived({"at": 1}, 10, 9)
    gate.release(None)
    gate.release(None)
    assert written == [{"at": 1}]


def test_a_state_that_nothing_tells_from_the_one_before_takes_its_place(
    gate: StateGate, written: list[Any], clock: Clock
) -> None:
    for line in range(10, 1000):
        gate.arrived({"at": line}, line, newest_line=5)
        clock.now += 0.1
    assert len(gate) == 1
    assert gate.overdue(60) == 999
    gate.arrived({"at": 1002}, 1002, newest_line=1001)
    assert len(gate) == 2
    gate.release(1001)
    gate.release(None)
    assert written == [{"at": 999}, {"at": 1002}]


def test_a_state_waits_for_every_line_before_it(gate: StateGate, written: list[Any]) -> None:
    gate.arrived({"at": 1}, 10, 9)
    gate.arrived({"at": 2}, 20, 15)
    gate.arrived({"at": 3}, 30, 25)
    gate.release(5)
    assert written == []
    gate.release(25)
    assert written == [{"at": 2}]
    gate.release(None)
    assert written == [{"at": 2}, {"at": 3}]


def test_a_state_is_overdue_by_its_own_age(gate: StateGate, clock: Clock) -> None:
    assert gate.overdue(60) is None
    gate.arrived({"at": 1}, 10, 9)
    clock.now = 30
    gate.arrived({"at": 2}, 20, 15)
    clock.now = 59.9
    assert gate.overdue(60) is None
    clock.now = 60
    assert gate.overdue(60) == 10
    gate.release(15)
    assert gate.overdue(60) is None
    clock.now = 90
    assert gate.overdue(60) == 20


def test_a_closed_gate_lets_the_newest_state_go_when_it_opens(written: list[Any], clock: Clock) -> None:
    closed = StateGate(written.append, clock, closed=True)
    for line in (1, 2):
        closed.arrived(line, line, None)
        closed.release(None)
    clock.now += 100
    assert (written, closed.overdue(60)) == ([], None)
    closed.open()
    closed.release(None)
    assert written == [2]
