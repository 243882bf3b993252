"""The type of a JSON object, for annotations."""

from __future__ import annotations

from typing import TypeAlias

JsonObject: TypeAlias = "dict[str, object]"
