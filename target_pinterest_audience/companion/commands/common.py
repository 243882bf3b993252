"""What the commands share: the options, the ad account that the settings name, and how results are shown."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeVar

import click
import msgspec
from click.core import ParameterSource
from rich.console import Console
from rich.table import Table
from rich.text import Text

from target_pinterest_audience.errors import ConfigurationError, LedgerError, outcome
from target_pinterest_audience.ledger.catalogue import ListEntry
from target_pinterest_audience.ledger.find import find_ledger, no_ledger
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.tenure import Tenure
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.errors import RefusedError
from target_pinterest_audience.reconcile.books import Books
from target_pinterest_audience.reporting.report_file import moment
from target_pinterest_audience.routing.orders import ListReport
from target_pinterest_audience.routing.plan import ListReference, chosen_list
from target_pinterest_audience.run.dispatcher import Dispatcher
from target_pinterest_audience.run.wiring import make_client, make_delivery
from target_pinterest_audience.settings import Settings, Source, merged
from target_pinterest_audience.settings.load import read_sources, resolve_settings
from target_pinterest_audience.settings.meltano import SDK_OBJECTS
from target_pinterest_audience.system.signals import obey_signals
from target_pinterest_audience.system.version import user_agent
from target_pinterest_audience.text.safe_text import one_line, safe_json

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


def dry_run_option(command: F) -> F:
    """Add `--dry-run` to a command, as the argument `dry_run` of `read_settings`."""
    return click.option("--dry-run", is_flag=True, help="Tell what would be done, and change nothing.")(command)


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person whether something that cannot be undone is meant, unless `--yes` says so.

    Raises:
        UsageError: it is not, or nobody can be asked.
    """
    if yes:
        return
    question = one_line(question)
    if not sys.stdin.isatty():
        msg = f"{question} Nobody can be asked here: say so with --yes."
        raise click.UsageError(msg)
    if not click.confirm(question):
        msg = "Nothing was done."
        raise click.UsageError(msg)


def read_settings(config: tuple[str, ...], *, dry_run: bool = False) -> Settings:
    """Return the settings that `--config` names.

    Args:
        config: the values of `--config`.
        dry_run: whether nothing is to be changed, whatever they say.

    Raises:
        ConfigurationError: they cannot be read, or break a rule.
    """
    settings = settle(read_sources(config))
    return replace(settings, dry_run=True) if dry_run else settings


def settle(sources: Iterable[Source]) -> Settings:
    """Return the settings that were read.

    Raises:
        ConfigurationError: they break a rule.
    """
    raw = merged(sources)
    # No row is read here, and to a utility Meltano hands these with their keys flattened.
    settings, _ = resolve_settings({k: v for k, v in raw.items() if k not in SDK_OBJECTS})
    return settings


@contextmanager
def ad_account(settings: Settings, ledger: Ledger | None = None) -> Iterator[PinterestClient]:
    """Yield the ad account of the settings; nothing is asked of it yet.

    Args:
        settings: the settings.
        ledger: under whose locks it is written to; None if none are needed.
    """
    shield, tenure = obey_signals().shield, Tenure(ledger)
    client = make_client(settings, user_agent(), logger, shield, tenure)
    try:
        yield client
    finally:
        client.stop()
        client.close()


@contextmanager
def opened_ledger(settings: Settings, *, read_only: bool = False) -> Iterator[Ledger]:
    """Open the ledger of the settings for a while.

    Args:
        settings: the settings.
        read_only: see `find_ledger`.

    Raises:
        ConfigurationError: there is none.
    """
    ledger = find_ledger(settings, create=False, read_only=read_only)
    if ledger is None:
        raise no_ledger(settings)
    with closing(ledger):
        yield ledger


