"""The settings that singer-sdk adds to ours, and what it requires of their values. Pure.

The SDK could be asked for them, but importing it takes longer than anything that the companion does. The tests compare
the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_FLAG: Final = {"type": ["boolean", "null"]}
_NUMBER: Final = {"type": ["integer", "null"]}
_TEXT: Final = {"type": ["string", "null"]}
_DROPPED: Final = {"const": "__NULL__"}
"""How a stream or a column is taken out."""
_REST: Final = {"anyOf": [_DROPPED, {"type": "null"}]}
"""What happens to streams or columns that are not named."""

_STREAM_MAP: Final = {
    "anyOf": [
        _DROPPED,
        {"type": "null"},
        {
            "type": "object",
            "properties": {
                "__alias__": _TEXT,
                "__else__": _REST,
                "__filter__": _TEXT,
                "__key_properties__": {"type": ["array", "null"], "items": {"type": ["string"]}},
                "__source__": _TEXT,
            },
            "additionalProperties": {"anyOf": [_DROPPED, {"type": "null"}, {"type": ["string"]}]},
        },
    ]
}

_FAKER: Final = {
    "seed": {"oneOf": [{"type": ["number"]}, {"type": ["string"]}, {"type": ["boolean"]}, {"type": "null"}]},
    "locale": {
        "oneOf": [{"type": ["string"]}, {"type": "array", "items": {"type": ["string"]}}, {"type": "null"}],
    },
}

SDK_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "add_record_metadata": _FLAG,
    "batch_size_rows": _NUMBER,
    "load_method": {**_TEXT, "default": "append-only", "enum": ["append-only", "upsert", "overwrite"]},
    "validate_records": {**_FLAG, "default": True},
    "stream_maps": {
        "type": ["object", "null"],
        "properties": {"__else__": _REST},
        "additionalProperties": _STREAM_MAP,
    },
    "stream_map_config": {"type": ["object", "null"], "properties": {}, "additionalProperties": True},
    "faker_config": {"type": ["object", "null"], "properties": _FAKER, "additionalProperties": True},
    "flattening_enabled": _FLAG,
    "flattening_max_depth": _NUMBER,
    "flattening_max_key_length": _NUMBER,
    "flattening_separator": _TEXT,
}
"""Setting → its JSON schema. What we declare under the same name replaces it."""


def with_sdk_settings(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of all settings, given that of ours."""
    return {**own, "properties": {**SDK_SETTINGS, **own["properties"]}}
