"""Parses JSON text and refuses repeated names: the standard parser would silently keep only the last one."""

from __future__ import annotations

import json
from typing import Any


class RepeatedNameError(ValueError):
    """A name occurs twice in one JSON object.

    Attributes:
        name: the name.
    """

    def __init__(self, name: str) -> None:
        """Keep the name."""
        super().__init__(f"The name {name} occurs twice in one object.")
        self.name = name


def read_json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse JSON text.

    Raises:
        JSONDecodeError: the text is not JSON.
        RepeatedNameError: a name occurs twice in one object.
        RecursionError: the text is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise RepeatedNameError(next(name for name in names if names.count(name) > 1))
    return result
