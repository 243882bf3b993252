"""A call of the API, as the emulator records it."""

from __future__ import annotations

from dataclasses import dataclass

from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.state.faults import Fault
from target_pinterest_audience.emulator.state.operations import LIST_WRITES


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API, from its arrival until its answer was ready. Headers are not recorded.

    Attributes:
        method: the HTTP method.
        path: the path as requested, `/v5` included, without the query.
        query: the query parameters, the first value of each.
        request: the parsed body; None if there was none, or if it was not a JSON object.
        status: the HTTP status; None if the connection was reset without an answer.
        response: the parsed body of the answer; None if it was not a JSON object.
        started: time of its arrival, by the emulator's clock.
        finished: time when its answer was ready, by the emulator's clock.
        operation: Pinterest's name of the operation, e.g. `customer_lists/update`; None for an unknown path.
        applied: whether the operation was carried out, whatever the answer was.
        list_id: the customer list that it read, changed or created; None for other calls.
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
        """Whether it changed or created a customer list."""
        return self.applied and self.operation in LIST_WRITES
