"""Prints results: tables for people, JSON for scripts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import click
import msgspec

from target_pinterest_audience.reporting.report_file import moment
from target_pinterest_audience.text.safe_text import one_line, safe_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

R = TypeVar("R", bound=NamedTuple)

_FILE_WIDTH: Final = 200
"""The width, in characters, of a table that is not printed to a terminal: a narrow one would cut ids."""


def show_rows(kind: type[R], rows: Sequence[R], *, as_json: bool, empty: str) -> None:
    """Print rows as JSON or as a table.

    Args:
        kind: the class of the rows; its fields are the headings.
        rows: the rows.
        as_json: whether to print JSON.
        empty: the line to print instead of an empty table.
    """
    if as_json:
        show_json([row._asdict() for row in rows])
    else:
        show_table(kind._fields, rows, empty=empty)


def show_json(value: object) -> None:
    """Print a result as JSON."""
    click.echo(safe_json(msgspec.json.format(msgspec.json.encode(value))).decode())


def show(text: str, *, err: bool = False) -> None:
    """Print one line, safely, whatever characters the names in it have.

    Args:
        text: the line.
        err: whether to print it on standard error.
    """
    click.echo(one_line(text), err=err)


def show_alarm(text: str) -> None:
    """Print one line, in red on a terminal unless the environment variable `NO_COLOR` is set."""
    from rich.text import Text  # noqa: PLC0415 - only alarms and tables need it

    _console(soft_wrap=True).print(Text(one_line(text), style="bold red"))


def show_table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print a table.

    Args:
        headings: the headings.
        rows: the values under the headings; numbers get thousands separators, and None is a dash.
        empty: the line to print instead of an empty table.
    """
    if not rows:
        click.echo(empty)
        return
    from rich.table import Table  # noqa: PLC0415 - only alarms and tables need it

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading, values in zip(headings, zip(*rows, strict=True), strict=True):
        numbers = all(type(value) in {int, float, type(None)} for value in values)
        table.add_column(heading, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    _console().print(table)


def _console(*, soft_wrap: bool = False) -> Console:
    """Return standard output, for text with styles."""
    from rich.console import Console  # noqa: PLC0415 - only alarms and tables need it

    return Console(width=None if sys.stdout.isatty() else _FILE_WIDTH, soft_wrap=soft_wrap)


def _cell(value: object) -> Text:
    from rich.text import Text  # noqa: PLC0415 - only alarms and tables need it

    if value is None:
        return Text("-")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    return Text(f"{value:,}" if isinstance(value, int) else one_line(str(value)))


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


def when(seconds: object) -> str | None:
    """Return a Unix time as text in ISO 8601, in UTC; None if the value is not a time."""
    known = number(seconds)
    try:
        return moment(known).isoformat() if known is not None else None
    except (OverflowError, ValueError, OSError):
        return None
