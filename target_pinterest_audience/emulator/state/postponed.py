"""Operations that Pinterest carries out late: after the client has its answer, or has given up waiting for one."""

from __future__ import annotations

from dataclasses import dataclass

from target_pinterest_audience.emulator.state.arguments import Arguments
from target_pinterest_audience.emulator.state.operations import Operation


@dataclass(slots=True)
class _Postponed:
    """One postponed operation.

    Attributes:
        operation: the operation.
        arguments: its arguments.
        writes: after how many further writes it is due.
    """

    operation: Operation
    arguments: Arguments
    writes: int


class PostponedOperations:
    """The operations that `late` faults have postponed. Not thread-safe: the backend has the lock."""

    def __init__(self) -> None:
        """Start without one."""
        self._waiting: list[_Postponed] = []

    def add(self, operation: Operation, arguments: Arguments, writes: int) -> None:
        """Postpone an operation until so many further writes were carried out."""
        self._waiting.append(_Postponed(operation, arguments, writes))

    def count_write(self) -> list[tuple[Operation, Arguments]]:
        """Count a write, and return the operations that are due now, in the order in which they were postponed."""
        for each in self._waiting:
            each.writes -= 1
        due = [each for each in self._waiting if each.writes <= 0]
        self._waiting = [each for each in self._waiting if each.writes > 0]
        return [(each.operation, each.arguments) for each in due]

    def take_all(self) -> list[tuple[Operation, Arguments]]:
        """Return all of them, in the order in which they were postponed."""
        due, self._waiting = self._waiting, []
        return [(each.operation, each.arguments) for each in due]
