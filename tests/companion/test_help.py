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


def test_each_command_has_a_line_that_fits_into_a_terminal() -> None:
    shown = CliRunner().invoke(cli, ["--help"], terminal_width=80)
    assert shown.exit_code == 0
    lines = shown.output.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == commands() == sorted(commands())
    assert max(map(len, lines)) < 80


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
