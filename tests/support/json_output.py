"""What commands print with `--json`, compared with the schemas in the documentation."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Final

from jsonschema import Draft202012Validator

from docgen.json_page import schema_of
from docgen.json_words import SHAPES

_OPTIONS: Final = ("--also", "--email", "--print", "--rows", "--test")
"""The options that change what a command prints."""


def name_of(arguments: Sequence[str]) -> str:
    """The name of a command in the documentation, from its arguments."""
    words = [*arguments[:1], *(each for each in arguments[1:2] if not each.startswith("-"))]
    name = " ".join(words) if " ".join(words) in SHAPES else words[0]
    options = [each.partition("=")[0] for each in arguments]
    return " ".join([name, *(each for each in _OPTIONS if each in options and f"{name} {each}" in SHAPES)])


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schema_of(SHAPES[name], strict=True))


def assert_valid(arguments: Sequence[str], printed: bytes | str) -> str:
    """Compare what a command printed with its schema, and return its name in the documentation."""
    name = name_of(arguments)
    errors = [f"{error.json_path}: {error.message}" for error in _validator(name).iter_errors(json.loads(printed))]
    assert errors == [], name
    return name
