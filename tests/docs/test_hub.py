"""MeltanoHub would take the plugin definitions.

The rules are the hub's, read in its repository (meltano/hub, schemas/ and .yamllint.yaml, August 2026) and said in our
own words.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from docgen.about import REPOSITORY
from docgen.hub import LOADER, UTILITY, VARIANT

KEYS = {
    "capabilities", "commands", "definition", "description", "dialect", "docs", "domain_url", "executable", "hidden",
    "keywords", "label", "log_parser", "logo_url", "maintenance_status", "name", "namespace", "next_steps", "pip_url",
    "prereq", "python", "quality", "repo", "requires", "settings", "settings_group_validation", "settings_preamble",
    "supported_python_versions", "target_schema", "usage", "variant",
}  # fmt: skip
ONLY_LOADERS = {"capabilities", "dialect", "target_schema"}
REQUIRED = {"name", "namespace", "quality", "variant"}
CAPABILITIES = {
    "about", "activate-version", "batch", "datatype-failsafe", "hard-delete", "schema-flattening", "soft-delete",
    "stream-maps", "structured-logging", "target-schema", "validate-records",
}  # fmt: skip
SETTING_KEYS = {
    "aliases", "description", "docs", "documentation", "env", "hidden", "kind", "label", "name", "oauth", "options",
    "placeholder", "sensitive", "tooltip", "value", "value_post_processor", "value_processor",
}  # fmt: skip
KINDS = {
    "array", "boolean", "date_iso8601", "decimal", "email", "file", "hidden", "integer", "oauth", "object", "options",
    "password", "string",
}  # fmt: skip
TEXTS = ("definition", "description", "executable", "label", "next_steps", "pip_url", "prereq", "settings_preamble")


FOLDERS = {LOADER: "loaders", UTILITY: "utilities"}

Definition = dict[str, Any]


def read(path: Path) -> Definition:
    content: Definition = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


@pytest.fixture(params=[LOADER, UTILITY], ids=FOLDERS.__getitem__)
def path(request: pytest.FixtureRequest) -> Path:
    """Each definition in turn."""
    found: Path = request.param
    return found


@pytest.fixture
def plugin(path: Path) -> Definition:
    """The content of a definition."""
    return read(path)


def declared(kind: str) -> Definition:
    """Return a plugin as meltano.yml declares it."""
    (found,) = yaml.safe_load((REPOSITORY / "meltano.yml").read_text(encoding="utf-8"))["plugins"][kind]
    return dict(found)


def test_the_path_of_a_definition_names_its_kind(path: Path, plugin: Definition) -> None:
    name = f"{FOLDERS[path]}/{plugin['name']}/{plugin['variant']}.yml"
    assert path.relative_to(REPOSITORY / "hub").as_posix() == name
    assert plugin["variant"] == VARIANT


def test_a_definition_has_only_fields_that_the_hub_defines(path: Path, plugin: Definition) -> None:
    assert plugin.keys() >= REQUIRED
    assert plugin.keys() <= KEYS - ({"commands"} if path == LOADER else ONLY_LOADERS)
    assert all(isinstance(plugin[name], str) for name in TEXTS)
    assert plugin["maintenance_status"] in {"active", "beta", "development", "inactive", "unknown"}
    assert plugin["quality"] in {"gold", "silver", "bronze", "unknown"}
    assert set(plugin.get("capabilities", ())) <= CAPABILITIES
    assert all(isinstance(each, str) for each in plugin["keywords"])
    assert all(re.fullmatch(r"3\.\d+", each) for each in plugin["supported_python_versions"])
    assert re.match("https://", plugin["domain_url"])


def test_settings_have_only_fields_that_the_hub_defines(plugin: Definition) -> None:
    for setting in plugin["settings"]:
        assert setting.keys() <= SETTING_KEYS, setting["name"]
        assert setting.get("kind", "object") in KINDS
        assert all(isinstance(setting[name], str) for name in ("name", "label"))
        assert isinstance(setting.get("description", ""), str)
        assert isinstance(setting.get("sensitive", True), bool)
        assert all(option.keys() == {"label", "value"} for option in setting.get("options", ()))
        assert bool(setting.get("options")) == (setting.get("kind") == "options")
    names = {setting["name"] for setting in plugin["settings"]}
    assert all(set(group) <= names for group in plugin.get("settings_group_validation", ()))


def test_keys_are_in_the_order_that_the_hubs_linter_requires(plugin: Definition) -> None:
    assert list(plugin) == sorted(plugin)
    assert all(list(setting) == sorted(setting) for setting in plugin["settings"])
    assert list(plugin.get("commands", ())) == sorted(plugin.get("commands", ()))


@pytest.mark.parametrize("path", [LOADER, UTILITY], ids=FOLDERS.__getitem__)
def test_settings_match_meltano_yml(path: Path) -> None:
    # Those are held against what the target says of itself by test_settings_documents.py.
    plugin, ours = read(path), declared(FOLDERS[path])
    settings = {setting["name"]: setting for setting in ours["settings"]}
    assert {setting["name"]: setting for setting in plugin["settings"]} == settings
    assert plugin["namespace"] == ours["namespace"]


def test_the_loaders_groups_and_capabilities_match_meltano_yml() -> None:
    plugin, ours = read(LOADER), declared("loaders")
    assert plugin["settings_group_validation"] == ours["settings_group_validation"]
    assert plugin["capabilities"] == sorted(ours["capabilities"])


def test_the_utilitys_commands_match_meltano_yml() -> None:
    assert read(UTILITY)["commands"] == declared("utilities")["commands"]
