"""An invented table of customers, as a tap would send it: as messy as real data, and the same in every run."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Iterator
from typing import Any, Final

CUSTOMERS: Final = 2_000
STREAM: Final = "customers"

MOVED: Final = 1
"""The customer whose address changes the next day."""
NEW_ADDRESS: Final = "bjorn@example.org"
GONE: Final = 2
"""The customer who is deleted the next day."""

_FIRST: Final = ("Ada", "Björn", "Chloé", "Dmitri", "Emeka", "Fatima", "Grace", "Hiro", "Inés", "Jonas")
_LAST: Final = ("Adeyemi", "Berg", "Castro", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Jansen")
_DOMAINS: Final = ("example.com", "example.org", "mail.example.net")
_NULLABLE: Final = {"type": ["string", "null"]}
_BAD_ADDRESSES: Final = ("no address", "ada@localhost", "ada@@example.com", "ada,bob@example.com", '"Ada"@example.com')


def messages(*, next_day: bool = False) -> Iterator[str]:
    """Yield the Singer messages of the stream, one line each.

    Args:
        next_day: whether to yield the next day's stream, in which one customer has a new address and one is deleted. A
            deleted row has only its key, as from a tap that reads PostgreSQL's write-ahead log.
    """
    schema = {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "email": _NULLABLE,
            "idfa": _NULLABLE,
            "gaid": _NULLABLE,
            "phone": _NULLABLE,
            "updated_at": {**_NULLABLE, "format": "date-time"},
            "_sdc_deleted_at": {**_NULLABLE, "format": "date-time"},
        },
    }
    yield _line(type="SCHEMA", stream=STREAM, schema=schema, key_properties=["id"], bookmark_properties=["updated_at"])
    chance = random.Random(2026)  # noqa: S311 - the same customers at every run, nothing secret
    phones = random.Random(2027)  # noqa: S311 - likewise
    addresses: list[str] = []
    for number in range(1, CUSTOMERS + 1):
        record = _customer(number, addresses, chance, phones)
        if next_day and number == MOVED:
            record["email"] = NEW_ADDRESS
        if next_day and number == GONE:
            record = {"id": number, "_sdc_deleted_at": "2026-11-22T06:00:00+00:00"}
        yield _line(type="RECORD", stream=STREAM, record=record)
        if number % 500 == 0 and "updated_at" in record:
            bookmark = {"replication_key": "updated_at", "replication_key_value": record["updated_at"]}
            yield _line(type="STATE", value={"bookmarks": {STREAM: bookmark}})


def _line(**message: Any) -> str:  # noqa: ANN401 - any JSON value
    return json.dumps(message, ensure_ascii=False)


def _customer(number: int, addresses: list[str], chance: random.Random, phones: random.Random) -> dict[str, Any]:
    address = f"{chance.choice(_FIRST)}.{chance.choice(_LAST)}{number}@{chance.choice(_DOMAINS)}"
    if number % 40 == 0:
        # Some families share an address.
        address = addresses[-7]
    addresses.append(address)
    record: dict[str, Any] = {
        "id": number,
        "email": _email(address, chance),
        "idfa": _device(chance, upper=True),
        "gaid": _device(chance, upper=False),
        "phone": _phone(number, phones),
        "updated_at": f"2026-11-{1 + number * 20 // CUSTOMERS:02d}T{number % 24:02d}:{number % 60:02d}:00+00:00",
    }
    if number % 199 == 0:
        record["_sdc_deleted_at"] = "2026-11-21T06:00:00+00:00"
    return record


def _email(address: str, chance: random.Random) -> str | None:
    fate = chance.random()
    if fate < 0.05:
        return None
    if fate < 0.07:
        return chance.choice(_BAD_ADDRESSES)
    if fate < 0.15:
        return hashlib.sha256(address.lower().encode()).hexdigest()
    if fate < 0.25:
        return f" {address.upper()}\u00a0"
    return address


def _device(chance: random.Random, *, upper: bool) -> str | None:
    fate = chance.random()
    if fate < 0.7:
        return None
    if fate < 0.72:
        return str(uuid.UUID(int=0))
    identity = uuid.UUID(int=chance.getrandbits(128), version=4)
    if fate < 0.73:
        return identity.hex
    return str(identity).upper() if upper else str(identity)


def _phone(number: int, chance: random.Random) -> str | None:
    """Return a phone number of a range for fiction: +44 7700 900000 to 900999, or +1 ... 555 0100 to 0199."""
    fate = chance.random()
    if fate < 0.6:
        return None
    british, american = f"7700 900{number % 1000:03d}", f"{200 + number % 700}-555-01{number % 100:02d}"
    if fate < 0.62:
        # Without a country code, it could be a number of any country.
        return f"0{british}"
    if fate < 0.72:
        return f"0044 {british}"
    return f"+44 (0){british}" if fate < 0.8 else f"+1 {american}" if fate < 0.9 else f"+44{british.replace(' ', '')}"