@contextmanager
def removing(ledger: Ledger, settings: Settings) -> Iterator[tuple[Books, Dispatcher]]:
    """Yield what removals that a ledger notes are sent with, and note what was accepted, whatever happens."""
    shield, tenure = obey_signals().shield, Tenure(ledger)
    delivery = make_delivery(settings, user_agent(), logger, shield, tenure)
    books = Books.make(ledger, settings, delivery, logger, time.time)
    dispatcher = Dispatcher(delivery, books.outbox)
    ended_by: BaseException | None = None
    try:
        yield books, dispatcher
    except BaseException as error:
        ended_by = error
        raise
    finally:
        # After a failure, too: a request under way on another list gets a moment, and its answer is noted.
        try:
            dispatcher.stop()
            books.outbox.tidy()
        except LedgerError as error:
            if ended_by is None:
                ended_by = error
                raise
            logger.warning("What Pinterest accepted last is not noted, so a later run sends it again. %s", error)
        finally:
            exit_code = 0 if ended_by is None else outcome(ended_by, "pinterest-audience")[0]
            _end_history(books, exit_code)


def refuse_half(reports: Iterable[ListReport]) -> None:
    """Fail if Pinterest refused to remove somebody.

    Raises:
        RefusedError: it did.
    """
    named = ", ".join(f'"{each.name}" (id {each.customer_list_id})' for each in reports if each.refused)
    if named:
        msg = (
            f"Pinterest refused to remove some identities from {named}. They may still be there; the ledger has noted "
            "them, and the next run of the target tries again."
        )
        raise RefusedError(msg)


def refuse_early_options(context: click.Context) -> None:
    """Refuse options that stand before a subcommand, which takes no note of them: it would act on other settings.

    Raises:
        UsageError: there are some.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        if context.invoked_subcommand and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            msg = f"Give {parameter.opts[0]} after `{context.invoked_subcommand}`, whose option it is."
            raise click.UsageError(msg)


def check_identifier(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Return an id of Pinterest's, as the callback of an option: digits, so that it names nothing else in an address.

    Raises:
        BadParameter: it is none.
    """
    if not (value.isascii() and value.isdigit()):
        msg = "an id is a number; the first column of the listing has it."
        raise click.BadParameter(msg)
    return value


def _end_history(books: Books, exit_code: int) -> None:
    """Note in the ledger how it ended; that it cannot be noted is a warning."""
    try:
        books.end_history(exit_code, {})
    except LedgerError as error:
        logger.warning("The history of runs does not tell how this ended. %s", error)


def known_list(ledger: Ledger, settings: Settings, which: str | None) -> ListEntry:
    """Return a list that the ledger knows.

    Args:
        ledger: the ledger.
        settings: choose the list if nothing else does.
        which: its id or its name; None: that of the settings.

    Raises:
        ConfigurationError: it cannot be told.
    """
    catalogue = ledger.catalogue
    known = catalogue.lists()
    if which is None:
        reference = chosen_list(settings.default_stream)
        found = catalogue.pinned(str(reference)) or catalogue.list_of_id(settings.default_stream.customer_list_id or "")
        chosen, whose = [found] if found is not None else [], "the settings choose"
    else:
        pinned = catalogue.pinned(str(ListReference(customer_list_name=which)))
        named = [pinned] if pinned is not None else [each for each in known if each.name == which]
        chosen, whose = [each for each in known if each.customer_list_id == which] or named, "--list names"
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(f'"{each.name or ""}" (id {each.customer_list_id or "none yet"})' for each in chosen or known)
    what = f"several lists that {whose}" if chosen else f"no list that {whose}"
    msg = f"{ledger.where} knows {what}. Say which with --list; it knows {names or 'none at all'}."
    raise ConfigurationError(msg)


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
    click.echo(safe_json(msgspec.json.format(msgspec.json.encode(value))).decode())


def show(text: str) -> None:
    """Print a line for people, whatever the names in it hold."""
    click.echo(one_line(text))


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
        numbers = all(type(value) in {int, float, type(None)} for value in values)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)
    console.print(table)


def _cell(value: object) -> Text:
    if value is None:
        return Text("-")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    return Text(f"{value:,}" if isinstance(value, int) else one_line(str(value)))


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
