"""Writes a Singer stream of invented customers to standard output.

Usage: stream.py FIRST COUNT STEP CHANGED_PERCENT LISTS COLUMNS [KEYS STATES]. If LISTS is not 0, the column `segment`
names one of so many lists, in turn. COLUMNS is what each customer has: `email`, `phone`, `idfa` and `gaid`, with commas
between them. KEYS is `integer`, unless it is `uuid`. After each STATES customers there is a STATE with their number.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_DOMAINS = ("example.com", "example.org", "mail.example.net", "example.co.uk")
_SCHEMA = (
    '{"type":"SCHEMA","stream":"customers","key_properties":["id"],"schema":{"type":"object","properties":{'
    '"id":{"type":["integer"]},"email":{"type":["string","null"]},"first_name":{"type":["string","null"]},'
    '"last_name":{"type":["string","null"]},"updated_at":{"type":["string","null"],"format":"date-time"}}}}\n'
)
_TEXT = '{"type":["string","null"]}'
_EMAIL = f'"email":{_TEXT}'
_SCHEMA_WITH_LISTS = _SCHEMA.replace('"first_name":', '"segment":{"type":["string","null"]},"first_name":')


def identity(number: int, column: str, *, changed: bool) -> str:
    """Return what a customer has in a column. One in fifty has blanks, and an address capitals."""
    if column in {"idfa", "gaid"}:
        # Spread over all ids, as random ones are.
        spread = (number + 500_000_000 * changed) * 0x9E3779B97F4A7C15 % 2**64
        device = f"{spread >> 32:08x}-{spread >> 16 & 0xFFFF:04x}-4{spread & 0xFFF:03x}-8000-{number:012x}"
        return device.upper() if column == "idfa" else device
    if column == "phone":
        digits = f"{number + 500_000_000 * changed:09d}"
        return f"+49 1{digits[:3]} {digits[3:]}" if number % 50 == 0 else f"+491{digits}"
    email = f"{'new.' if changed else ''}customer.{number}@{_DOMAINS[number % 4]}"
    if number % 50 == 0:
        email = f" {email.upper()} "
    return email


def key(number: int, keys: str) -> str:
    """Return the key of a customer, as JSON."""
    if keys == "integer":
        return str(number)
    spread = f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"
    return f'"{spread[:8]}-{spread[8:12]}-{spread[12:16]}-{spread[16:20]}-{spread[20:]}"'


def record(number: int, lists: int, columns: Sequence[str], keys: str, *, changed: bool) -> str:
    """Return the line of one customer: about 240 bytes with one column."""
    values = "".join(f'"{column}":"{identity(number, column, changed=changed)}",' for column in columns)
    segment = f'"segment":"segment {number % lists}",' if lists else ""
    return (
        f'{{"type":"RECORD","stream":"customers","record":{{"id":{key(number, keys)},{values}{segment}'
        f'"first_name":"Alexandra","last_name":"Kowalski-{number % 9973}",'
        f'"updated_at":"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T{number % 24:02d}:{number % 60:02d}'
        ':00.000000+00:00"},"time_extracted":"2026-11-22T00:00:00.000000+00:00"}\n'
    )


def main() -> None:
    """Write `COUNT` customers: every `STEP`th from `FIRST` on, of whom `CHANGED_PERCENT` have a new address."""
    first, count, step, percent, lists = (int(argument) for argument in sys.argv[1:6])
    columns = sys.argv[6].split(",")
    keys, states = (sys.argv[7], int(sys.argv[8])) if len(sys.argv) > 7 else ("integer", 0)  # noqa: PLR2004 - the usage
    write = sys.stdout.write
    declared = ",".join(f'"{column}":{_TEXT}' for column in columns)
    schema = (_SCHEMA_WITH_LISTS if lists else _SCHEMA).replace(_EMAIL, declared)
    write(schema if keys == "integer" else schema.replace("integer", "string"))
    for index in range(count):
        write(record(first + index * step, lists, columns, keys, changed=index % 100 < percent))
        if states and (index + 1) % states == 0:
            write(f'{{"type":"STATE","value":{{"rows":{index + 1}}}}}\n')


if __name__ == "__main__":
    main()
