"""The errors that end a run, and their exit codes.

A message is one line for the person on call: what happened, why, and what to do. It never holds a value of a record, a
setting or a credential.
"""

from __future__ import annotations

import errno
import os
import signal
import traceback
from types import TracebackType
from typing import ClassVar, Final

_FULL_OR_CLOSED: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EPIPE})
"""Errors of the operating system that no program can prevent."""


class TargetError(Exception):
    """An error with a message for people and an exit code for machines."""

    exit_code: ClassVar[int] = 1


class ConfigurationError(TargetError):
    """A setting is missing, unknown, contradictory or not supported."""

    exit_code = 2


class RejectedError(TargetError):
    """More values were rejected than the settings allow."""

    exit_code = 5


class RemovalCeilingError(TargetError):
    """More people would leave a list than the settings allow. A person must confirm it.

    Attributes:
        customer_list_id: the list's id at Pinterest; None if it is not known.
    """

    exit_code = 6

    def __init__(self, message: str, customer_list_id: str | None = None) -> None:
        """Store the message and the list."""
        super().__init__(message)
        self.customer_list_id = customer_list_id


class LedgerError(TargetError):
    """The ledger cannot be read, written or locked."""

    exit_code = 7


class StreamError(TargetError):
    """The input is malformed. The tap, or something between the tap and this target, is at fault."""

    exit_code = 8


class OutputError(TargetError):
    """Standard output is closed or full, or a file cannot be written."""


class MissingKeyError(StreamError):
    """A record lacks a key property of its SCHEMA."""


class Terminated(BaseException):
    """SIGTERM or SIGINT arrived. Not an `Exception`, so that no handler of errors catches it.

    Attributes:
        signum: the number of the signal. The process exits with 128 + this number.
    """

    def __init__(self, signum: int) -> None:
        """Store the number of the signal."""
        super().__init__(signum)
        self.signum = signum


def outcome(error: BaseException, program: str) -> tuple[int, str]:
    """Return the exit code and the message for an error that ends a run.

    Args:
        error: the error.
        program: the program's name.
    """
    if isinstance(error, TargetError):
        return error.exit_code, str(error)
    if isinstance(error, Terminated):
        name = signal.Signals(error.signum).name
        message = f"{name}: stopped. What Pinterest accepted is kept; the next run sends the rest."
        return 128 + error.signum, message
    if isinstance(error, OSError) and error.errno in _FULL_OR_CLOSED:
        message = f"The run cannot write any more ({os.strerror(error.errno)}). Free some space, or check the program "
        return 1, message + "that reads the output. Then run again."
    return 1, f"{bug_message(program, type(error), error.__traceback__)} Set LOGLEVEL=DEBUG to log where it happened."


def bug_message(program: str, kind: type[BaseException], frames: TracebackType | None) -> str:
    """Return the message for an unexpected error. It leaves out the error's own message, which could hold a value.

    Args:
        program: the program's name.
        kind: the class of the error.
        frames: the traceback, if there is one.
    """
    where = traceback.extract_tb(frames)[-1:]
    place = f" in {where[0].name}, line {where[0].lineno}" if where else ""
    return f"This is a bug in {program} ({kind.__name__}{place}). Please report it with this message."
