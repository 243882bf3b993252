"""Made-up customers, and what Pinterest must get of them: worked out in plain code, without the project's own."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

TABLE_SQL = """
CREATE TABLE {table} (
    id bigint PRIMARY KEY, email text, idfa text, gaid text, note text, updated_at timestamptz NOT NULL
)
"""

_ZERO = "00000000-0000-0000-0000-000000000000"
_DIGEST_LENGTH = 64
_EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)
_NOTES = ('a "quoted" \\ note', "Ünïcode \N{SNOWMAN}", "two\nlines", None)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Customer:
    """A row of the table.

    Attributes:
        row: column → value.
        addresses: what Pinterest must get of its e-mail address, if anything.
        device_ids: what Pinterest must get of its device ids.
    """

    row: Mapping[str, Any]
    addresses: frozenset[str]
    device_ids: frozenset[str]

    @property
    def identities(self) -> frozenset[str]:
        """What Pinterest must get of the row."""
        return self.addresses | self.device_ids

    @property
    def id(self) -> int:
        """The row's key."""
        return int(self.row["id"])

    @property
    def secrets(self) -> Iterator[str]:
        """The plain values, tidied and in lower case, that must never be seen outside."""
        values = (self.row[column] for column in ("email", "idfa", "gaid"))
        return (
            value.strip().lower() for value in values if value not in {None, _ZERO} and len(value) != _DIGEST_LENGTH
        )


def make_customers(first: int, last: int) -> list[Customer]:
    """Make the customers with the ids from first to last."""
    return [_make(number) for number in range(first, last + 1)]


def identities_of(customers: Iterable[Customer]) -> frozenset[str]:
    """Return what Pinterest must get of all of them together."""
    return frozenset().union(*(customer.identities for customer in customers))


def _make(number: int) -> Customer:
    email, email_identity = _email(number)
    device_identities = set()
    idfa = gaid = None
    if number % 40 == 0:
        # The person opted out of tracking, so this is nobody's id.
        idfa = _ZERO
    elif number % 4 == 0:
        idfa = _device_id("idfa", number).lower()
        device_identities.add(sha256(idfa.upper()))
    if number % 6 == 0:
        gaid = _device_id("gaid", number).upper()
        device_identities.add(sha256(gaid.lower()))
    row = {
        "id": number,
        "email": email,
        "idfa": idfa,
        "gaid": gaid,
        "note": _NOTES[number % len(_NOTES)],
        "updated_at": (_EPOCH + timedelta(seconds=number)).isoformat(),
    }
    return Customer(row, frozenset([email_identity] if email_identity else []), frozenset(device_identities))


def _email(number: int) -> tuple[str | None, str | None]:
    """Return an address as careless people type it, and what must be sent for it."""
    tidy = f"customer.{number}+news@mail-{number % 9}.example"
    if number % 100 == 17:
        return sha256(tidy).upper(), sha256(tidy)
    if number % 100 == 24:
        return f"customer {number} has none", None
    if number % 5 == 0:
        return None, None
    untidy = {
        1: f"  {tidy.title()} ",
        2: f"{tidy.upper()}\t",
        3: f"\n{tidy}\u00a0",
    }.get(number % 7, tidy)
    return untidy, sha256(untidy.strip().lower())


def _device_id(kind: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {number}"))
