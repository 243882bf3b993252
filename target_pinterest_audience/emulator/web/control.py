"""The control endpoints, for test suites in other languages than Python. They need no token."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final, TypeAlias

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from target_pinterest_audience.emulator.errors import ApiError
from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.state.backend import Backend
from target_pinterest_audience.emulator.state.faults import Fault

_PREFIX: Final = "/_emulator"

_Handler: TypeAlias = Callable[["ControlPlane", Request, Mapping[str, str]], "tuple[int, object]"]


class ControlPlane:
    """The endpoints below `/_emulator`: show the state, inject faults, start over."""

    def __init__(self, backend: Backend) -> None:
        """Serve the endpoints for a backend."""
        self._backend = backend

    def owns(self, request: Request) -> bool:
        """Return whether a request is for these endpoints, not for the API."""
        return request.path.startswith(f"{_PREFIX}/")

    def answer(self, request: Request) -> Response:
        """Answer a request for a control endpoint."""
        try:
            endpoint, arguments = _routes().bind_to_environ(request.environ).match()
            status, body = _HANDLERS[endpoint](self, request, arguments)
        except HTTPException as error:
            status, body = error.code or 500, {"message": error.name}
        except ApiError as error:
            status, body = error.status, {"message": error.message}
        except ValueError as error:
            status, body = 400, {"message": str(error)}
        return Response(json.dumps(body), status=status, content_type="application/json")

    def _inject(self, request: Request, _arguments: Mapping[str, str]) -> tuple[int, object]:
        """Inject the fault that the body describes."""
        self._backend.inject(Fault.from_json(_body(request)))
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

    def _make_ad_group(self, request: Request, _arguments: Mapping[str, str]) -> tuple[int, object]:
        """Create an ad group that uses lists or audiences."""
        fields = _body(request)
        made = self._backend.create_ad_group(
            _text(fields, "name"),
            include=_ids(fields, "include"),
            exclude=_ids(fields, "exclude"),
            status=_text(fields, "status", "ACTIVE"),
            customer_segment_id=_text(fields, "customer_segment_id", "") or None,
        )
        return 201, {"id": made}

    def _make_campaign(self, request: Request, _arguments: Mapping[str, str]) -> tuple[int, object]:
        """Create a campaign that excludes lists or audiences."""
        fields = _body(request)
        made = self._backend.create_campaign(
            _text(fields, "name"), exclude=_ids(fields, "exclude"), status=_text(fields, "status", "ACTIVE")
        )
        return 201, {"id": made}

    def _members(self, _request: Request, arguments: Mapping[str, str]) -> tuple[int, object]:
        """Show the members of a list, sorted."""
        return 200, {"members": sorted(self._backend.members(arguments["list_id"]))}


def _body(request: Request) -> JsonObject:
    """Return the body, a JSON object.

    Raises:
        ValueError: it is not one.
    """
    try:
        values = json.loads(request.get_data())
    except ValueError:
        values = None
    if not isinstance(values, dict):
        message = "the body must be a JSON object"
        raise ValueError(message)  # noqa: TRY004 - gets 400, like every other invalid body
    return values


def _text(values: JsonObject, name: str, default: str | None = None) -> str:
    """Return a text in a body. Raises a ValueError if it is missing or no text."""
    value = values.get(name, default)
    if not isinstance(value, str):
        message = f"{name} must be a text"
        raise ValueError(message)  # noqa: TRY004 - gets 400, like every other invalid body
    return value


def _ids(values: JsonObject, name: str) -> list[str]:
    """Return a list of ids in a body. Raises a ValueError if it is something else."""
    ids = values.get(name, [])
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        message = f"{name} must be a list of ids, as texts"
        raise ValueError(message)
    return ids


_HANDLERS: Final[Mapping[str, _Handler]] = {
    "POST /faults": ControlPlane._inject,  # noqa: SLF001 - a table of the class's own methods
    "DELETE /faults": ControlPlane._clear_faults,  # noqa: SLF001 - likewise
    "POST /late": ControlPlane._carry_out_late,  # noqa: SLF001 - likewise
    "POST /reset": ControlPlane._reset,  # noqa: SLF001 - likewise
    "GET /calls": ControlPlane._calls,  # noqa: SLF001 - likewise
    "GET /lists": ControlPlane._lists,  # noqa: SLF001 - likewise
    "POST /ad_groups": ControlPlane._make_ad_group,  # noqa: SLF001 - likewise
    "POST /campaigns": ControlPlane._make_campaign,  # noqa: SLF001 - likewise
    "GET /members/<list_id>": ControlPlane._members,  # noqa: SLF001 - likewise
}


@functools.cache
def _routes() -> Map:
    """Return the routes; they take long to compile, and many emulators are started in a test suite."""
    rules = []
    for endpoint in _HANDLERS:
        method, path = endpoint.split(" ")
        rules.append(Rule(_PREFIX + path, endpoint=endpoint, methods=[method]))
    return Map(rules, merge_slashes=False)
