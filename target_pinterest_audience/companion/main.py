"""The command `pinterest-audience`: what people need around the pipeline."""

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

_LAZY: Final = (
    "alerts",
    "audiences",
    "check",
    "clear",
    "forget",
    "ledger",
    "lists",
    "login",
    "prune",
    "readmit",
    "report",
)


class _LazyGroup(click.Group):
    """Imports a command that needs the whole target only if it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_LAZY])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _LAZY:
            module = importlib.import_module(f"target_pinterest_audience.companion.commands.{cmd_name}")
            command: click.Command = getattr(module, cmd_name)
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(program_version())
def cli() -> None:
    """Companion of target-pinterest-audience: what people need around the pipeline."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    redact_handlers()


cli.add_command(demo)
cli.add_command(emulator)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line (by default the process's); an error ends it with one line and its class's exit code."""
    guard_exceptions("pinterest-audience")
    # Commands that must not be interrupted at certain points set up more.
    obey_signals()
    try:
        cli(arguments)
    except TargetError as error:
        click.echo(f"Error: {one_line(str(error))}", err=True)
        sys.exit(error.exit_code)
    except Terminated as terminated:
        click.echo("Stopped by a signal. What Pinterest had accepted stays; call again for the rest.", err=True)
        sys.exit(128 + terminated.signum)
    except Exception as error:  # noqa: BLE001 - the last stop: whatever it is, no value may be shown
        click.echo(f"Error: {bug_message('pinterest-audience', type(error), error.__traceback__)}", err=True)
        sys.exit(1)
