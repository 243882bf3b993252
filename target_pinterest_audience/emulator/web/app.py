"""The HTTP layer over the backend: a WSGI application on Werkzeug."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from target_pinterest_audience.emulator.errors import (
    AUTHENTICATION_FAILED,
    METHOD_NOT_ALLOWED,
    RATE_LIMIT_EXCEEDED,
    ApiError,
    DropConnection,
    not_found,
)
from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.state.arguments import Arguments
from target_pinterest_audience.emulator.state.backend import Backend
from target_pinterest_audience.emulator.state.calls import Call
from target_pinterest_audience.emulator.state.credentials import Client
from target_pinterest_audience.emulator.state.faults import Attempt, Fault
from target_pinterest_audience.emulator.state.operations import (
    OPERATIONS,
    SEGMENT_UPDATE,
    TOKEN_OPERATION,
    Operation,
    RateCategory,
)
from target_pinterest_audience.emulator.state.validation import identities_of
from target_pinterest_audience.emulator.web.consent import ConsentPage
from target_pinterest_audience.emulator.web.control import ControlPlane
from target_pinterest_audience.emulator.web.origins import refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BASE_PATH: Final = "/v5"

_FIRST_ERROR_STATUS: Final = 400
# An unknown path has no rate category, but its answer must have the headers of one.
_UNKNOWN_CATEGORY: Final[RateCategory] = "ads_read"
# The error body of a fault that has only a status.
_FAULT_ERRORS: Final = {
    401: (AUTHENTICATION_FAILED, "Authentication failed."),
    429: (RATE_LIMIT_EXCEEDED, "You have exceeded your rate limit. Try again later."),
}

# With one Map for all methods, Werkzeug distinguishes an unknown path (404) from a wrong method (405). It takes some
# 50 ms to compile, which a test suite that starts an emulator for each test must not pay each time.
_ROUTES: Final = Map(
    [Rule(BASE_PATH + each.path, endpoint=each, methods=[each.method]) for each in OPERATIONS],
    merge_slashes=False,
)


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer before it is HTTP.

    Attributes:
        status: the HTTP status.
        body: sent as JSON; a string is sent as it is.
        headers: the response headers.
        halved: whether only the first half of the body is sent.
    """

    status: int
    body: object
    headers: Mapping[str, str]
    halved: bool = False


class Application:
    """The WSGI application: the API below `/v5`, the consent page, and the control endpoints below `/_emulator`.

    It raises `DropConnection` from the WSGI call if a fault asks for a reset; the emulator's own server handles that.
    """

    def __init__(self, backend: Backend, sleep: Callable[[float], None]) -> None:
        """Serve a backend.

        Args:
            backend: the state.
            sleep: waits so many seconds, for latency and delays; may raise `DropConnection` to abort a call.
        """
        self._backend = backend
        self._sleep = sleep
        self._beside = (ControlPlane(backend), ConsentPage(backend))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        beside = next((each for each in self._beside if each.owns(request)), None)
        refused = refusal(request, is_page=isinstance(beside, ConsentPage) and request.method == "GET")
        if refused is not None:
            return _http(_Answer(403, {"code": 403, "message": refused}, {}))(environ, start_response)
        response = beside.answer(request) if beside is not None else self._answer(request)
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        """Answer a call of the API, and record it."""
        call = Call(
            method=request.method,
            path=request.path,
            query=request.args.to_dict(),
            request=None,
            status=None,
            response=None,
            started=self._backend.clock(),
            finished=0,
        )
        visit = _Visit(self._backend, self._sleep, request, call)
        try:
            operation, ids = self._route(request)
            answer = visit.run(operation, ids)
        except ApiError as error:
            answer = visit.plain(error.status, error.body(), error.headers)
        except DropConnection:
            self._backend.record(replace(visit.call, finished=self._backend.clock()))
            raise
        response = answer.body if isinstance(answer.body, dict) else None
        self._backend.record(
            replace(visit.call, status=answer.status, response=response, finished=self._backend.clock())
        )
        return _http(answer)

    def _route(self, request: Request) -> tuple[Operation, dict[str, str]]:
        """Return the operation that a request calls, and the ids in its path.

        Raises:
            ApiError: 404 or 405.
        """
        try:
            endpoint, ids = _ROUTES.bind_to_environ(request.environ).match()
        except MethodNotAllowed:
            raise ApiError(405, METHOD_NOT_ALLOWED, "Method not allowed.") from None
        except HTTPException:
            what = "API path"
            raise not_found(what) from None
        return endpoint, dict(ids)


