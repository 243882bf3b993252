"""The columns of tables: what each heading stands for, and which columns a narrow terminal has room for. Pure.

A heading means the same in the table of every command.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from target_pinterest_audience.text.ages import age

NOTHING: Final = "-"
"""What a cell without a value shows."""

SPACE: Final = 2
"""The number of blanks between two columns."""

_LEAST_TEXT: Final = 10
"""How narrow, in characters, a column of text may become."""

_TEXTS: Final = frozenset(
    {
        "answer", "audiences", "how sure", "list", "lists", "name", "outcome", "problem", "question", "reason",
        "request_ids", "sizing", "source", "sources", "text", "title",
    }
)  # fmt: skip
"""Headings of columns whose text may be wrapped. Ids, statuses and times never are: a cut id is of no use."""

_TIMES: Final = frozenset({"changed", "ended", "last_read", "last_rows", "sent", "since", "started", "time"})
"""Headings of columns with times. `at` in a receipt is none: "just now" would prove nothing later."""

_STYLES: Final[Mapping[str, str]] = {
    "READY": "green", "TOO_SMALL": "red", "PROCESSING": "yellow", "UPLOADING": "yellow",
    "ACTIVE": "green", "DELETED": "dim",
    "ok": "green", "warning": "yellow", "failed": "red", "due": "red",
    "done": "green", "clean": "green", "removed": "green", "refused by Pinterest": "red", "list not found": "red",
    "not done": "red",
}  # fmt: skip
"""The styles of words in the columns of `_STATES`."""

_STATES: Final = frozenset({"audience_status", "outcome", "state", "status"})
"""Headings of columns that are coloured on a terminal."""

_ID: Final = re.compile(r"\b\d{6,}\b,?").findall


def wraps(heading: str) -> bool:
    """Return whether a column's text may be wrapped."""
    return heading in _TEXTS


def style(heading: str, value: str) -> str:
    """Return the style of a cell; empty for most."""
    if heading == "problem":
        return "yellow" if value != NOTHING else ""
    if heading not in _STATES:
        return ""
    return _STYLES.get(value, "red" if value.startswith(("failed", "stopped")) else "")


def mark_style(mark: str) -> str:
    """Return the style of the mark at the beginning of a line."""
    return {"✓": "green", "!": "yellow", "✗": "bold red"}.get(mark, "")


def relative(heading: str, value: str, now: float) -> str:
    """Return a cell as a terminal shows it: a time as an age, everything else as it is.

    Args:
        heading: the heading of the column.
        value: the text of the cell; a time is in ISO 8601.
        now: Unix time.
    """
    if heading in _TIMES:
        try:
            return age(now - datetime.fromisoformat(value).timestamp())
        except ValueError:
            return value
    return value


def least_width(heading: str, cells: Collection[str]) -> int:
    """Return how narrow a column may become, in characters."""
    widest = max(map(len, (heading, *cells)))
    if not wraps(heading):
        return widest
    longest_id = max((len(each) for cell in cells for each in _ID(cell)), default=0)
    return max(longest_id, min(widest, _LEAST_TEXT))


def dropped(widths: Mapping[str, int], room: int, spare: Sequence[str]) -> list[str]:
    """Return the columns for which a terminal has no room.

    Args:
        widths: heading → the least width of its column.
        room: the width of the terminal.
        spare: headings of columns that can be left out, the least important first.
    """
    out: list[str] = []
    for heading in (each for each in spare if each in widths):
        if sum(widths.values()) + SPACE * (len(widths) - 1) - sum(widths[each] + SPACE for each in out) <= room:
            break
        out.append(heading)
    return out
