"""A run takes all of its last steps in order, whatever fails."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import MagicMock

import pytest

from target_pinterest_audience.errors import LedgerError, StreamError, TargetError, Terminated
from target_pinterest_audience.singer.lifecycle import Lifecycle

STEPS = [
    "stop",
    "hide_progress",
    "warn_of_refused",
    "log_summary",
    "close_files",
    "end_report",
    "end_history",
    "close",
]


class Run:
    """A run whose parts fail as they are told, and note the order in which they are called."""

    def __init__(self, **failures: BaseException) -> None:
        self.steps: list[str] = []
        self.failures = failures
        parts = MagicMock()
        for step in STEPS:
            setattr(parts, step, lambda *_, step=step, **__: self._step(step))
        parts.listen = lambda _: self._fail("listen")
        parts.flush = lambda: self._step("flush")
        parts.outcome.return_value = (0, None)
        parts.tallies = {}
        self.target: Any = SimpleNamespace(
            settings=SimpleNamespace(notify_urls=(), dry_run=False),
            logger=logging.getLogger("test"),
            run_log=parts,
            current_run=parts,
            output=parts,
            listen=parts.listen,
        )

    def _step(self, name: str) -> None:
        self.steps.append(name)
        self._fail(name)

    def _fail(self, name: str) -> None:
        if name in self.failures:
            raise self.failures[name]

    def start(self) -> None:
        Lifecycle(cast("Any", self.target)).run(cast("Any", object()))


def test_the_last_steps_run_in_order() -> None:
    run = Run()
    run.start()
    assert run.steps == STEPS


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_does_not_prevent_the_others(step: str) -> None:
    run = Run(**{step: RuntimeError(step)})
    with pytest.raises(RuntimeError, match=step):
        run.start()
    assert run.steps == STEPS


def test_a_second_signal_does_not_prevent_the_last_steps() -> None:
    run = Run(listen=Terminated(15), stop=Terminated(2))
    with pytest.raises(Terminated):
        run.start()
    assert run.steps == STEPS


def test_rows_before_a_malformed_line_are_delivered() -> None:
    run = Run(listen=StreamError("line 3"))
    with pytest.raises(StreamError):
        run.start()
    assert run.steps == ["flush", *STEPS]


def test_a_failed_delivery_is_raised_in_place_of_the_malformed_line(caplog: pytest.LogCaptureFixture) -> None:
    run = Run(listen=StreamError("line 3"), flush=TargetError("not accepted"))
    with pytest.raises(TargetError, match="not accepted"):
        run.start()
    assert "line 3" in caplog.text
    assert run.steps == ["flush", *STEPS]


def test_a_history_that_cannot_be_written_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    run = Run(end_history=LedgerError("locked"))
    run.start()
    assert "missing from the history of runs. locked" in caplog.text
    assert run.steps == STEPS