class _Visit:
    """Handles one call.

    Attributes:
        call: the call as far as it has been handled.
    """

    def __init__(self, backend: Backend, sleep: Callable[[float], None], request: Request, call: Call) -> None:
        """Start with the parts of the call that the request line gives."""
        self._backend = backend
        self._sleep = sleep
        self._request = request
        self._category = _UNKNOWN_CATEGORY
        self.call = call

    def run(self, operation: Operation, ids: dict[str, str]) -> _Answer:
        """Admit the call, let it meet a fault if there is one, and carry out the operation.

        Raises:
            ApiError: the call is refused.
            DropConnection: a fault resets the connection.
        """
        self._category = operation.category
        body = self._body(operation)
        self.call = replace(self.call, operation=operation.name, request=body, list_id=ids.get("customer_list_id"))
        self._backend.admit(operation, self._token())
        with self._backend.in_flight(self._written_object(operation, body)):
            fault = self._backend.take_fault(self._attempt(body))
            self.call = replace(self.call, fault=fault)
            self._sleep(self._backend.settings.latency_ms / 1000)
            arguments = Arguments(ids, self.call.query, body, self._client())
            if fault is not None and fault.when == "late":
                self._backend.postpone(operation, arguments, fault.late_writes)
            if fault is not None and fault.when != "after" and (answer := self._go_wrong(fault, None)):
                return answer
            result = self._backend.perform(operation, arguments)
            self.call = replace(self.call, applied=True)
            if operation.name == "customer_lists/create" and result is not None:
                self.call = replace(self.call, list_id=str(result["id"]))
            if fault is not None and fault.when == "after" and (answer := self._go_wrong(fault, result)):
                return answer
            return self.plain(self._backend.settings.creation_status if operation.creates else 200, result)

    def _written_object(self, operation: Operation, body: JsonObject | None) -> str | None:
        """Return the path of the object that a call changes; None if it changes none."""
        if operation.method != "PATCH":
            return None
        if operation.name == SEGMENT_UPDATE:
            return f"{self.call.path}/{(body or {}).get('id')}"
        return self.call.path

    def plain(self, status: int, body: JsonObject | None, headers: Mapping[str, str] | None = None) -> _Answer:
        """Return an answer of Pinterest's, with the headers that all answers have."""
        return _Answer(status, body, {**self._backend.headers(self._category), **(headers or {})})

    def _go_wrong(self, fault: Fault, result: JsonObject | None) -> _Answer | None:
        """Apply a fault.

        Args:
            fault: the fault.
            result: the true answer; None if the operation was not carried out.

        Returns:
            The answer; None if the call goes on.

        Raises:
            DropConnection: the fault is a reset.
        """
        if fault.reset:
            raise DropConnection
        if fault.half_body:
            truth = result or {"code": 0, "message": "This answer is cut short.", "status": "failure"}
            return replace(self.plain(200, truth), halved=True)
        if fault.status is None:
            self._sleep(fault.delay_ms / 1000)
            return None
        body = fault.body
        if body is None:
            code, message = _FAULT_ERRORS.get(fault.status, (fault.status, "This fault was injected."))
            body = {"code": code, "message": message, "status": "failure"}
            if fault.status < _FIRST_ERROR_STATUS and result is not None:
                body = result
        request_id = self._backend.headers(self._category)["x-pinterest-rid"]
        return _Answer(fault.status, body, {"x-pinterest-rid": request_id, **fault.headers})

    def _body(self, operation: Operation) -> JsonObject | None:
        """Return the parsed body; None if it is not a JSON object."""
        if operation.name == TOKEN_OPERATION:
            return dict(self._request.form.to_dict())
        try:
            body = json.loads(self._request.get_data())
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    def _attempt(self, body: JsonObject | None) -> Attempt:
        """Return the properties of the call that faults match."""
        body = body or {}
        return Attempt(
            method=self.call.method,
            path=self.call.path,
            num_bytes=self._request.content_length or 0,
            records=identities_of(body),
            fields=body.keys(),
        )

    def _token(self) -> str | None:
        """Return the Bearer token."""
        given = self._request.authorization
        return given.token if given is not None and given.type == "bearer" else None

    def _client(self) -> Client | None:
        """Return the application that the HTTP Basic header names."""
        given = self._request.authorization
        if given is None or given.type != "basic":
            return None
        return Client(given.username or "", given.password or "")


def _http(answer: _Answer) -> Response:
    """Return the answer as HTTP."""
    if isinstance(answer.body, str):
        content, content_type = answer.body.encode(), "text/html; charset=utf-8"
    else:
        content, content_type = json.dumps(answer.body).encode(), "application/json"
    response = Response(status=answer.status, content_type=content_type)
    for name, value in answer.headers.items():
        response.headers[name] = value
    if answer.halved:
        # The server sends these headers unchanged: a length that the body does not have, and the end of the connection.
        response.headers["Content-Length"] = str(len(content))
        response.headers["Connection"] = "close"
        content = content[: len(content) // 2]
        response.response = [content]
    else:
        response.set_data(content)
    return response
