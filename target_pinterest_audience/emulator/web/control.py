"""The control endpoints, for test suites in other languages than Python. They need no token."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final, TypeAlias

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from target_pinterest_audience.emulator.errors import ApiError
from target_pinterest_audience.emulator.state.backend import Backend
from target_pinterest_audience.emulator.state.faults import Fault

_PREFIX: Final = "/_emulator"

_Handler: TypeAlias = Callable[[Request, Mapping[str, str]], "tuple[int, object]"]


class ControlPlane:
    """The endpoints below `/_emulator`: show the state, inject faults, start over."""

    def __init__(self, backend: Backend) -> None:
        """Serve the endpoints for a backend."""
        self._backend = backend
        handlers: tuple[tuple[str, str, _Handler], ...] = (
            ("POST", "/faults", self._inject),
            ("DELETE", "/faults", self._clear_faults),
            ("POST", "/late", self._carry_out_late),
            ("POST", "/reset", self._reset),
            ("GET", "/calls", self._calls),
            ("GET", "/lists", self._lists),
            ("GET", "/members/<list_id>", self._members),
        )
        self._routes = Map(
            [Rule(_PREFIX + path, endpoint=handler, methods=[method]) for method, path, handler in handlers],
            merge_slashes=False,
        )

    def owns(self, request: Request) -> bool:
        """Return whether a request is for these endpoints, not for the API."""
        return request.path.startswith(f"{_PREFIX}/")

    def answer(self, request: Request) -> Response:
        """Answer a request for a control endpoint."""
        try:
            handler, arguments = self._routes.bind_to_environ(request.environ).match()
            status, body = handler(request, arguments)
        except HTTPException as error:
            status, body = error.code or 500, {"message": error.name}
        except ApiError as error:
            status, body = error.status, {"message": error.message}
        except ValueError as error:
            status, body = 400, {"message": str(error)}
        return Response(json.dumps(body), status=status, content_type="application/json")

    def _inject(self, request: Request, _arguments: Mapping[str, str]) -> tuple[int, object]:
        """Inject the fault that the body describes."""
        try:
            values = json.loads(request.get_data())
        except ValueError:
            values = None
        if not isinstance(values, dict):
            message = "the body must be a JSON object that describes a fault"
            raise ValueError(message)  # noqa: TRY004 - gets 400, like every other invalid fault
        self._backend.inject(Fault.from_json(values))
        return 201, {}

    def _clear_faults(self, _request: Request, _arguments: Mapping[str, str]) -> tuple[int, object]:
        """Delete the faults that have not happened yet."""
        self._backend.clear_faults()
        return 200, {}

    def _carry_out_late(self, _request: Request, _arguments: Mapping[str, str]) -> tuple[int, object]:
        """Carry out the postponed operations."""
        self._backend.carry_out_late()
        return 200, {}

    def _reset(self, _request: Request, _arguments: Mapping[str, str]) -> tuple[int, object]:
        """Start over."""
        self._backend.reset()
        return 200, {}

    def _calls(self, _request: Request, _arguments: Mapping[str, str]) -> tuple[int, object]:
        """Show the calls so far."""
        return 200, {"calls": [asdict(call) for call in self._backend.calls]}

    def _lists(self, _request: Request, _arguments: Mapping[str, str]) -> tuple[int, object]:
        """Show the lists, each with the number of its members."""
        shown = [asdict(each) for each in self._backend.customer_lists()]
        return 200, {"lists": [{**each, "members": len(each["members"])} for each in shown]}

    def _members(self, _request: Request, arguments: Mapping[str, str]) -> tuple[int, object]:
        """Show the members of a list, sorted."""
        return 200, {"members": sorted(self._backend.members(arguments["list_id"]))}
