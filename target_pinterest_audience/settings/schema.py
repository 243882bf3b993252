"""Declares settings as fields of dataclasses, and derives their JSON schema. Pure."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any, Final, cast

from msgspec import inspect

_DECLARED: Final = "setting"
"""The key in a field's metadata that makes the field a setting."""


def setting(
    title: str,
    description: str,
    *,
    default: object = None,
    between: tuple[int, int] | None = None,
    pattern: str | None = None,
    secret: bool = False,
) -> Any:  # noqa: ANN401 - the field may be of any type
    """Declare a field of a dataclass as a setting; the field's annotation is the setting's type.

    A setting without a default must be set, unless its type allows None or is an array or an object.

    Args:
        title: the label of the setting.
        description: what the setting does, in Markdown.
        default: the default as users would write it.
        between: the smallest and the largest number that are allowed.
        pattern: a regular expression that the text must match.
        secret: whether the value must never be shown.
    """
    declared: dict[str, object] = {"title": title, "description": description}
    if between is not None:
        declared["minimum"], declared["maximum"] = between
    if pattern is not None:
        declared["pattern"] = pattern
    if default is not None:
        declared["default"] = default.value if isinstance(default, Enum) else default
    if secret:
        declared |= {"secret": True, "writeOnly": True}
    return dataclasses.field(metadata={_DECLARED: declared})


def properties_of(kind: type[Any]) -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each setting that a dataclass declares, in order; nested dataclasses are flattened."""
    declared = {field.name: field.metadata.get(_DECLARED) for field in dataclasses.fields(kind)}
    properties: dict[str, dict[str, Any]] = {}
    for field in cast("inspect.DataclassType", inspect.type_info(kind)).fields:
        rules = declared[field.name]
        if rules is not None:
            type_rules = _rules_of(field.type)
            is_optional = "default" in rules or type_rules["type"] in (["array"], ["object"])
            if is_optional and "null" not in type_rules["type"]:
                type_rules["type"].append("null")
            properties[field.name] = {**type_rules, **rules}
        elif isinstance(field.type, inspect.DataclassType):
            properties |= properties_of(field.type.cls)
    return properties


def required(properties: dict[str, dict[str, Any]]) -> list[str]:
    """Return the settings that must be set."""
    return [name for name, rules in properties.items() if "null" not in rules["type"]]


def _rules_of(kind: inspect.Type) -> dict[str, Any]:
    """Return the JSON schema of a type that a setting may have."""
    if isinstance(kind, inspect.UnionType):
        (other,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
        rules = _rules_of(other)
        return {**rules, "type": [*rules["type"], "null"]}
    if isinstance(kind, inspect.BoolType):
        return {"type": ["boolean"]}
    if isinstance(kind, inspect.IntType):
        return {"type": ["integer"]}
    if isinstance(kind, inspect.EnumType):
        return {"type": ["string"], "enum": [member.value for member in kind.cls]}
    if isinstance(kind, (inspect.VarTupleType, inspect.FrozenSetType)):
        return {"type": ["array"], "items": {"type": ["string"]}}
    if isinstance(kind, inspect.DictType):
        return {"type": ["object"], "properties": {}, "additionalProperties": True}
    return {"type": ["string"]}
