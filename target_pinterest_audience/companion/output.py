"""Prints results: tables for people, JSON for scripts."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import click
import msgspec

from target_pinterest_audience.companion import columns
from target_pinterest_audience.reporting.report_file import moment
from target_pinterest_audience.text.safe_text import one_line, safe_json
from target_pinterest_audience.text.wrapping import fitted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

R = TypeVar("R", bound=NamedTuple)

_FILE_WIDTH: Final = 200
"""The width, in characters, of a table that is not printed to a terminal: a narrow one would cut ids."""


def show_rows(kind: type[R], rows: Sequence[R], *, as_json: bool, empty: str, spare: Sequence[str] = ()) -> None:
    """Print rows as JSON or as a table.

    Args:
        kind: the class of the rows; its fields are the headings.
        rows: the rows.
        as_json: whether to print JSON.
        empty: the line to print instead of an empty table.
        spare: headings of columns that a narrow terminal may leave out, the least important first.
    """
    if as_json:
        show_json([row._asdict() for row in rows])
    else:
        show_table(kind._fields, rows, empty=empty, spare=spare)


def show_json(value: object) -> None:
    """Print a result as JSON."""
    click.echo(safe_json(msgspec.json.format(msgspec.json.encode(value))).decode())


def show(text: str, *, err: bool = False) -> None:
    """Print a sentence on one line, or on a terminal on several; safely, whatever characters the names in it have.

    Args:
        text: the line.
        err: whether to print it on standard error.
    """
    click.echo(fitted(one_line(text), sys.stderr if err else sys.stdout), err=err)


def show_alarm(text: str) -> None:
    """Print one line, in red on a terminal unless the environment variable `NO_COLOR` is set."""
    show_marked("", text, style="bold red")


def show_marked(mark: str, text: str, *, style: str = "") -> None:
    """Print one line that begins with a mark.

    Args:
        mark: the mark, coloured as columns colour this state; empty for none.
        text: the rest of the line.
        style: the style of the rest.
    """
    from rich.text import Text  # noqa: PLC0415 - `--help` needs neither tables nor styles

    rest = fitted(mark + one_line(text), sys.stdout)[len(mark) :]
    _console(soft_wrap=True).print(Text.assemble((mark, columns.mark_style(mark)), (rest, style)))


def show_fields(fields: Mapping[str, object]) -> None:
    """Print the fields of one thing, each on its own line."""
    from rich.table import Table  # noqa: PLC0415 - `--help` needs neither tables nor styles

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(name, _styled(name, _shown(name, value, time.time())))
    _console().print(table)


def show_table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str, spare: Sequence[str] = ()
) -> None:
    """Print a table. On a terminal, times are relative; elsewhere they are in ISO 8601.

    Args:
        headings: the headings.
        rows: the values under the headings; numbers get thousands separators, and None is a dash.
        empty: the line to print instead of an empty table.
        spare: headings of columns that a narrow terminal may leave out, the least important first.
    """
    if not rows:
        click.echo(empty)
        return
    from rich.table import Table  # noqa: PLC0415 - `--help` needs neither tables nor styles

    now, values = time.time(), dict(zip(headings, zip(*rows, strict=True), strict=True))
    cells = {heading: [_shown(heading, each, now) for each in column] for heading, column in values.items()}
    widths = {heading: columns.least_width(heading, column) for heading, column in cells.items()}
    room = _console().width
    out = columns.dropped(widths, room, spare) if sys.stdout.isatty() else []
    table = Table(box=None, header_style="bold", pad_edge=False)
    kept = [heading for heading in headings if heading not in out]
    for heading in kept:
        numbers = all(type(value) in {int, float, type(None)} for value in values[heading])
        table.add_column(
            heading, justify="right" if numbers else "left", overflow="fold", no_wrap=not columns.wraps(heading)
        )
    for row in zip(*(cells[heading] for heading in kept), strict=True):
        table.add_row(*map(_styled, kept, row))
    # A terminal that is still too narrow breaks lines, but loses nothing.
    needed = sum(widths[heading] + columns.SPACE for heading in kept) - columns.SPACE
    _console(soft_wrap=needed > room, width=max(needed, room)).print(table)
    if out:
        show_marked("", f"No room for: {', '.join(out)}. --json has them.", style="dim")


def _console(*, soft_wrap: bool = False, width: int | None = None) -> Console:
    """Return standard output, for text with styles."""
    from rich.console import Console  # noqa: PLC0415 - `--help` needs neither tables nor styles

    return Console(width=width or (None if sys.stdout.isatty() else _FILE_WIDTH), soft_wrap=soft_wrap)


def _shown(heading: str, value: object, now: float) -> str:
    """Return a cell as text."""
    if value is None:
        return columns.NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    shown = one_line(str(value))
    return columns.relative(heading, shown, now) if sys.stdout.isatty() else shown


def _styled(heading: str, shown: str) -> Text:
    from rich.text import Text  # noqa: PLC0415 - `--help` needs neither tables nor styles

    return Text(shown, columns.style(heading, shown))


# Pinterest's responses may not have the form that its API description promises.


def text(value: object) -> str | None:
    """Return a value if it is text, else None."""
    return value if isinstance(value, str) else None


def flag(value: object) -> bool | None:
    """Return a value if it is true or false, else None."""
    return value if isinstance(value, bool) else None


def number(value: object) -> int | None:
    """Return a number as a whole number; None if the value is not a number."""
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def shown_time(moment: str | None) -> str:
    """Return a time for people: relative on a terminal, as it is elsewhere.

    Args:
        moment: a time in ISO 8601; None if it is not known.
    """
    return _shown("started", moment, time.time())


def when(seconds: object) -> str | None:
    """Return a Unix time as text in ISO 8601, in UTC; None if the value is not a time."""
    known = number(seconds)
    try:
        return moment(known).isoformat() if known is not None else None
    except (OverflowError, ValueError, OSError):
        return None
