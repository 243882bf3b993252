"""Whatever tells users of the settings says what the target itself says: meltano.yml, .env.example, the reference."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from tests.support.processes import environment

REPOSITORY = Path(__file__).parents[2]
PREFIX = "TARGET_PINTEREST_AUDIENCE_"


@pytest.fixture(scope="module")
def about() -> dict[str, Any]:
    """What the command says about itself, without a configuration."""
    command = [sys.executable, "-m", "target_pinterest_audience", "--about", "--format", "json"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, env=environment())
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.fixture(scope="module")
def settings(about: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Setting → JSON schema."""
    properties: dict[str, dict[str, Any]] = about["settings"]["properties"]
    assert "ad_account_id" in properties
    return properties


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """What meltano.yml says."""
    content: dict[str, Any] = yaml.safe_load((REPOSITORY / "meltano.yml").read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def loader(project: dict[str, Any]) -> dict[str, Any]:
    """The target as meltano.yml declares it."""
    (found,) = project["plugins"]["loaders"]
    declared: dict[str, Any] = found
    return declared


@pytest.fixture(scope="module")
def utility(project: dict[str, Any]) -> dict[str, Any]:
    """The companion as meltano.yml declares it."""
    (found,) = project["plugins"]["utilities"]
    declared: dict[str, Any] = found
    return declared


def test_meltano_yml_declares_every_setting_correctly(
    loader: dict[str, Any], settings: dict[str, dict[str, Any]]
) -> None:
    declared = {setting["name"]: setting for setting in loader["settings"]}
    assert len(declared) == len(loader["settings"])
    assert declared == {name: for_meltano(name, schema) for name, schema in settings.items()}


def test_meltano_accepts_the_plugin(loader: dict[str, Any], about: dict[str, Any]) -> None:
    assert loader["name"] == loader["executable"] == about["name"]
    assert loader["namespace"] == about["name"].replace("-", "_")
    assert sorted(loader["capabilities"]) == sorted(about["capabilities"])
    for group in loader["settings_group_validation"]:
        assert set(about["settings"]["required"]) <= set(group) <= about["settings"]["properties"].keys()


def test_meltano_yml_has_no_secrets(loader: dict[str, Any], utility: dict[str, Any]) -> None:
    for plugin in (loader, utility):
        assert "config" not in plugin
        assert not [each["name"] for each in plugin["settings"] if each.get("sensitive") and "value" in each]


def test_loader_and_utility_read_the_same_variables(loader: dict[str, Any], utility: dict[str, Any]) -> None:
    assert utility["namespace"] == loader["namespace"] == PREFIX.lower().rstrip("_")
    # A variable of its own would take a setting away from those that both obey.
    assert not [each["name"] for plugin in (loader, utility) for each in plugin["settings"] if "env" in each]


def test_the_utility_declares_secrets_and_objects_and_no_default(
    utility: dict[str, Any], settings: dict[str, dict[str, Any]]
) -> None:
    # Undeclared ones pass as they are. An object without a kind would come in pieces, unlike the loader's.
    expected = [
        {"name": name, "kind": kind_of(schema), "label": schema["title"]}
        | ({"sensitive": True} if schema.get("secret") else {})
        for name, schema in settings.items()
        if schema.get("secret") or kind_of(schema) == "object"
    ]
    assert utility["settings"] == expected


def test_meltano_yml_has_a_job_that_prunes_after_the_loader(
    project: dict[str, Any], loader: dict[str, Any], utility: dict[str, Any]
) -> None:
    (job,) = project["jobs"]
    assert job["tasks"] == [f"tap-postgres {loader['name']} {utility['name']}:prune"]
    assert utility["commands"]["prune"]["args"] == "prune"


def test_the_example_environment_has_every_setting(settings: dict[str, dict[str, Any]]) -> None:
    text = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
    assert not [line for line in text.splitlines() if line and not line.startswith("#")]
    assigned = re.findall(rf"^# ({PREFIX}\w+)=", text, re.MULTILINE)
    assert sorted(assigned) == sorted(PREFIX + name.upper() for name in settings)

    values = dotenv_values(stream=io.StringIO(re.sub(rf"^# ({PREFIX})", r"\1", text, flags=re.MULTILINE)))
    for name, schema in settings.items():
        value = values[PREFIX + name.upper()]
        assert value, name
        if "default" in schema:
            assert value == as_text(schema["default"]), name
        else:
            assert fits(value, schema), name


def test_the_reference_lists_every_setting(settings: dict[str, dict[str, Any]], about: dict[str, Any]) -> None:
    rows = reference_table()
    assert sorted(rows) == sorted(settings)
    required = about["settings"]["required"]
    expected = {
        name: "required" if name in required else f"`{as_text(schema['default'])}`" if "default" in schema else ""
        for name, schema in settings.items()
    }
    assert rows == expected


def for_meltano(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return how Meltano must know a setting."""
    setting = {"name": name, "label": schema["title"], "description": schema["description"]}
    if "enum" in schema:
        setting["kind"] = "options"
        setting["options"] = [{"value": choice, "label": choice} for choice in schema["enum"] if choice is not None]
    elif kind_of(schema) != "object":
        # Of an object declared as one, Meltano silently drops keys that hold dots when they come from the environment.
        setting["kind"] = kind_of(schema)
    if "default" in schema:
        setting["value"] = schema["default"]
    if schema.get("secret"):
        setting["sensitive"] = True
    return setting


def kind_of(schema: Mapping[str, Any]) -> str:
    """Return the one type that a setting has besides null."""
    (kind,) = {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"]) - {"null"}
    assert kind in {"array", "boolean", "integer", "object", "string"}
    return str(kind)


def as_text(value: object) -> str:
    """Return a value as it is written outside JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def fits(text: str, schema: Mapping[str, Any]) -> bool:
    """Tell whether an example could be a value of the setting."""
    kind = kind_of(schema)
    if kind == "object":
        return isinstance(json.loads(text), dict)
    if kind == "array":
        return isinstance(json.loads(text), list)
    if kind == "boolean":
        return text in {"true", "false"}
    if kind == "integer":
        return text.isdecimal()
    return re.search(schema.get("pattern", ""), text) is not None


def reference_table() -> dict[str, str]:
    """Return setting → default from the table at the top of the reference."""
    text = (REPOSITORY / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    section = re.search(r"^## At a glance\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section is not None
    rows = re.findall(r"^\| \[`(\w+)`\]\(#\1\) \|([^|]*)\|", section[1], re.MULTILINE)
    assert len(dict(rows)) == len(rows)
    return {name: default.strip() for name, default in rows}
