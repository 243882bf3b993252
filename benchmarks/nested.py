"""Moves the addresses of a stream into objects or arrays: nested.py object|array < STREAM.

`object` makes one object of the address and the names, and `array` makes an array of one object with the address.
"""

from __future__ import annotations

import json
import sys

_OBJECT = {"type": ["object", "null"]}
_ARRAY = {"type": ["array", "null"]}


def main() -> None:
    """Write the stream with the column `customer` or `emails` in place of `email` and the names."""
    shape = sys.argv[1]
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "SCHEMA":
            properties = message["schema"]["properties"]
            for name in ("email", "first_name", "last_name"):
                del properties[name]
            properties |= {"customer": _OBJECT} if shape == "object" else {"emails": _ARRAY}
        else:
            record = message["record"]
            email, first, last = (record.pop(name) for name in ("email", "first_name", "last_name"))
            if shape == "object":
                record["customer"] = {"email": email, "first_name": first, "last_name": last}
            else:
                record["emails"] = [{"value": email, "first_name": first, "last_name": last}]
        sys.stdout.write(json.dumps(message, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
