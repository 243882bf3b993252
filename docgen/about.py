"""What the target and the project file say of themselves, and the folders of the documentation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

REPOSITORY: Final = Path(__file__).parents[1]
PAGES: Final = REPOSITORY / "docs"


def about() -> dict[str, Any]:
    """Return the output of `target-pinterest-audience --about`: settings with their types, capabilities, versions."""
    command = [sys.executable, "-m", "target_pinterest_audience", "--about", "--format", "json"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)  # noqa: S603 - our own program
    described: dict[str, Any] = json.loads(done.stdout)
    return described


def declared_utility() -> dict[str, Any]:
    """Return the utility as this repository's meltano.yml declares it."""
    project = yaml.safe_load((REPOSITORY / "meltano.yml").read_text(encoding="utf-8"))
    (found,) = project["plugins"]["utilities"]
    return dict(found)


def kind_of(schema: Mapping[str, Any]) -> str:
    """Return the type of a setting; it has exactly one besides null."""
    types = {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
    (kind,) = types - {"null"}
    return str(kind)


def choices_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the values that a setting may have; an empty list if any value is allowed."""
    return [str(choice) for choice in schema.get("enum", ()) if choice is not None]


def as_text(value: object) -> str:
    """Return a value as text outside JSON."""
    return value if isinstance(value, str) else json.dumps(value)
