"""Which stream a line came from: asked only when Pinterest refuses somebody whose row is long gone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Provenance(Generic[T]):
    """Where lines of the stream came from, as far back as something waits for an answer."""

    def __init__(self) -> None:
        """Begin with no lines."""
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._origins: list[T] = []

    def note(self, line: int, count: int, origin: T) -> None:
        """Note where lines that follow each other came from; none comes before those that were noted already."""
        if self._origins and self._origins[-1] is origin:
            self._stops[-1] = max(self._stops[-1], line + count)
            return
        self._starts.append(line)
        self._stops.append(line + count)
        self._origins.append(origin)

    def of(self, line: int) -> Iterator[T]:
        """Yield where a line came from, as far as it is known: more than one if stream maps split it."""
        at = bisect_right(self._starts, line) - 1
        while at >= 0 and line < self._stops[at]:
            yield self._origins[at]
            at -= 1

    def forget_before(self, line: int) -> None:
        """Forget lines that nothing waits for any more; what was noted last is kept, since it may still be read."""
        count = min(bisect_right(self._stops, line), len(self._stops) - 1)
        # Seldom, since the rest is moved.
        if count > len(self._stops) // 2:
            del self._starts[:count], self._stops[:count], self._origins[:count]
