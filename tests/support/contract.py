"""Hold calls against what Pinterest's API description allows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from jsonschema import Draft202012Validator

from target_pinterest_audience.emulator import Call
from tests.support import api_schemas

_FIRST_ERROR_STATUS = 400


def assert_contract(calls: Iterable[Call]) -> None:
    """Fail unless every call is one that Pinterest's API knows, and every answer one that it could give.

    An answer that an injected fault made up is not looked at; the request that met it is.

    Args:
        calls: e.g. `emulator.backend.calls`.

    Raises:
        AssertionError: says of each violation where it is and which rule it breaks, never the value.
    """
    violations = [violation for number, call in enumerate(calls, 1) for violation in _violations(number, call)]
    assert not violations, "\n".join(violations)


def _violations(number: int, call: Call) -> Iterator[str]:
    place = f"call {number}, {call.method} {call.path}"
    found = _operation(call)
    if found is None:
        yield f"{place}: the API description knows no such operation"
        return
    query, request, success = found
    yield from _compare(f"{place}, query", query, call.query)
    if request is not None or call.request is not None:
        yield from _compare(f"{place}, request", request or {"type": "null"}, call.request)
    if call.status is not None and not _made_up(call):
        answer = success if call.status < _FIRST_ERROR_STATUS else api_schemas.ERROR
        yield from _compare(f"{place}, answer {call.status}", answer, call.response)


def _operation(call: Call) -> tuple[api_schemas.Schema, api_schemas.Schema | None, api_schemas.Schema] | None:
    for method, path, query, request, success in api_schemas.OPERATIONS:
        if call.method == method and re.fullmatch(path, call.path):
            return query, request, success
    return None


def _made_up(call: Call) -> bool:
    """Tell whether the answer is a fault's: one that only delays leaves the answer as it is."""
    return call.fault is not None and not call.fault.delay_ms


def _compare(place: str, schema: api_schemas.Schema, value: object) -> Iterator[str]:
    for error in Draft202012Validator(schema).iter_errors(value):
        # Its own message would quote the value, and with it the records.
        field = ".".join(str(part) for part in error.absolute_path) or "the whole"
        yield f"{place}: {field} breaks {error.validator!r}: {error.validator_value!r}"
