"""What the pages show of meltano.yml, taken into a real project and read by a real Meltano."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from docgen.about import PAGES
from docgen.fences import parse
from docgen.hub import LOADER as LOADER_DEFINITION
from docgen.hub import UTILITY as UTILITY_DEFINITION
from tests.support.meltano_project import LOADER, UTILITY, Project

pytestmark = pytest.mark.timeout(600)


def examples(page: str) -> list[dict[str, Any]]:
    """Return the pieces of meltano.yml on a page that declare or configure plugins of ours."""
    text = (PAGES / "guides" / page).read_text(encoding="utf-8")
    blocks = [yaml.safe_load(fence.text) for fence in parse(text) if fence.language == "yaml"]
    return [block for block in blocks if {"loaders", "utilities"} & block.get("plugins", {}).keys()]


def take(content: dict[str, Any], example: dict[str, Any]) -> list[dict[str, Any]]:
    """Put an example into a project file, as a person would, and return the plugins of ours that it is about."""
    taken = []
    for kind in ("loaders", "utilities"):
        present = {plugin["name"]: plugin for plugin in content["plugins"][kind]}
        for plugin in example["plugins"].get(kind, []):
            if plugin["name"] in present:
                present[plugin["name"]].update(plugin)
            else:
                content["plugins"][kind].append(plugin)
            taken.append(plugin)
    for part in ("jobs", "schedules"):
        content[part] = [*content.get(part, []), *example.get(part, [])]
    return taken


@pytest.mark.parametrize("page", ["meltano.md", "recipes.md", "many-audiences.md", "spreadsheet.md"])
def test_meltano_accepts_the_examples(page: str, installed_project: Project) -> None:
    root = installed_project.root
    original = (root / "meltano.yml").read_bytes()
    found = examples(page)
    assert found
    try:
        for example in found:
            (root / "meltano.yml").write_bytes(original)
            with installed_project.edit() as content:
                taken = take(content, example)
            for plugin in taken:
                assert plugin["name"].split("--")[0] in {LOADER, UTILITY}
                printed = json.loads(printed_by(installed_project, "config", "print", plugin["name"]))
                expected = flat(plugin.get("config", {}))
                assert {name: flat(printed).get(name) for name in expected} == expected
            if "schedules" in example:
                listed = json.loads(printed_by(installed_project, "schedule", "list", "--format", "json"))
                names = [each["name"] for each in listed["schedules"]["job"]]
                assert names == [each["name"] for each in example["schedules"]]
    finally:
        (root / "meltano.yml").write_bytes(original)


@pytest.mark.parametrize(("kind", "path"), [("loader", LOADER_DEFINITION), ("utility", UTILITY_DEFINITION)])
def test_a_definition_can_be_added_by_reference(kind: str, path: Path, meltano: str, tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text("version: 1\nproject_id: test\nsend_anonymous_usage_stats: false\n")
    definition = yaml.safe_load(path.read_text(encoding="utf-8"))
    name = definition["name"]

    done = Project(meltano, tmp_path, {}).meltano(
        "add", name, "--plugin-type", kind, "--no-install", "--from-ref", str(path)
    )

    assert done.returncode == 0, done.stdout
    project = yaml.safe_load((tmp_path / "meltano.yml").read_text(encoding="utf-8"))
    ((added,),) = project["plugins"].values()
    for part in ("name", "namespace", "executable", "pip_url", "commands"):
        assert added.get(part) == definition.get(part)
    assert [each["name"] for each in added["settings"]] == [each["name"] for each in definition["settings"]]


def test_meltano_drops_nulls_and_keeps_the_text_that_stands_for_them(installed_project: Project) -> None:
    original = (installed_project.root / "meltano.yml").read_bytes()
    try:
        with installed_project.edit() as content:
            maps = {"staff": None, "leads": "__NULL__", "customers": {"work_phone": None, "phone": "__NULL__"}}
            content["plugins"]["loaders"][0]["config"] = {"stream_maps": maps}
        printed = json.loads(printed_by(installed_project, "config", "print", LOADER))
        assert printed["stream_maps"] == {"leads": "__NULL__", "customers": {"phone": "__NULL__"}}
    finally:
        (installed_project.root / "meltano.yml").write_bytes(original)


def printed_by(project: Project, *arguments: str) -> str:
    """Return what a command of Meltano prints, from its first brace on: warnings stand before it."""
    done = project.meltano(*arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout[done.stdout.index("{") :]


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings without nesting, as their names in one text."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        found.update(flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value})
    return found
