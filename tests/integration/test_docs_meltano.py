"""What the pages show of meltano.yml, taken into a real project and read by a real Meltano."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from docgen.about import PAGES
from docgen.fences import parse
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
