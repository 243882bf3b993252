"""The options that commands share, and the question that `--yes` answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource
from click.exceptions import Exit

from target_pinterest_audience.text.redaction import redact
from target_pinterest_audience.text.safe_text import one_line
from target_pinterest_audience.text.wrapping import fitted

F = TypeVar("F", bound=Callable[..., Any])


_LONGEST_REFERENCE: Final = 200

CONFIG_VARIABLE: Final = "PINTEREST_AUDIENCE_CONFIG"
"""The environment variable that stands for `--config`; it may name several files, as PATH does folders."""


def config_option(command: F) -> F:
    """Add `--config` to a command; its values are the argument `config`."""
    return _config_option(expose_value=True)(command)


def early_config_option(command: F) -> F:
    """Add `--config` to a group that uses no settings itself: its commands get the values."""
    return _config_option(expose_value=False)(command)


def _config_option(*, expose_value: bool) -> Callable[[F], F]:
    return click.option(
        "--config",
        multiple=True,
        type=click.Path(),
        metavar="FILE",
        default=("ENV",),
        show_default=True,
        envvar=CONFIG_VARIABLE,
        show_envvar=True,
        callback=_chosen_config,
        expose_value=expose_value,
        help="The settings: a JSON file, or ENV for TARGET_PINTEREST_AUDIENCE_* and `.env`; before or after the "
        "command.",
    )


def _chosen_config(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the settings of a command, which may stand before it on the command line.

    Raises:
        UsageError: they are given both before and after it, so that it is not clear which are meant.
    """
    given: tuple[str, ...] | None = context.meta.get(CONFIG_VARIABLE)
    if context.get_parameter_source(parameter.name or "") is not ParameterSource.COMMANDLINE:
        return values if given is None else given
    if given is not None:
        msg = "--config is given before the command and after it. Give it in one place."
        raise click.UsageError(msg)
    context.meta[CONFIG_VARIABLE] = values
    return values


def json_option(command: F) -> F:
    """Add `--json` to a command, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command)


def yes_option(command: F) -> F:
    """Add `--yes` to a command, as the argument `yes`."""
    return click.option("--yes", is_flag=True, help="Do not ask for confirmation.")(command)


def in_use_option(command: F) -> F:
    """Add `--in-use` to a command, as the argument `in_use`."""
    return click.option(
        "--in-use",
        is_flag=True,
        help="Go on even if an active ad group or campaign excludes these people and would then show them its ads, or "
        "if Pinterest does not show whether one does.",
    )(command)


def dry_run_option(command: F) -> F:
    """Add `--dry-run` to a command, as the argument `dry_run`."""
    return click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")(command)


def reference_option(command: F) -> F:
    """Add `--reference` to a command, as the argument `reference`."""
    return click.option(
        "--reference",
        metavar="TICKET",
        callback=_check_reference,
        help="The number of the request or ticket, for the audit trail (`ledger audit`). No personal data.",
    )(command)


def _check_reference(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Return a reference, which is stored and printed.

    Raises:
        BadParameter: it is empty or too long, or has an address or the like in it. The message does not repeat it.
    """
    if value is None:
        return None
    reference = one_line(value.strip())
    if not reference or len(reference) > _LONGEST_REFERENCE:
        msg = f"a reference has 1 to {_LONGEST_REFERENCE} characters."
        raise click.BadParameter(msg)
    if redact(reference) != reference:
        msg = "a reference is stored, so it must not contain an address, a phone number, an id or a digest."
        raise click.BadParameter(msg)
    return reference


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation of something that cannot be undone, unless `--yes` was given.

    Raises:
        Exit: the answer is no. The exit code shows scripts that the command did nothing.
        UsageError: standard input is not a terminal.
    """
    if yes:
        return
    question = one_line(question)
    if not is_terminal():
        msg = f"{question} Standard input is not a terminal: pass --yes to confirm."
        raise click.UsageError(msg)
    if not click.confirm(fitted(question, sys.stdout, room=len(" [y/N]: "))):
        click.echo("Nothing was done.", err=True)
        raise Exit(click.UsageError.exit_code)


def is_terminal() -> bool:
    """Return whether a person at standard input can answer a question."""
    return sys.stdin.isatty()


def refuse_early_options(context: click.Context) -> None:
    """Refuse options before a subcommand that would ignore them. It gets only `--config` from there.

    Raises:
        UsageError: an option was given before the subcommand.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        is_given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if context.invoked_subcommand and is_given and name != "config":
            msg = f"Give {parameter.opts[0]} after `{context.invoked_subcommand}`: it is an option of that command."
            raise click.UsageError(msg)
