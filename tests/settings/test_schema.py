"""A setting is declared in one place: the JSON schema and the typed value come from its field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from singer_sdk.target_base import Target

from target_pinterest_audience.settings import config_jsonschema, resolve
from target_pinterest_audience.settings.schema import properties_of, required, setting
from target_pinterest_audience.settings.sdk_settings import SDK_SETTINGS
from target_pinterest_audience.singer.target import TargetPinterestAudience

# ruff: noqa: RUF009 - `setting` makes a field, as `dataclasses.field` does


class Colour(str, Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    words: tuple[str, ...] = setting("Words", "Some words.")
    derived: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    name: str = setting("Name", "A name.", pattern="^a")
    inner: Inner
    token: str | None = setting("Token", "A token.", secret=True)
    file: Path | None = setting("File", "A file.")
    size: int = setting("Size", "A size.", between=(1, 9), default=3)
    loud: bool = setting("Loud", "Whether it is loud.", default=False)
    colour: Colour = setting("Colour", "A colour.", default=Colour.BLUE)
    tags: Mapping[str, Any] = setting("Tags", "Some tags.")
    derived: float


def test_a_field_gives_the_whole_schema_of_its_setting() -> None:
    properties = properties_of(Outer)
    assert {name: rules.pop("title").lower() for name, rules in properties.items()} == {
        name: name for name in properties
    }
    assert all(rules.pop("description") for rules in properties.values())
    assert properties == {
        "name": {"type": ["string"], "pattern": "^a"},
        "words": {"type": ["array", "null"], "items": {"type": ["string"]}},
        "token": {"type": ["string", "null"], "secret": True, "writeOnly": True},
        "file": {"type": ["string", "null"]},
        "size": {"type": ["integer", "null"], "minimum": 1, "maximum": 9, "default": 3},
        "loud": {"type": ["boolean", "null"], "default": False},
        "colour": {"type": ["string", "null"], "enum": ["red", "blue"], "default": "blue"},
        "tags": {"type": ["object", "null"], "properties": {}, "additionalProperties": True},
    }
    assert list(properties) == ["name", "words", "token", "file", "size", "loud", "colour", "tags"]
    assert required(properties) == ["name"]


def test_a_field_reads_its_value() -> None:
    inner = Inner(words=("a",))
    values = {"name": "a", "inner": inner, "token": None, "file": None, "size": 3, "loud": True, "colour": "red"}
    read = msgspec.convert({**values, "tags": {"x": 1}, "derived": 0.5}, Outer)
    assert (read.colour, read.inner, read.tags) == (Colour.RED, inner, {"x": 1})


def test_the_schema_is_a_new_object_each_time() -> None:
    config_jsonschema()["properties"]["ad_account_id"]["title"] = "changed"
    assert config_jsonschema()["properties"]["ad_account_id"]["title"] == "Ad account id"


@pytest.mark.parametrize(
    "name", [name for name, rules in config_jsonschema()["properties"].items() if rules.get("secret")]
)
def test_the_value_of_each_secret_setting_is_redacted(name: str) -> None:
    values = {"ledger_url": "postgresql://user:s3cr3t@host/database", "notify_urls": ["s3cr3t"]}
    settings, _ = resolve({"ad_account_id": "1", "access_token": "t", name: values.get(name, "s3cr3t")}, {})
    assert "s3cr3t" in settings.secrets


def rules(schema: Any) -> Any:
    """The rules of a JSON schema, without titles, descriptions and what is no schema."""
    if isinstance(schema, list):
        return [rules(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    words = {name for name in ("title", "description") if isinstance(schema.get(name), str)}
    kept = {name: rules(each) for name, each in schema.items() if name not in words}
    if "anyOf" in kept:
        # singer-sdk 0.54 has the bare text "null" among its schemas.
        kept = {"anyOf": [each for each in kept["anyOf"] if isinstance(each, dict)]}
    return kept


def test_the_settings_that_the_sdk_adds_are_those_that_we_check() -> None:
    class OnlySdk(Target):
        name = "target-pinterest-audience"
        capabilities = TargetPinterestAudience.capabilities

    added: dict[str, Any] = {"properties": {}}
    OnlySdk.append_builtin_config(added)
    assert rules(SDK_SETTINGS) == rules(added["properties"])
