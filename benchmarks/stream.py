"""Writes a Singer stream of invented customers to standard output.

Usage: stream.py FIRST COUNT STEP CHANGED_PERCENT LISTS. If LISTS is not 0, the column `segment` names one of so many
lists, in turn.
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


def record(number: int, lists: int, *, changed: bool) -> str:
    """Return the line of one customer: about 240 bytes. One address in fifty has blanks and capitals."""
    email = f"{'new.' if changed else ''}customer.{number}@{_DOMAINS[number % 4]}"
    if number % 50 == 0:
        email = f" {email.upper()} "
    segment = f'"segment":"segment {number % lists}",' if lists else ""
    return (
        f'{{"type":"RECORD","stream":"customers","record":{{"id":{number},"email":"{email}",{segment}'
        f'"first_name":"Alexandra","last_name":"Kowalski-{number % 9973}",'
        f'"updated_at":"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T{number % 24:02d}:{number % 60:02d}'
        ':00.000000+00:00"},"time_extracted":"2026-11-22T00:00:00.000000+00:00"}\n'
    )


def main() -> None:
    """Write `COUNT` customers: every `STEP`th from `FIRST` on, of whom `CHANGED_PERCENT` have a new address."""
    first, count, step, percent, lists = (int(argument) for argument in sys.argv[1:])
    write = sys.stdout.write
    write(_SCHEMA_WITH_LISTS if lists else _SCHEMA)
    for index in range(count):
        write(record(first + index * step, lists, changed=index % 100 < percent))


if __name__ == "__main__":
    main()
