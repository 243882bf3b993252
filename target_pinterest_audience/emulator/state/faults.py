"""Faults on demand: what a network, a gateway or Pinterest may do to a call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final, Literal

from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.state.validation import split_records

_DEFAULT_STATUS: Final = 400

# The types that a field may have when it comes as JSON; bool is an int to Python, so it is looked at on its own.
_JSON_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "method": (str,),
    "path": (str,),
    "more_records_than": (int,),
    "more_bytes_than": (int,),
    "record_pattern": (str,),
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
    """What a fault can look at in a call.

    Attributes:
        method: the HTTP method.
        path: the path, `/v5` included, without the query.
        num_bytes: the length of the body.
        records: the `records` of the body, comma-separated; None when it has none.
    """

    method: str
    path: str
    num_bytes: int = 0
    records: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    r"""Which calls go wrong, and how.

    A call is met when every condition holds. Then exactly one of `status`, `reset`, `half_body` and `delay_ms`
    happens; with none of them given, a fault that looks at records or bytes answers 400.

    Attributes:
        method: only calls of this HTTP method; None for any.
        path: a regular expression that the path (`/v5` included) must contain, e.g. `customer_lists/\d+$`.
        more_records_than: only batches of more records than this.
        more_bytes_than: only bodies of more bytes than this.
        record_pattern: only batches with a record that contains this regular expression.
        skip: so many calls pass before the first is met.
        times: so many calls are met; None for all from then on.
        when: `before` the change is applied, which then never is, or `after`; or `late`: it is applied after the
            answer, as a request that was given up and was still on its way. A delay lets the change through in any
            case.
        late_writes: after how many further changes a `late` one is applied; `Backend.carry_out_late` does not wait.
        status: answer with this HTTP status.
        headers: with these headers; the usual rate-limit headers are left out, since a gateway has none.
        body: and this body: a string is sent as it is, anything else as JSON. Left out, it is an error body of the
            status, or, below 400 and after the change, the true answer.
        reset: reset the connection (TCP RST) instead of an answer.
        half_body: send half of the answer under a Content-Length for all of it, and close.
        delay_ms: wait so many milliseconds, then go on.

    Raises:
        ValueError: what is given makes no sense; the message says what.
    """

    method: str | None = None
    path: str = ""
    more_records_than: int | None = None
    more_bytes_than: int | None = None
    record_pattern: str | None = None
    skip: int = 0
    times: int | None = 1
    when: Literal["before", "after", "late"] = "before"
    late_writes: int = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    reset: bool = False
    half_body: bool = False
    delay_ms: float = 0

    def __post_init__(self) -> None:
        """Refuse what makes no sense, at injection and not in the middle of a run."""
        by_batch = self.more_records_than, self.more_bytes_than, self.record_pattern
        effects = sum((self.status is not None, self.reset, self.half_body, self.delay_ms > 0))
        if effects == 0 and any(condition is not None for condition in by_batch):
            object.__setattr__(self, "status", _DEFAULT_STATUS)
        elif effects != 1:
            message = "a fault needs exactly one of status, reset, half_body and delay_ms"
            raise ValueError(message)
        if self.status is None and (self.headers or self.body is not None):
            message = "headers and body go with a status"
            raise ValueError(message)
        if self.status is not None and not 200 <= self.status <= 599:  # noqa: PLR2004 - final answers of HTTP
            message = "status must be from 200 to 599"
            raise ValueError(message)
        if self.when not in {"before", "after", "late"}:
            message = "when must be before, after or late"
            raise ValueError(message)
        if self.late_writes < 1 or (self.late_writes != 1 and self.when != "late"):
            message = "late_writes must be at least 1, and goes with late"
            raise ValueError(message)
        if self.when == "late" and self.delay_ms > 0:
            message = "late goes with status, reset or half_body"
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
        """Return the fault that a JSON object describes, its keys being the attributes.

        Raises:
            ValueError: an unknown key, a value of the wrong type, or what makes no sense.
        """
        known = {each.name for each in fields(cls)}
        for name, value in values.items():
            if name not in known:
                message = f"{name} is not part of a fault; known are {', '.join(sorted(known))}"
                raise ValueError(message)
            types = _JSON_TYPES[name]
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                message = f"{name} has the wrong type"
                raise ValueError(message)
        headers = values.get("headers", {})
        if isinstance(headers, dict):
            values = {**values, "headers": {str(name): str(value) for name, value in headers.items()}}
        return cls(**values)  # type: ignore[arg-type] # the types were looked at above, by a table mypy cannot follow

    def matches(self, attempt: Attempt) -> bool:
        """Tell whether every condition holds for a call."""
        if self.method is not None and self.method.upper() != attempt.method:
            return False
        if not re.search(self.path, attempt.path):
            return False
        if self.more_bytes_than is not None and attempt.num_bytes <= self.more_bytes_than:
            return False
        if self.more_records_than is None and self.record_pattern is None:
            return True
        records = split_records(attempt.records or "")
        if self.more_records_than is not None and len(records) <= self.more_records_than:
            return False
        return self.record_pattern is None or any(re.search(self.record_pattern, each) for each in records)


@dataclass(slots=True)
class _Injected:
    """A fault and the calls that it matched so far."""

    fault: Fault
    matched: int = 0


class FaultPlan:
    """The faults that are yet to happen, in the order in which they were injected."""

    def __init__(self) -> None:
        """Start without a fault."""
        self._injected: list[_Injected] = []

    def clear(self) -> None:
        """Forget the faults that have not happened yet."""
        self._injected.clear()

    def add(self, fault: Fault) -> None:
        """Put a fault behind those that are there."""
        self._injected.append(_Injected(fault))

    def take(self, attempt: Attempt) -> Fault | None:
        """Return the fault that a call meets, and count it.

        The first one that is due has the call; those behind it do not see that call. So two faults on the same calls
        happen one after the other.
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
