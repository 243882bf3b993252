"""The help of the companion."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from target_pinterest_audience.companion.main import cli


def commands() -> list[str]:
    return cli.list_commands(click.Context(cli))


def paths(command: click.Command = cli, *words: str) -> list[tuple[str, ...]]:
    """Every group and command, as the words that call it."""
    found = [words]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found += paths(below, *words, name)
    return found


def test_each_command_has_a_line_in_one_section() -> None:
    shown = CliRunner().invoke(cli, ["--help"], terminal_width=80)
    assert shown.exit_code == 0
    sections = shown.output.split("\n\n")[-4:]
    assert [section.partition(":")[0] for section in sections] == ["Set up", "Look", "Act", "Privacy"]
    lines = [line for section in sections for line in section.splitlines()[1:]]
    assert sorted(line.split()[0] for line in lines) == commands() == sorted(commands())


@pytest.mark.parametrize("words", paths(), ids=" ".join)
def test_help_fits_into_a_terminal_and_nothing_is_cut_short(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli, [*words, "--help"], terminal_width=80, prog_name="pinterest-audience").output
    # Examples are there to be copied.
    lines = [line for line in shown.splitlines() if not line.startswith("    pinterest-audience ")]
    assert max(map(len, lines)) <= 80
    commands_below = shown.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert not any(line.endswith("...") or line.startswith("     ") for line in commands_below)


@pytest.mark.parametrize("name", commands())
def test_each_command_can_be_called(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"])
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: cli {name} ")


def test_a_command_that_does_not_exist_is_refused() -> None:
    assert CliRunner().invoke(cli, ["list"]).exit_code == 2


def test_help_does_not_import_what_only_requests_and_settings_need() -> None:
    # Together they take half of the start of a command.
    heavy = {"apprise", "asyncio", "jsonschema", "psycopg", "pyarrow", "requests", "rich", "urllib3", "werkzeug"}
    program = (
        "import sys, click; from target_pinterest_audience.companion.main import cli; context = click.Context(cli)\n"
        f"for name in {commands()}:\n"
        "    before = set(sys.modules); cli.get_command(context, name)\n"
        f"    print(name, *sorted({heavy} & set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60, text=True)
    assert done.stdout.splitlines() == commands()
