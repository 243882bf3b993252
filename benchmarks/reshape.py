"""Changes the shape of the records of a stream: reshape.py object|array|wide|long < STREAM.

`object` makes one object of the address and the names, and `array` makes an array of one object with the address.
`wide` adds columns until there are 64, and `long` adds a text until a record has about 2 kB.
"""

from __future__ import annotations

import json
import sys
from typing import Any

_COLUMNS = 64
_LONG_TEXT = "lorem ipsum dolor sit amet, " * 65
_TYPES = {"type": ["object", "array", "string", "integer", "null"]}


def reshape(record: dict[str, Any], shape: str) -> dict[str, Any]:
    """Return a record in another shape."""
    if shape == "wide":
        others = range(_COLUMNS - len(record))
        return {**record, **{f"column_{number}": f"value {number}" if number % 3 else number for number in others}}
    if shape == "long":
        return {**record, "notes": _LONG_TEXT}
    inner = {name: record.pop(name) for name in ("email", "first_name", "last_name")}
    if shape == "object":
        return {**record, "customer": inner}
    return {**record, "emails": [{"value": inner.pop("email"), **inner}]}


def main() -> None:
    """Write the stream with its records in another shape."""
    shape = sys.argv[1]
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "SCHEMA":
            properties = message["schema"]["properties"]
            changed = reshape(dict(properties), shape)
            message["schema"]["properties"] = {name: properties.get(name, _TYPES) for name in changed}
        else:
            message["record"] = reshape(message["record"], shape)
        sys.stdout.write(json.dumps(message, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
