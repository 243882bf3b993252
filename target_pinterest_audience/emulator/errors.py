"""Exceptions of the emulator: error answers, and connections that are reset without an answer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from target_pinterest_audience.emulator.json_types import JsonObject

INVALID_REQUEST = 400
AUTHENTICATION_FAILED = 2
INSUFFICIENT_PERMISSIONS = 3
METHOD_NOT_ALLOWED = 5
RATE_LIMIT_EXCEEDED = 8
ACCESS_NOT_PERMITTED = 29
INVALID_GRANT = 283

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class ApiError(Exception):
    """An error answer of Pinterest.

    Attributes:
        status: the HTTP status.
        code: Pinterest's own error number, which is more specific than the status.
        message: for people. It never contains anything that the client sent, because records are personal data.
        headers: response headers of this error; they override the usual ones.
    """

    def __init__(self, status: int, code: int, message: str, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        """Store the parts of the answer."""
        super().__init__(f"{status} (code {code}): {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers

    def body(self) -> JsonObject:
        """Return the error body. Recorded live bodies have `status`, although the API description does not."""
        return {"code": self.code, "message": self.message, "status": "failure"}


def invalid_request(message: str) -> ApiError:
    """Return the answer to a request that breaks a rule of the API, which the message names."""
    return ApiError(400, INVALID_REQUEST, message)


def not_found(what: str) -> ApiError:
    """Return the answer for an object that does not exist, e.g. `not_found("Audience")` (API description 5.23)."""
    return ApiError(404, 404, f"{what} not found.")


class DropConnection(ConnectionError):  # noqa: N818 - an instruction to the server, not an error
    """Tells the server to reset the connection without an answer.

    It is a `ConnectionError`, because Werkzeug passes those to its handler.
    """
