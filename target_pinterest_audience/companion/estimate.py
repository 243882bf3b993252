"""Estimates a first load for `check --rows`: reads the options and the free room of a disk, and prints the lines."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import click

from target_pinterest_audience.companion.output import show, show_json
from target_pinterest_audience.identities.types import IDENTITY_TYPES, IdentityType
from target_pinterest_audience.run.estimate.first_load import Source, estimate
from target_pinterest_audience.run.estimate.words import Known, Line, lines
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.settings.paths import sqlite_path
from target_pinterest_audience.settings.patterns import is_pattern
from target_pinterest_audience.text.counts import several
from target_pinterest_audience.text.safe_text import one_line

_WIDTH: Final = 80
_NAME_WIDTH: Final = 18
"""The width of the names, with the mark before them."""

_MOST_ROWS: Final = 10**12
_NUMBER: Final = re.compile(r"\d{1,3}(?:[,_]\d{3})+|\d+", re.ASCII).fullmatch
_STREAM: Final = "stream"
"""Stands for the name of a stream that was given without one."""


class Question(NamedTuple):
    """What the options ask.

    Attributes:
        rows: the values of `--rows`: a number, or STREAM=NUMBER.
        types: the values of `--identity`.
        lists: the value of `--lists`.
    """

    rows: Sequence[str]
    types: Sequence[str]
    lists: int | None


def show_estimate(settings: Settings, question: Question, *, as_json: bool) -> None:
    """Print what a first load takes.

    Args:
        settings: the settings.
        question: what the options ask.
        as_json: whether to print JSON.

    Raises:
        UsageError: the options cannot be used with these settings.
        ConfigurationError: a stream's settings contradict each other or its types.
    """
    sources, known = _sources(settings, question)
    found = list(lines(estimate(settings, sources), settings, known._replace(free_bytes=_free(settings))))
    if as_json:
        show_json([_as_json(each) for each in found])
        return
    show(f"A first load of {several(sum(each.rows for each in sources), 'row', 'rows')}, estimated from the settings.")
    for each in found:
        click.echo(_printed(each))


def _sources(settings: Settings, question: Question) -> tuple[list[Source], Known]:
    """Return the streams, and what is assumed about them."""
    given = tuple(IDENTITY_TYPES[name] for name in question.types)
    assumed: set[str] = set()
    sources = []
    for stream, rows in _rows(settings, question.rows).items():
        own = settings.for_stream(stream)
        kinds: tuple[IdentityType, ...] = tuple(own.identity_columns.values()) or given
        if not kinds:
            kinds = (IDENTITY_TYPES["EMAIL"],)
            assumed.add("types")
        if own.list_name_column is not None and question.lists is None:
            assumed.add("lists")
        sources.append(Source(stream, rows, kinds, question.lists or 1))
    return sources, Known(assumed_types="types" in assumed, assumed_lists="lists" in assumed)


def _rows(settings: Settings, values: Iterable[str]) -> dict[str, int]:
    """Return stream → its rows.

    Raises:
        UsageError: a value is not a number of rows, or it is not clear which stream it belongs to.
    """
    named = [name for name in settings.streams if not is_pattern(name)]
    rows: dict[str, int] = {}
    for value in values:
        stream, equals, number = value.rpartition("=")
        if not equals and named:
            msg = (
                f"`streams` has settings for {', '.join(named)}. Say which stream has these rows, once for each that "
                f"the tap sends: --rows {named[0]}={one_line(number)}."
            )
            raise click.UsageError(msg)
        name = stream if equals else _STREAM
        if name in rows:
            msg = f"--rows was given twice for {'one stream' if not equals else name}. Give one number for each stream."
            raise click.UsageError(msg)
        rows[name] = _number(number)
    return rows


def _number(text: str) -> int:
    """Return a number of rows.

    Raises:
        UsageError: it is not one.
    """
    if not _NUMBER(text.strip()):
        msg = "--rows takes a number of rows, such as 20000000, or the name of a stream before it: customers=20000000."
        raise click.UsageError(msg)
    rows = int(re.sub("[,_]", "", text))
    if not rows:
        msg = "0 rows take nothing. Give --rows the number of rows that the tap will send in the first load."
        raise click.UsageError(msg)
    if rows > _MOST_ROWS:
        msg = f"--rows takes at most {several(_MOST_ROWS, 'row', 'rows')}."
        raise click.UsageError(msg)
    return rows


def _free(settings: Settings) -> int | None:
    """Return how much room the disk has on which the SQLite ledger is, or would be; None if that is not known."""
    path = sqlite_path(settings.ledger_url) if settings.ledger_url is not None else None
    if path is None:
        return None
    try:
        return shutil.disk_usage(next(each for each in path.parents if each.exists())).free
    except OSError:
        return None


def _as_json(line: Line) -> dict[str, object]:
    """Return a line of the estimate in the form that `--json` prints."""
    shown = line._asdict()
    return {"state": "warning" if shown.pop("warning") else "ok", **shown}


def _printed(line: Line) -> str:
    """Return a line of the estimate, wrapped."""
    mark = "!" if line.warning else " "
    head = f"{mark} {line.name:<{_NAME_WIDTH - 2}}"
    return textwrap.fill(
        one_line(line.detail), _WIDTH - 1, initial_indent=head, subsequent_indent=" " * _NAME_WIDTH,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
