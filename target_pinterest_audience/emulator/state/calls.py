"""A call as the emulator remembers it."""

from __future__ import annotations

from dataclasses import dataclass

from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.state.faults import Fault
from target_pinterest_audience.emulator.state.operations import LIST_WRITES


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API, from its arrival until its answer was ready. Headers are not kept.

    Attributes:
        method: the HTTP method.
        path: the path as requested, `/v5` included, without the query.
        query: the query parameters, the first value of each.
        request: the parsed body; None when there was none, or none that could be parsed to an object.
        status: the HTTP status; None when the connection was reset instead of an answer.
        response: the parsed body of the answer; None when it was no JSON object.
        started: when it arrived, in seconds by the emulator's clock.
        finished: when its answer was ready, in seconds by the emulator's clock.
        operation: Pinterest's name of the operation, e.g. `customer_lists/update`; None for an unknown path.
        applied: whether the operation was carried out, whatever was answered then.
        list_id: the customer list that it read, wrote or made; None for other calls.
        fault: the injected fault that it met.
    """

    method: str
    path: str
    query: dict[str, str]
    request: JsonObject | None
    status: int | None
    response: JsonObject | None
    started: float
    finished: float
    operation: str | None = None
    applied: bool = False
    list_id: str | None = None
    fault: Fault | None = None

    @property
    def is_list_write(self) -> bool:
        """Whether it changed a customer list, or made one."""
        return self.applied and self.operation in LIST_WRITES
