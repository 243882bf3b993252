"""Writes a Singer stream of invented customers to standard output.

Usage: stream.py FIRST COUNT STEP CHANGED_PERCENT LISTS COLUMN. If LISTS is not 0, the column `segment` names one of so
many lists, in turn. COLUMN is `email` or `phone`: what each customer has.
"""

from __future__ import annotations

import sys

_DOMAINS = ("example.com", "example.org", "mail.example.net", "example.co.uk")
_SCHEMA = (
    '{"type":"SCHEMA","stream":"customers","key_properties":["id"],"schema":{"type":"object","properties":{'
    '"id":{"type":["integer"]},"email":{"type":["string","null"]},"first_name":{"type":["string","null"]},'
    '"last_name":{"type":["string","null"]},"updated_at":{"type":["string","null"],"format":"date-time"}}}}\n'
)
_SCHEMA_WITH_LISTS = _SCHEMA.replace('"first_name":', '"segment":{"type":["string","null"]},"first_name":')


def identity(number: int, column: str, *, changed: bool) -> str:
    """Return the address or the phone number of a customer. One in fifty has blanks, and an address capitals."""
    if column == "phone":
        digits = f"{number + 500_000_000 * changed:09d}"
        return f"+49 1{digits[:3]} {digits[3:]}" if number % 50 == 0 else f"+491{digits}"
    email = f"{'new.' if changed else ''}customer.{number}@{_DOMAINS[number % 4]}"
    if number % 50 == 0:
        email = f" {email.upper()} "
    return email


def record(number: int, lists: int, column: str, *, changed: bool) -> str:
    """Return the line of one customer: about 240 bytes."""
    value = identity(number, column, changed=changed)
    segment = f'"segment":"segment {number % lists}",' if lists else ""
    return (
        f'{{"type":"RECORD","stream":"customers","record":{{"id":{number},"{column}":"{value}",{segment}'
        f'"first_name":"Alexandra","last_name":"Kowalski-{number % 9973}",'
        f'"updated_at":"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T{number % 24:02d}:{number % 60:02d}'
        ':00.000000+00:00"},"time_extracted":"2026-11-22T00:00:00.000000+00:00"}\n'
    )


def main() -> None:
    """Write `COUNT` customers: every `STEP`th from `FIRST` on, of whom `CHANGED_PERCENT` have a new address."""
    first, count, step, percent, lists = (int(argument) for argument in sys.argv[1:6])
    column = sys.argv[6]
    write = sys.stdout.write
    write((_SCHEMA_WITH_LISTS if lists else _SCHEMA).replace('"email"', f'"{column}"'))
    for index in range(count):
        write(record(first + index * step, lists, column, changed=index % 100 < percent))


if __name__ == "__main__":
    main()
