"""A seekable file that caches some of its parts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import IO, NamedTuple


class Span(NamedTuple):
    """A range of bytes in a file."""

    start: int
    size: int


class CachedFile:
    """A file that caches some of its parts, as they are stored, so that they are read only once.

    Arrow reads from it, too: the lower methods are those of a Python file.

    Attributes:
        size: the size of the file in bytes.
        closed: always false, since the file's owner closes it.
    """

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        """Wrap an open, seekable file."""
        self._file = file
        self.size = file.seek(0, 2)
        self._at = 0
        self._cached: dict[int, bytes] = {}
        self._starts: list[int] = []

    def cache(self, spans: Sequence[Span]) -> None:
        """Cache some parts, in place of those cached before."""
        self._cached, self._starts = {}, []
        self._cached = {span.start: self.read_at(span.start, span.size) for span in spans}
        self._starts = sorted(self._cached)

    def read_at(self, start: int, size: int) -> bytes:
        """Return bytes from a position; fewer at the end of the file."""
        index = bisect_right(self._starts, start) - 1
        if index >= 0:
            begin = self._starts[index]
            data = self._cached[begin]
            if start + size <= begin + len(data):
                return data[start - begin : start - begin + size]
        self._file.seek(start)
        return self._file.read(min(size, max(0, self.size - start)))

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        data = self.read_at(self._at, size if size >= 0 else self.size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position, and return it."""
        self._at = offset + (self._at if whence == 1 else self.size if whence == 2 else 0)  # noqa: PLR2004 - as `io`
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def close(self) -> None:
        """Do nothing, since the file's owner closes it."""
