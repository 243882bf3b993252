"""What the commands share: the options, the ad account that the settings name, and how results are shown."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from target_pinterest_audience.connect import make_client
from target_pinterest_audience.pinterest import PinterestClient
from target_pinterest_audience.report import moment
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.settings.dotted import SDK_OBJECTS
from target_pinterest_audience.target import TargetPinterestAudience
from target_pinterest_audience.termination import Termination

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R", bound=NamedTuple)

logger: Final = logging.getLogger("pinterest-audience")

_WIDTH_OF_A_FILE: Final = 200
"""Columns of a table that no terminal shows: a narrow one would cut ids."""


def config_option(command: F) -> F:
    """Add `--config` to a command, as the argument `config` of `read_settings`."""
    return click.option(
        "--config",
        multiple=True,
        default=("ENV",),
        show_default=True,
        help="The settings: a JSON file, or ENV for TARGET_PINTEREST_AUDIENCE_* and `.env`.",
    )(command)


def json_option(command: F) -> F:
    """Add `--json` to a command, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command)


def yes_option(command: F) -> F:
    """Add `--yes` to a command, as the argument `yes` of `confirm`."""
    return click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")(command)


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person whether something that cannot be undone is meant, unless `--yes` says so.

    Raises:
        UsageError: it is not, or nobody can be asked.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        msg = f"{question} Nobody can be asked here: say so with --yes."
        raise click.UsageError(msg)
    if not click.confirm(question):
        msg = "Nothing was done."
        raise click.UsageError(msg)


def read_settings(config: tuple[str, ...]) -> Settings:
    """Return the settings that `--config` names.

    Raises:
        ConfigurationError: they cannot be read, or break a rule.
    """
    raw = TargetPinterestAudience.read_config(config)
    # No row is read here, and to a utility Meltano hands these with their keys flattened.
    settings, _ = TargetPinterestAudience.resolve_settings({k: v for k, v in raw.items() if k not in SDK_OBJECTS})
    return settings


def user_agent() -> str:
    """Return what requests say they come from."""
    return f"{TargetPinterestAudience.name}/{TargetPinterestAudience.plugin_version}"


def obey_signals() -> Termination:
    """Let SIGTERM and SIGINT end the process in good order from now on."""
    termination = Termination()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: termination.arrived(signum))
    return termination


@contextmanager
def ad_account(settings: Settings) -> Iterator[PinterestClient]:
    """Yield the ad account of the settings; nothing is asked of it yet."""
    client = make_client(settings, user_agent(), logger, obey_signals().shield)
    try:
        yield client
    finally:
        client.stop()
        client.close()


def show_rows(kind: type[R], rows: Sequence[R], *, as_json: bool, empty: str) -> None:
    """Print rows of one kind, for scripts or for people.

    Args:
        kind: of the rows; its fields are the headings.
        rows: the rows.
        as_json: whether for scripts.
        empty: what to say to people if there are none.
    """
    if as_json:
        show_json([row._asdict() for row in rows])
    else:
        show_table(kind._fields, rows, empty=empty)


def show_json(value: object) -> None:
    """Print a result for scripts."""
    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print a table for people.

    Args:
        columns: the headings.
        rows: what stands under them; numbers are grouped, and None is a dash.
        empty: what to say if there are none.
    """
    if not rows:
        click.echo(empty)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        numbers = all(isinstance(value, (int, float)) or value is None for value in values)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)
    console.print(table)


def _cell(value: object) -> Text:
    if value is None:
        return Text("-")
    return Text(f"{value:,}" if isinstance(value, int) else str(value))


# Pinterest's answers are not trusted to have the form that its API describes.


def text(value: object) -> str | None:
    """Return a value if it is text; None if it is not."""
    return value if isinstance(value, str) else None


def number(value: object) -> int | None:
    """Return a value as a whole number if it is a number; None if it is not."""
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def when(seconds: object) -> str | None:
    """Return a Unix time as people and machines read it, in UTC; None if it is none."""
    known = number(seconds)
    try:
        return moment(known).isoformat() if known is not None else None
    except (OverflowError, ValueError, OSError):
        return None
