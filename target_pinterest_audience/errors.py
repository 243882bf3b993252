"""Errors that end a run, each with the exit code that says whose fault it is.

A message is one line for the person who reads it at 3 a.m.: what happened, whose fault it is, what to do.
It never holds a value of a record, of a setting or of a credential.
"""

from __future__ import annotations

import signal
import traceback
from types import TracebackType
from typing import ClassVar


class TargetError(Exception):
    """An error with a message for people and an exit code for machines."""

    exit_code: ClassVar[int] = 1


class ConfigurationError(TargetError):
    """A setting is missing, unknown, contradictory or not supported: the person who configured the run must act."""

    exit_code = 2


class RejectedError(TargetError):
    """More rows are bad than the settings allow."""

    exit_code = 5


class RemovalCeilingError(TargetError):
    """More people would leave a list than the settings allow: a person must say that it is meant."""

    exit_code = 6


class LedgerError(TargetError):
    """The ledger cannot be read, written or had for oneself."""

    exit_code = 7


class StreamError(TargetError):
    """The stream is broken: the tap, or what stands between it and the target, is at fault."""

    exit_code = 8


class OutputError(TargetError):
    """Standard output is closed or full."""


class MissingKeyError(StreamError):
    """A record lacks a property that its SCHEMA names as a key."""


def told_as_bug(program: str, kind: type[BaseException], frames: TracebackType | None) -> str:
    """Return the sentence about an error that nobody foresaw, without its own message, which could hold a value.

    Args:
        program: which program has the bug.
        kind: the error's class.
        frames: where it came from, if that is known.
    """
    where = traceback.extract_tb(frames)[-1:]
    place = f" in {where[0].name}, line {where[0].lineno}" if where else ""
    return f"This is a bug in {program} ({kind.__name__}{place}). Please report it with these words."


class Terminated(BaseException):
    """SIGTERM or SIGINT arrived: not an error, so that nothing that handles errors swallows it.

    Attributes:
        signum: the signal's number; the process exits with 128 more.
    """

    def __init__(self, signum: int) -> None:
        """Note which signal it was."""
        super().__init__(signum)
        self.signum = signum


def outcome(error: BaseException, program: str) -> tuple[int, str]:
    """Return how a run ends by an error: the exit code, and the sentence that says what happened and what to do.

    Args:
        error: what ended it.
        program: the program's name.
    """
    if isinstance(error, TargetError):
        return error.exit_code, str(error)
    if isinstance(error, Terminated):
        name = signal.Signals(error.signum).name
        told = f"{name}: stopped. What Pinterest had accepted stays; the rest comes with the next run."
        return 128 + error.signum, told
    words = told_as_bug(program, type(error), error.__traceback__)
    return 1, f"{words} Run with LOGLEVEL=DEBUG for the place."
