"""Where the settings of a command come from: `--config` before or after it, or an environment variable."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from target_pinterest_audience.companion.groups import CommandGroup
from target_pinterest_audience.companion.main import cli
from target_pinterest_audience.companion.options import (
    CONFIG_VARIABLE,
    config_option,
    early_config_option,
    json_option,
    refuse_early_options,
)
from target_pinterest_audience.errors import ConfigurationError


@click.group(cls=CommandGroup)
@early_config_option
def program() -> None:
    """Stands for the companion."""


@program.group(cls=CommandGroup, invoke_without_command=True)
@config_option
@json_option
@click.pass_context
def things(context: click.Context, config: tuple[str, ...], *, as_json: bool) -> None:
    """Stands for a group such as `lists`."""
    refuse_early_options(context)
    if context.invoked_subcommand is None:
        click.echo((config, as_json))


@things.command()
@config_option
def show(config: tuple[str, ...]) -> None:
    """Stands for a command such as `lists show`."""
    click.echo(config)


def chosen(*arguments: str, variable: str | None = None) -> str:
    return CliRunner(env={CONFIG_VARIABLE: variable}).invoke(program, arguments).output.strip()


@pytest.mark.parametrize(
    "arguments",
    ["--config a.json things show", "things --config a.json show", "things show --config a.json"],
)
def test_config_may_stand_before_or_after_the_command(arguments: str) -> None:
    assert chosen(*arguments.split()) == "('a.json',)"
    assert chosen(*arguments.split(), variable="b.json") == "('a.json',)"


def test_several_files_keep_their_order() -> None:
    assert chosen("--config", "a.json", "--config", "ENV", "things", "show") == "('a.json', 'ENV')"
    assert chosen("things", "show", variable=os.pathsep.join(["my a.json", "ENV"])) == "('my a.json', 'ENV')"


def test_the_environment_is_the_default() -> None:
    assert chosen("things", "show") == "('ENV',)"
    assert chosen("things", "show", variable="") == "('ENV',)"
    assert chosen("things", variable="b.json") == "(('b.json',), False)"


@pytest.mark.parametrize(
    "arguments", ["--config a.json things show --config b.json", "--config a.json things --config b.json show"]
)
def test_config_in_two_places_is_refused(arguments: str) -> None:
    assert "--config is given before the command and after it. Give it in one place." in chosen(*arguments.split())


def test_another_option_before_a_subcommand_is_refused() -> None:
    assert "Give --json after `show`" in chosen("things", "--json", "show")


@pytest.mark.parametrize("command", ["report", "ledger show", "lists"])
def test_without_settings_a_command_says_where_to_put_them(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, command.split())
    assert isinstance(done.exception, ConfigurationError)
    assert "There are no settings. Name a JSON file with --config FILE or" in str(done.exception)
