"""The command line of `pinterest-audience`, the companion of the target."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Final

import click

from target_pinterest_audience.demo.command import demo
from target_pinterest_audience.emulator.command import emulator
from target_pinterest_audience.errors import TargetError, Terminated, bug_message
from target_pinterest_audience.system.signals import obey_signals
from target_pinterest_audience.system.version import program_version
from target_pinterest_audience.text.redaction import guard_exceptions, redact_handlers
from target_pinterest_audience.text.safe_text import one_line

_LAZY_COMMANDS: Final = (
    "alerts",
    "audiences",
    "check",
    "clear",
    "forget",
    "ledger",
    "lists",
    "login",
    "probe",
    "prune",
    "readmit",
    "report",
    "segments",
)


class _LazyGroup(click.Group):
    """Imports the commands that need most of the package only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_LAZY_COMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _LAZY_COMMANDS:
            module = importlib.import_module(f"target_pinterest_audience.companion.commands.{cmd_name}")
            command: click.Command = getattr(module, cmd_name)
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(program_version())
def cli() -> None:
    """Check, control and inspect target-pinterest-audience."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    redact_handlers()


cli.add_command(demo)
cli.add_command(emulator)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, and exit. An error prints one line and exits with the code of its class.

    Args:
        arguments: the command line; by default the process's.
    """
    guard_exceptions("pinterest-audience")
    # Commands that must not be interrupted at certain points shield them.
    obey_signals()
    try:
        cli(arguments)
    except TargetError as error:
        click.echo(f"Error: {one_line(str(error))}", err=True)
        sys.exit(error.exit_code)
    except Terminated as terminated:
        click.echo(
            "Stopped by a signal. Accepted requests stay in effect. Run the command again for the rest.", err=True
        )
        sys.exit(128 + terminated.signum)
    except Exception as error:  # noqa: BLE001 - the last resort: no message of an unknown error may show a value
        click.echo(f"Error: {bug_message('pinterest-audience', type(error), error.__traceback__)}", err=True)
        sys.exit(1)
