"""MeltanoHub would take the plugin definition.

The rules are the hub's, read in its repository (meltano/hub, schemas/ and .yamllint.yaml, August 2026) and said in our
own words.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from docgen.about import REPOSITORY
from docgen.hub import PATH, VARIANT

KEYS = {
    "capabilities", "commands", "definition", "description", "dialect", "docs", "domain_url", "executable", "hidden",
    "keywords", "label", "log_parser", "logo_url", "maintenance_status", "name", "namespace", "next_steps", "pip_url",
    "prereq", "python", "quality", "repo", "requires", "settings", "settings_group_validation", "settings_preamble",
    "supported_python_versions", "target_schema", "usage", "variant",
}  # fmt: skip
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


@pytest.fixture(scope="module")
def plugin() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    return content


def test_the_path_of_the_definition_names_its_kind(plugin: dict[str, Any]) -> None:
    assert PATH.relative_to(REPOSITORY / "hub").as_posix() == f"loaders/{plugin['name']}/{plugin['variant']}.yml"
    assert plugin["variant"] == VARIANT


def test_the_definition_has_only_fields_that_the_hub_defines(plugin: dict[str, Any]) -> None:
    assert plugin.keys() >= REQUIRED
    assert plugin.keys() <= KEYS
    assert all(isinstance(plugin[name], str) for name in TEXTS)
    assert plugin["maintenance_status"] in {"active", "beta", "development", "inactive", "unknown"}
    assert plugin["quality"] in {"gold", "silver", "bronze", "unknown"}
    assert set(plugin["capabilities"]) <= CAPABILITIES
    assert all(isinstance(each, str) for each in plugin["keywords"])
    assert all(re.fullmatch(r"3\.\d+", each) for each in plugin["supported_python_versions"])
    assert re.match("https://", plugin["domain_url"])


def test_its_settings_have_only_fields_that_the_hub_defines(plugin: dict[str, Any]) -> None:
    for setting in plugin["settings"]:
        assert setting.keys() <= SETTING_KEYS, setting["name"]
        assert setting.get("kind", "object") in KINDS
        assert all(isinstance(setting[name], str) for name in ("name", "label", "description"))
        assert isinstance(setting.get("sensitive", True), bool)
        assert all(option.keys() == {"label", "value"} for option in setting.get("options", ()))
        assert bool(setting.get("options")) == (setting.get("kind") == "options")
    names = {setting["name"] for setting in plugin["settings"]}
    assert all(set(group) <= names for group in plugin["settings_group_validation"])


def test_keys_are_in_the_order_that_the_hubs_linter_requires(plugin: dict[str, Any]) -> None:
    assert list(plugin) == sorted(plugin)
    assert all(list(setting) == sorted(setting) for setting in plugin["settings"])


def test_its_settings_match_meltano_yml(plugin: dict[str, Any]) -> None:
    # Those are held against what the target says of itself by test_settings_documents.py.
    project = yaml.safe_load((REPOSITORY / "meltano.yml").read_text(encoding="utf-8"))
    (loader,) = project["plugins"]["loaders"]
    declared = {setting["name"]: setting for setting in loader["settings"]}
    assert {setting["name"]: setting for setting in plugin["settings"]} == declared
    assert plugin["settings_group_validation"] == loader["settings_group_validation"]
    assert plugin["capabilities"] == sorted(loader["capabilities"])
