"""Writes a Singer stream of invented customers to standard output: stream.py FIRST COUNT STEP CHANGED_PERCENT."""

from __future__ import annotations

import sys

_DOMAINS = ("example.com", "example.org", "mail.example.net", "example.co.uk")
_SCHEMA = (
    '{"type":"SCHEMA","stream":"customers","key_properties":["id"],"schema":{"type":"object","properties":{'
    '"id":{"type":["integer"]},"email":{"type":["string","null"]},"first_name":{"type":["string","null"]},'
    '"last_name":{"type":["string","null"]},"updated_at":{"type":["string","null"],"format":"date-time"}}}}\n'
)


def record(number: int, *, changed: bool) -> str:
    """Return the line of one customer: some 240 bytes; one address in fifty has blanks and capitals."""
    email = f"{'new.' if changed else ''}customer.{number}@{_DOMAINS[number % 4]}"
    if number % 50 == 0:
        email = f" {email.upper()} "
    return (
        f'{{"type":"RECORD","stream":"customers","record":{{"id":{number},"email":"{email}","first_name":"Alexandra",'
        f'"last_name":"Kowalski-{number % 9973}","updated_at":"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T'
        f'{number % 24:02d}:{number % 60:02d}:00.000000+00:00"}},'
        '"time_extracted":"2026-11-22T00:00:00.000000+00:00"}\n'
    )


def main() -> None:
    """Write `COUNT` customers, every `STEP`th from `FIRST` on; of each hundred, so many percent have a new address."""
    first, count, step, percent = (int(argument) for argument in sys.argv[1:])
    write = sys.stdout.write
    write(_SCHEMA)
    for index in range(count):
        write(record(first + index * step, changed=index % 100 < percent))


if __name__ == "__main__":
    main()
