"""The arguments of an operation, as the HTTP layer reads them from a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from target_pinterest_audience.emulator.errors import invalid_request
from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.state.credentials import Client


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of an operation.

    Attributes:
        ids: the ids in the path, by name.
        query: the query parameters.
        body: the parsed body; None if it is missing or not a JSON object (for a token: a form).
        client: for a token, the application that asks for it.
    """

    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: JsonObject | None = None
    client: Client | None = None

    def required_body(self) -> JsonObject:
        """Return the body.

        Raises:
            ApiError: 400, there is no body, or it could not be parsed.
        """
        if self.body is None:
            message = "The body must be a JSON object."
            raise invalid_request(message)
        return self.body
