"""What is generated is up to date, and leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from docgen.__main__ import references
from docgen.about import PAGES, REPOSITORY, about
from docgen.commands_page import contexts
from docgen.recording import recording
from target_pinterest_audience.companion.main import cli
from target_pinterest_audience.identities.emails import JAPANESE_CARRIERS
from target_pinterest_audience.settings.stream_settings import PER_STREAM_SETTINGS
from target_pinterest_audience.singer.target import TargetPinterestAudience

COMMANDS = (PAGES / "reference" / "commands.md").read_text(encoding="utf-8")
SETTINGS = (PAGES / "reference" / "settings.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def generated() -> dict[Path, str]:
    return references()


@pytest.mark.parametrize(
    "name",
    [
        "docs/reference/settings.md",
        "docs/reference/commands.md",
        "docs/reference/json.md",
        "docs/reference/json-output.schema.json",
        "hub/loaders",
        "hub/utilities",
    ],
)
def test_generated_pages_are_up_to_date(name: str, generated: dict[Path, str]) -> None:
    ((path, text),) = [each for each in generated.items() if each[0].is_relative_to(REPOSITORY / name)]
    assert path.read_text(encoding="utf-8") == text, "call `python -m docgen`"


def test_generated_pictures_are_up_to_date(generated: dict[Path, str]) -> None:
    pictures = {path: text for path, text in generated.items() if path.suffix == ".svg"}
    assert pictures.keys() == set((PAGES / "pictures").iterdir())
    for path, text in pictures.items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: call `python -m docgen`"


def test_the_recording_shows_the_transcript_or_says_what_is_missing() -> None:
    page = (PAGES / "demo.md").read_text(encoding="utf-8")
    assert "Requests that contain a plain address: 0" in recording(page)
    with pytest.raises(ValueError, match="PATCH: ADD 1"):
        recording(page.replace("PATCH: ADD 1", "PATCH: ADD 2"))


def test_every_setting_is_listed_with_its_values() -> None:
    entries = dict(re.findall(r"^### `(\w+)`\n\n(.+)$", SETTINGS, re.MULTILINE))
    schema = about()["settings"]
    assert list(entries) == list(schema["properties"])
    assert {name for name in entries if "*per stream*" in entries[name]} == set(PER_STREAM_SETTINGS)
    assert {name for name in entries if ", secret" in entries[name]} == {
        name for name, setting in schema["properties"].items() if setting.get("secret")
    }
    assert entries["load_method"].startswith("`upsert` or `append-only` or `overwrite`, default `upsert`, *per stream*")
    assert entries["batch_size_rows"].startswith("integer, default `10000`, 1 to 1,000,000. ")


def test_every_command_is_listed_with_every_option() -> None:
    programs = {"target-pinterest-audience": TargetPinterestAudience.cli, "pinterest-audience": cli}
    sections = dict(re.findall(r"^##+ `([^`\n]+)`\n(.*?)(?=^##|\Z)", COMMANDS, re.MULTILINE | re.DOTALL))
    all_contexts = [context for name, program in programs.items() for context in contexts(name, program)]
    assert list(sections) == [context.command_path for context in all_contexts]
    for context in all_contexts:
        for parameter in context.command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert f"`{parameter.opts[0]}" in sections[context.command_path], (context.command_path, parameter.opts)


def test_the_table_of_the_companion_has_every_command() -> None:
    page = (PAGES / "companion.md").read_text(encoding="utf-8")
    listed = re.findall("`([^`]+)`", " ".join(re.findall(r"^\| (`.+?) \|", page, re.MULTILINE)))
    commands = [
        context.command_path.removeprefix("pinterest-audience ")
        for context in contexts("pinterest-audience", cli)
        if not isinstance(context.command, click.Group) or context.command.invoke_without_command
    ]
    assert sorted(listed) == sorted(commands)


def test_every_command_has_an_example_and_json_output() -> None:
    for context in contexts("pinterest-audience", cli):
        path, options = context.command_path, {name for each in context.command.params for name in each.opts}
        if path == "pinterest-audience":
            continue
        examples = " ".join(context.get_help().partition("Example")[2].split())
        if not isinstance(context.command, click.Group):
            assert path in examples, path
        if path not in {"pinterest-audience demo", "pinterest-audience emulator", "pinterest-audience ledger"}:
            assert {"--config", "--json"} <= options, path


def test_the_page_on_identities_lists_the_carriers_whose_addresses_may_have_odd_dots() -> None:
    page = (PAGES / "identities.md").read_text(encoding="utf-8")
    assert ", ".join(f"`{domain}`" for domain in JAPANESE_CARRIERS[:-1]) in " ".join(page.split())
    assert f"`{JAPANESE_CARRIERS[-1]}` and their subdomains" in page
