"""The command line of `pinterest-audience`, the companion of the target."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Mapping
from typing import Final

import click

from target_pinterest_audience.companion.groups import CommandGroup
from target_pinterest_audience.companion.options import early_config_option
from target_pinterest_audience.companion.terminal import SentenceHandler, explain
from target_pinterest_audience.errors import TargetError, Terminated, bug_message
from target_pinterest_audience.system.signals import obey_signals
from target_pinterest_audience.system.version import program_version
from target_pinterest_audience.text.redaction import guard_exceptions, redact_handlers
from target_pinterest_audience.text.safe_text import one_line
from target_pinterest_audience.text.wrapping import fitted

_SECTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "Set up": {
        "check": "Check whether everything is ready for a run",
        "demo": "Watch invented customers become a Pinterest customer list",
        "emulator": "Emulate customer lists and audiences on this machine",
        "login": "Sign in at Pinterest, so that runs can use the ad account",
        "probe": "Ask a real ad account what the API description leaves open",
    },
    "Look": {
        "ledger": "Show or delete what the ledger knows: lists, runs and rows",
        "lists": "Show the customer lists of the ad account",
        "report": "Show what the last runs did",
        "status": "Show how each list is, and what needs doing",
    },
    "Act": {
        "alerts": "Send an alert if no run has succeeded for too long",
        "audiences": "Show, create, rename and delete audiences of the ad account",
        "clear": "Remove everyone whom this target sent to a customer list",
        "prune": "Remove people who are missing from the last run",
        "segments": "Show, create, change and delete customer segments",
    },
    "Privacy": {
        "forget": "Erase people from every customer list, and keep them out",
        "readmit": "Let runs again add people whom `forget` keeps out",
    },
}
"""Title of a section of the help → command → what it does, in one line of a terminal."""

_COMMANDS: Final = sorted(name for section in _SECTIONS.values() for name in section)

_ERROR: Final = "Error: "
"""How click begins the message of an error."""

_ELSEWHERE: Final = {
    "demo": "demo.command",
    "emulator": "emulator.command",
    "ledger": "companion.commands.ledger.group",
}
"""Command → its module, if that is not the one of its name among the commands."""


class _LazyGroup(CommandGroup):
    """Imports a command when it is called: most of them need most of the package."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return _COMMANDS

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = _ELSEWHERE.get(cmd_name, f"companion.commands.{cmd_name}")
        command: click.Command = getattr(importlib.import_module(f"target_pinterest_audience.{module}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        width = max(map(len, _COMMANDS))
        for title, section in _SECTIONS.items():
            with formatter.section(title):
                # Padded, so that the sections have one column of summaries.
                formatter.write_dl([(name.ljust(width), summary) for name, summary in section.items()])


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if value and not ctx.resilient_parsing:
        click.echo(f"{ctx.info_name}, version {program_version()}")
        ctx.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@early_config_option
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version,
    help="Show the version and exit.",
)  # fmt: skip
def cli() -> None:
    """Check, control and inspect target-pinterest-audience."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", handlers=[SentenceHandler()])
    redact_handlers()


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, and exit. An error prints its message and exits with the code of its class.

    Args:
        arguments: the command line; by default the process's.
    """
    guard_exceptions("pinterest-audience")
    # Commands that must not be interrupted at certain points shield them.
    obey_signals()
    try:
        # `--help` and the like return their exit code.
        sys.exit(cli(arguments, standalone_mode=False) or 0)
    except click.ClickException as error:
        _show_usage(error)
        sys.exit(error.exit_code)
    except click.Abort:
        # The question is on the line before.
        _show("\nThe input ended before a question was answered. Run the command again.")
        sys.exit(1)
    except TargetError as error:
        _show(f"{_ERROR}{one_line(str(error))}")
        sys.exit(error.exit_code)
    except Terminated as terminated:
        if sys.stderr.isatty():
            # The terminal has printed ^C.
            click.echo(err=True)
        _show("Stopped by a signal. Accepted requests stay in effect. Run the command again for the rest.")
        sys.exit(128 + terminated.signum)
    except Exception as error:  # noqa: BLE001 - the last resort: no message of an unknown error may show a value
        _show(f"{_ERROR}{bug_message('pinterest-audience', type(error), error.__traceback__)}")
        sys.exit(1)


def _show(text: str) -> None:
    click.echo(fitted(text, sys.stderr), err=True)


def _show_usage(error: click.ClickException) -> None:
    """Print how to call the command, and what is wrong with the command line."""
    words = fitted(_ERROR + explain(error), sys.stderr).removeprefix(_ERROR)
    shown = click.UsageError(words, error.ctx) if isinstance(error, click.UsageError) else click.ClickException(words)
    shown.show()
