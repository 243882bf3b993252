"""Signs of an incremental read in a STATE. People missing from such a read have not left the table. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_SAYS_NOTHING: Final = frozenset(
    {
        "context",
        "initial_full_table_complete",
        "last_replication_method",
        "partitions",
        "replication_key",
        "replication_method",
        "version",
    }
)
"""The keys in a bookmark that full-table reads set, too."""


_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {})
UNKNOWN: Final = ""
"""Stands for the stream if a STATE does not name the stream whose position it holds."""


def incremental_streams(state: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yield the streams for which a STATE holds a position that the next run continues from.

    Args:
        state: the value of a STATE message; any JSON value.
    """
    bookmarks = state.get("bookmarks", {}) if isinstance(state, Mapping) else state
    others = state.items() if isinstance(state, Mapping) else ()
    if any(value not in _NOTHING for name, value in others if name not in {"bookmarks", "currently_syncing"}):
        yield UNKNOWN
    if not isinstance(bookmarks, Mapping):
        if bookmarks not in _NOTHING:
            yield UNKNOWN
        return
    for stream, bookmark in bookmarks.items():
        if isinstance(bookmark, Mapping):
            full = "FULL_TABLE" in (bookmark.get("last_replication_method"), bookmark.get("replication_method"))
            if not full and _has_position(bookmark):
                yield stream
        elif bookmark is not None:
            yield stream


def _has_position(bookmark: Mapping[str, Any]) -> bool:
    """Return whether a bookmark holds a position; a child stream has a bookmark for each of its parents."""
    partitions = bookmark.get("partitions")
    if isinstance(partitions, list) and any(isinstance(each, Mapping) and _has_position(each) for each in partitions):
        return True
    return any(value not in _NOTHING for name, value in bookmark.items() if name not in _SAYS_NOTHING)
