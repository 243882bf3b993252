"""The reference of `--json`: a page for people, and the schemas for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from docgen.json_words import SHAPES, VOCABULARY, Schema, Shape

SCHEMAS: Final = "json-output.schema.json"
"""The name of the file with the schemas, beside the page."""

_INTRODUCTION: Final = f"""\
# JSON output

<!-- Written by `python -m docgen` from docgen/json_words.py; change it there. -->

For programs that call `pinterest-audience`. With `--json`, a command prints one JSON document on standard output.
Warnings and errors go to standard error, and the [exit code](../guides/troubleshooting.md#exit-codes) shows whether the
command succeeded: check it first.

All commands share one vocabulary: a word means the same wherever it stands. Words are in snake_case, ids are texts,
times are in ISO 8601 in UTC, and null stands for what is not known. Later versions may add words, but only a new major
version changes or removes one.

[{SCHEMAS}]({SCHEMAS}) has a JSON schema (draft 2020-12) for each command, under `$defs`.

```sh
pinterest-audience status --json | jq -r '.lists[] | select(.problem) | "\\(.name): \\(.problem)"'
```

## Commands

Each shows the words that it prints: `[{{ }}]` is an array of objects, `?` marks what may be null, and `~` what may be
missing.
"""

_VOCABULARY: Final = """\
## Vocabulary

| word | type | meaning |
|---|---|---|
"""


def json_page() -> str:
    """Return the page."""
    commands = (
        f"### {', '.join(f'`{name}`' for name in names)}\n\n```text\n{drawn}\n```\n"
        for drawn, names in _by_shape().items()
    )
    words = (f"| `{name}` | {word.kind} | {word.meaning} |" for name, word in sorted(VOCABULARY.items()))
    return "\n".join([_INTRODUCTION, *commands, _VOCABULARY.rstrip("\n"), *words, ""])


def _by_shape() -> dict[str, list[str]]:
    """Return what is printed, drawn for people → the commands that print it."""
    found: dict[str, list[str]] = {}
    for name, shape in SHAPES.items():
        found.setdefault(_drawn(shape), []).append(name)
    return found


def json_schemas() -> str:
    """Return the file with the schemas."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What the commands of pinterest-audience print with --json",
        "$defs": {name: schema_of(shape) for name, shape in SHAPES.items()},
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def schema_of(shape: Shape, *, strict: bool = False) -> Schema:
    """Return the JSON schema of what a command prints.

    Args:
        shape: what it prints.
        strict: whether other words are errors. Programs must allow them, because later versions may add some.
    """
    properties: dict[str, Schema] = {}
    required = []
    for written in shape.words.split():
        name = written.rstrip("?~")
        word = VOCABULARY[name]
        schema = {**word.schema, "description": word.meaning}
        properties[name] = _nullable(schema) if written.endswith("?") else schema
        if not written.endswith("~"):
            required.append(name)
    for name, below in shape.nested.items():
        properties[name] = schema_of(below, strict=strict)
        required.append(name)
    found: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": required,
    }
    if strict:
        found["additionalProperties"] = False
    if shape.is_array:
        found = {"type": "array", "items": found}
    return _nullable(found) if shape.may_be_null else found


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _drawn(shape: Shape, indent: str = "") -> str:
    """Return a shape for people."""
    begin, end = ("[{", "}]") if shape.is_array else ("{", "}")
    inside = indent + "  "
    lines = [*_wrapped(shape.words.split(), inside)]
    for name, below in shape.nested.items():
        lines.append(f"{inside}{name}: {_drawn(below, inside)}")
    return "\n".join([begin, *lines, f"{indent}{end}{'?' if shape.may_be_null else ''}"])


def _wrapped(words: list[str], indent: str) -> Iterator[str]:
    """Yield the words in lines that fit into the page."""
    line = indent
    for word in words:
        if len(line) + len(word) > 76:  # noqa: PLR2004 - what fits into a page
            yield line.rstrip()
            line = indent
        line += f"{word} "
    yield line.rstrip()
