"""Singer messages, and what Pinterest should get for a value, worked out without the project's own code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any


def schema(*columns: str, stream: str = "customers", key: Sequence[str] = ("id",), **extra: Any) -> dict[str, Any]:
    properties: dict[str, Any] = {name: {"type": ["string", "null"]} for name in columns}
    properties["id"] = {"type": ["integer", "null"]}
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties},
        "key_properties": list(key),
        **extra,
    }


def record(stream: str = "customers", **values: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": values}


def deleted(number: int, stream: str = "customers", **values: Any) -> dict[str, Any]:
    """What a tap sends for a deleted row: its key, and perhaps more."""
    return record(stream, id=number, _sdc_deleted_at="2026-11-21T00:00:00Z", **values)


def state(value: Any) -> dict[str, Any]:
    return {"type": "STATE", "value": {"bookmarks": {"at": value}}}


def people(numbers: Iterable[int], stream: str = "customers") -> list[dict[str, Any]]:
    return [record(stream, id=n, email=address(n)) for n in numbers]


def address(number: int) -> str:
    return f"person{number}@example.com"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def digests(numbers: Iterable[int]) -> frozenset[str]:
    return frozenset(sha256(address(n)) for n in numbers)


def is_held_out(identity: str, percent: int, salt: str) -> bool:
    """Return whether a hold-out chooses the person with an identity, as Pinterest would get it."""
    return int(sha256(f"{salt}:{identity}")[:8], 16) % 100 < percent
