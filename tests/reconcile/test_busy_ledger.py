"""While a window is processed, nothing else uses the ledger: what needs it waits, or comes later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.membership.row import RowWriter
from target_pinterest_audience.reconcile import reconciler
from tests.support.runs import Desk, Stage, digest, row
from tests.support.waiting import Clock


class OnDemand:
    """A window that is being processed until somebody waits for it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._results: list[Any] = []

    def ended(self, _seconds: float = 0) -> bool:
        return bool(self._results)

    def result_so_far(self) -> Any:
        return self._results[0] if self._results else None

    def result(self) -> Any:
        self._results.append(self._call())
        return self._results[0]


@pytest.fixture
def stage(tmp_path: Path, clock: Clock) -> Stage:
    return Stage(tmp_path, clock)


@pytest.fixture(autouse=True)
def _on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "WINDOW_VALUES", 2)
    monkeypatch.setattr(reconciler, "_NEW_SHARE", 1)
    monkeypatch.setattr(reconciler, "Background", OnDemand)


def fill(writer: RowWriter, *lines: int, name: str | None = None) -> None:
    for line in lines:
        writer.write(row(line, line, name=name))


def fill_two(desk: Desk) -> RowWriter:
    """Fill a window, send what it brings, and fill another one, which is being processed."""
    writer = desk.open()
    fill(writer, 1)
    desk.session.flush()
    desk.dispatcher.send_all(desk.session.orders())
    fill(writer, 2, 3)
    return writer


def test_a_stream_waits_for_it_to_be_opened(stage: Stage) -> None:
    with stage.session() as desk:
        fill(desk.open(), 1, 2)
        assert not desk.session._reconciler.idle
        desk.open("visitors")
        assert desk.session._reconciler.idle


def test_a_list_waits_for_it_to_be_opened(stage: Stage) -> None:
    with stage.session(customer_list_name=None, list_name_column="segment") as desk:
        writer = desk.open()
        fill(writer, 1, 2, name="gold")
        assert not desk.session._reconciler.idle
        fill(writer, 3, name="silver")
        assert desk.session._reconciler.idle


def test_the_first_key_value_of_its_kind_waits_for_it(stage: Stage) -> None:
    with stage.session() as desk:
        customers, visitors = desk.open(), desk.open("visitors")
        fill(customers, 1, 2)
        assert not desk.session._reconciler.idle
        fill(visitors, 3)
        assert desk.session._reconciler.idle


def test_accepted_notes_are_deleted_after_it(stage: Stage) -> None:
    with stage.session() as desk:
        fill_two(desk)
        assert not desk.session._reconciler.idle
        desk.dispatcher.flush()
        desk.session.tidy()
        assert desk.unsettled() == [[pack_identity(digest(1))]]
        desk.session.flush()
        desk.session.tidy()
        assert desk.unsettled() == [[pack_identity(digest(line)) for line in (2, 3)]]


def test_accepted_notes_are_deleted_between_two_of_them(stage: Stage) -> None:
    with stage.session() as desk:
        writer = fill_two(desk)
        desk.dispatcher.flush()
        fill(writer, 4, 5)
        assert not desk.session._reconciler.idle
        assert desk.unsettled() == [[pack_identity(digest(line)) for line in (2, 3)]]


def test_leftovers_wait_for_it(stage: Stage) -> None:
    with stage.session() as desk:
        fill(desk.open(), 1)
        desk.session.flush()
    with stage.session() as desk:
        writer = desk.open()
        desk.session.flush()
        fill(writer, 2, 3)
        assert list(desk.session.orders()) == []
        desk.session.flush()
        assert [list(order.identities) for order in desk.session.orders()] == [
            [pack_identity(digest(line)) for line in lines] for lines in ((2, 3), (1,))
        ]
