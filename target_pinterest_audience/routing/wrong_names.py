"""Wrong names: what is wrong with a name in the settings that a stream does not have. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, Final

from target_pinterest_audience.identities.types import plain_name
from target_pinterest_audience.records.paths import ELEMENTS, fields_of
from target_pinterest_audience.routing.nested_names import nested_names, told_type

_LIKENESS: Final = 0.8
"""How much of a misspelt name must be right, from 0 to 1."""


def alike(name: str, properties: Mapping[str, Any]) -> list[str]:
    """Return the columns and paths of a stream that differ from a name only in case, separators and brackets."""
    plain = _plain(name)
    return [each.text for each in nested_names(properties) if _plain(each.text) == plain and each.text != name]


def hint_about(name: str, properties: Mapping[str, Any]) -> str:
    """Return a sentence about what is wrong with a name that a stream does not have; empty if nothing is known.

    Args:
        name: the name of a column, or a path.
        properties: column → its JSON schema.
    """
    if name in properties:
        return ""
    near = alike(name, properties)
    if near and name.count(ELEMENTS) > near[0].count(ELEMENTS):
        return f" It has {near[0]}. The target does not take arrays in arrays apart: flatten them in the tap."
    if near:
        rule = "column names are case-sensitive" if near[0].lower() == name.lower() else "a name must be exact"
        return f" It has {near[0]}: {rule}."
    texts = [each.text for each in nested_names(properties) if not _bare(name).startswith(f"{_bare(each.text)}.")]
    close = difflib.get_close_matches(name, texts, 1, _LIKENESS)
    return f" It has {close[0]}, which may be meant." if close else _about_parent(name, properties)


def _about_parent(name: str, properties: Mapping[str, Any]) -> str:
    """Return a sentence about the column or path above a name, if the SCHEMA says that it holds no objects."""
    above = [each for each in nested_names(properties) if _bare(name).startswith(f"{_bare(each.text)}.")]
    if not above or fields_of(above[-1].schema) is not None:
        return ""
    parent = above[-1]
    return (
        f" {parent.text} is declared as {told_type(parent.schema)}, so {name} is not in it. The target does not parse "
        "JSON inside text: have the tap send an object, or extract the value in the tap or in a stream map."
    )


def is_meant(name: str, column: str) -> bool:
    """Return whether a name in the settings, which no stream has, was probably meant for a column or path."""
    if _plain(name) == _plain(column) or re.split(r"[.\[]", name)[0] == re.split(r"[.\[]", column)[0]:
        return True
    return bool(difflib.get_close_matches(name, [column], 1, _LIKENESS))


def _bare(name: str) -> str:
    """Return a path without brackets, whatever is in them: `emails[0].value` is `emails.value`."""
    return re.sub(r"\[[\d*]*\]", "", name)


def _plain(name: str) -> str:
    return plain_name(_bare(name))
