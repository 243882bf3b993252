"""The floor: the least work that a stream needs, without a target and without a ledger: decode, check, hash, send.

It reads a Singer stream from standard input and sends its addresses to list `1` of the API at argv[1], 10,000 at a
time. The measurements compare other programs with it.
"""

from __future__ import annotations

import http.client
import os
import re
import sys
from hashlib import sha256
from urllib.parse import urlsplit

import msgspec

_BATCH = 10_000
_BLOCK_BYTES = 1 << 20
_is_address = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[a-z0-9-]+\.)+[a-z0-9-]*[a-z-][a-z0-9-]*"
).fullmatch


class Row(msgspec.Struct, gc=False):
    """The columns that are used."""

    id: int
    email: str | None = None


class Record(msgspec.Struct, tag_field="type", tag="RECORD", gc=False):
    """A RECORD message."""

    record: Row


class Schema(msgspec.Struct, tag_field="type", tag="SCHEMA"):
    """A SCHEMA message."""


class State(msgspec.Struct, tag_field="type", tag="STATE"):
    """A STATE message."""


def main() -> None:
    """Send the whole stream."""
    url = urlsplit(sys.argv[1])
    connection = http.client.HTTPConnection(str(url.hostname), url.port)
    decode = msgspec.json.Decoder(Record | Schema | State).decode_lines
    waiting: list[str] = []
    rest = b""
    while block := os.read(0, _BLOCK_BYTES):
        cut = block.rfind(b"\n") + 1
        for message in decode(rest + block[:cut]):
            if type(message) is Record and message.record.email:
                address = message.record.email.strip().lower()
                if _is_address(address):
                    waiting.append(sha256(address.encode()).hexdigest())
        rest = block[cut:]
        while len(waiting) >= _BATCH:
            _send(connection, url.path, waiting[:_BATCH])
            del waiting[:_BATCH]
    if waiting:
        _send(connection, url.path, waiting)


def _send(connection: http.client.HTTPConnection, path: str, identities: list[str]) -> None:
    body = b'{"operation_type":"ADD","records":"' + ",".join(identities).encode() + b'"}'
    target = f"{path}/ad_accounts/549755885175/customer_lists/1"
    connection.request("PATCH", target, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    if answer.status != http.HTTPStatus.OK:
        sys.exit(f"The server answered {answer.status}.")


if __name__ == "__main__":
    main()
