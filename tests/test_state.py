from __future__ import annotations

from typing import Any

import pytest

from target_pinterest_audience.state import StateGate


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def written() -> list[Any]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(written: list[Any], clock: Clock) -> StateGate:
    return StateGate(written.append, clock)


def test_a_state_leaves_at_once_when_nothing_waits(gate: StateGate, written: list[Any]) -> None:
    gate.arrived({"at": 1}, 10)
    gate.release(None)
    gate.release(None)
    assert written == [{"at": 1}]


def test_a_state_waits_for_every_line_before_it(gate: StateGate, written: list[Any]) -> None:
    gate.arrived({"at": 1}, 10)
    gate.arrived({"at": 2}, 20)
    gate.arrived({"at": 3}, 30)
    gate.release(5)
    assert written == []
    gate.release(25)
    assert written == [{"at": 2}]
    gate.release(None)
    assert written == [{"at": 2}, {"at": 3}]


def test_a_state_is_overdue_by_its_own_age(gate: StateGate, clock: Clock) -> None:
    assert gate.overdue(60) is None
    gate.arrived({"at": 1}, 10)
    clock.now = 30
    gate.arrived({"at": 2}, 20)
    clock.now = 59.9
    assert gate.overdue(60) is None
    clock.now = 60
    assert gate.overdue(60) == 10
    gate.release(15)
    assert gate.overdue(60) is None
    clock.now = 90
    assert gate.overdue(60) == 20
