"""Faults on demand: the ways in which a network, a gateway or Pinterest can fail a call."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from typing import Final, Literal

from target_pinterest_audience.emulator.json_types import JsonObject

_DEFAULT_STATUS: Final = 400

# The types of each field in JSON. Python's bool is an int, so `from_json` checks it separately.
_JSON_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "method": (str,),
    "path": (str,),
    "more_records_than": (int,),
    "more_bytes_than": (int,),
    "record_pattern": (str,),
    "field": (str,),
    "skip": (int,),
    "times": (int, type(None)),
    "when": (str,),
    "late_writes": (int,),
    "status": (int,),
    "headers": (dict,),
    "body": (dict, list, str),
    "reset": (bool,),
    "half_body": (bool,),
    "delay_ms": (int, float),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """The properties of a call that faults match.

    Attributes:
        method: the HTTP method.
        path: the path, `/v5` included, without the query.
        num_bytes: the length of the body.
        records: the identities in the body: of `records`, or of `records_v2` as `field:value`.
        fields: the names of the body's fields.
    """

    method: str
    path: str
    num_bytes: int = 0
    records: Sequence[str] = ()
    fields: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    r"""Which calls fail, and how.

    A fault applies to a call that meets all its conditions. Then exactly one of `status`, `reset`, `half_body` and
    `delay_ms` happens; if none of them is given, a fault with a condition on the body answers 400.

    Attributes:
        method: only calls of this HTTP method; None for any.
        path: a regular expression that the path (`/v5` included) must contain, e.g. `customer_lists/\d+$`.
        more_records_than: only batches with more records than this.
        more_bytes_than: only bodies with more bytes than this.
        record_pattern: only batches with a record that this regular expression matches somewhere.
        field: only bodies with a field of this name; `records_v2` makes Pinterest refuse phone numbers.
        skip: how many matching calls pass before the first one fails.
        times: how many calls fail; None for all from then on.
        when: `before`: the call fails and the change is never applied; `after`: the change is applied first; `late`:
            it is applied after the answer, like a request that a client gave up on while it was still in flight. A
            delay always lets the change through.
        late_writes: after how many further writes a `late` change is applied; `Backend.carry_out_late` does not wait.
        status: answer with this HTTP status.
        headers: headers of that answer; it has no rate-limit headers otherwise, because a gateway sends none.
        body: body of that answer: a string is sent as it is, anything else as JSON. By default it is an error body for
            the status; or, for a status below 400 after the change, the true answer.
        reset: reset the connection (TCP RST) instead of an answer.
        half_body: send half of the answer with the Content-Length of all of it, and close the connection.
        delay_ms: wait so many milliseconds, then go on.

    Raises:
        ValueError: the fields contradict each other or are out of bounds; the message names them.
    """

    method: str | None = None
    path: str = ""
    more_records_than: int | None = None
    more_bytes_than: int | None = None
    record_pattern: str | None = None
    field: str | None = None
    skip: int = 0
    times: int | None = 1
    when: Literal["before", "after", "late"] = "before"
    late_writes: int = 1
    status: int | None = None
    headers: Mapping[str, str] = dataclass_field(default_factory=dict)
    body: object = None
    reset: bool = False
    half_body: bool = False
    delay_ms: float = 0

    def __post_init__(self) -> None:
        """Check the fields now, so that an invalid fault fails at injection and not in the middle of a run."""
        by_batch = self.more_records_than, self.more_bytes_than, self.record_pattern, self.field
        effects = sum((self.status is not None, self.reset, self.half_body, self.delay_ms > 0))
        if effects == 0 and any(condition is not None for condition in by_batch):
            object.__setattr__(self, "status", _DEFAULT_STATUS)
        elif effects != 1:
            message = "a fault needs exactly one of status, reset, half_body and delay_ms"
            raise ValueError(message)
        if self.status is None and (self.headers or self.body is not None):
            message = "headers and body need a status"
            raise ValueError(message)
        if self.status is not None and not 200 <= self.status <= 599:  # noqa: PLR2004 - final answers of HTTP
            message = "status must be from 200 to 599"
            raise ValueError(message)
        if self.when not in {"before", "after", "late"}:
            message = "when must be before, after or late"
            raise ValueError(message)
        if self.late_writes < 1 or (self.late_writes != 1 and self.when != "late"):
            message = "late_writes must be at least 1, and needs when to be late"
            raise ValueError(message)
        if self.when == "late" and self.delay_ms > 0:
            message = "late needs status, reset or half_body"
            raise ValueError(message)
        if self.skip < 0 or (self.times is not None and self.times < 1):
            message = "skip must be at least 0, and times at least 1 or null"
            raise ValueError(message)
        try:
            re.compile(self.path)
            re.compile(self.record_pattern or "")
        except re.error as error:
            message = f"path and record_pattern must be regular expressions: {error}"
            raise ValueError(message) from None

    @classmethod
    def from_json(cls, values: JsonObject) -> Fault:
        """Return the fault that a JSON object describes; its keys are the attributes.

        Raises:
            ValueError: a key is unknown, a value has the wrong type, or the fault is invalid.
        """
        known = {each.name for each in fields(cls)}
        for name, value in values.items():
            if name not in known:
                message = f"{name} is not a field of a fault; the fields are {', '.join(sorted(known))}"
                raise ValueError(message)
            types = _JSON_TYPES[name]
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                message = f"{name} has the wrong type"
                raise ValueError(message)
        headers = values.get("headers", {})
        if isinstance(headers, dict):
            values = {**values, "headers": {str(name): str(value) for name, value in headers.items()}}
        return cls(**values)  # type: ignore[arg-type] # checked above, with a table that mypy cannot follow

    def matches(self, attempt: Attempt) -> bool:
        """Return whether a call meets every condition."""
        if self.method is not None and self.method.upper() != attempt.method:
            return False
        if not re.search(self.path, attempt.path):
            return False
        if self.more_bytes_than is not None and attempt.num_bytes <= self.more_bytes_than:
            return False
        if self.field is not None and self.field not in attempt.fields:
            return False
        if self.more_records_than is not None and len(attempt.records) <= self.more_records_than:
            return False
        return self.record_pattern is None or any(re.search(self.record_pattern, each) for each in attempt.records)


@dataclass(slots=True)
class _Injected:
    """A fault, and how many calls it has matched."""

    fault: Fault
    matched: int = 0


class FaultPlan:
    """The faults that have not happened yet, in the order of their injection."""

    def __init__(self) -> None:
        """Start without a fault."""
        self._injected: list[_Injected] = []

    def clear(self) -> None:
        """Delete the faults that have not happened yet."""
        self._injected.clear()

    def add(self, fault: Fault) -> None:
        """Add a fault at the end."""
        self._injected.append(_Injected(fault))

    def take(self, attempt: Attempt) -> Fault | None:
        """Return the fault that a call meets, if any, and count the call.

        Only the first fault that is due sees the call. So two faults on the same calls happen one after the other.
        """
        for injected in self._injected:
            fault = injected.fault
            if not fault.matches(attempt):
                continue
            injected.matched += 1
            if injected.matched <= fault.skip:
                continue
            if fault.times is not None and injected.matched >= fault.skip + fault.times:
                self._injected.remove(injected)
            return fault
        return None
