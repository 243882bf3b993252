"""Turns a response that reports a failure into the error to raise. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec

from target_pinterest_audience.pinterest.errors import (
    NotFoundError,
    NotPermittedError,
    OutcomeUnclearError,
    PinterestError,
    RateLimitedError,
    RefusedError,
    RestrictedError,
    TokenExpiredError,
    UnavailableError,
)
from target_pinterest_audience.pinterest.rate_headers import seconds_to_wait
from target_pinterest_audience.pinterest.request import Request

if TYPE_CHECKING:
    import requests

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a body can raise, if the body is not JSON or is malicious."""

_TOKEN_REFUSED: Final = 2
_SHORTEST_SECRET: Final = 3
_LONGEST_MESSAGE: Final = 10_000
_LONGEST_QUOTE: Final = 300
_REQUEST_ID: Final = re.compile(r"[\w.:-]{1,64}").fullmatch
_RESTRICTED: Final = "restricted feature"
"""What Pinterest's message has if an app lacks access to a part of the API (seen in answers of 2026)."""
_BAD_REQUEST: Final = frozenset({400, 405, 409, 413, 415, 422})


def failure(request: Request, response: requests.Response, now: float) -> PinterestError:
    """Return the error to raise for a response that reports a failure.

    Args:
        request: the request.
        response: its response, with any status but 200 and 201.
        now: Unix time in seconds, to read headers.
    """
    status = response.status_code
    problem = _Problem.of(request, response)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait_seconds = seconds_to_wait(response.headers, now)
        when = f", until {_clock_time(now + wait_seconds)}" if wait_seconds is not None else ""
        msg = f"Pinterest's rate limit is reached{when}: {request}{problem}."
        return RateLimitedError(msg, wait_seconds=wait_seconds, code=problem.code)
    if status == HTTPStatus.UNAUTHORIZED and problem.code in {_TOKEN_REFUSED, None}:
        msg = f"Pinterest does not accept the access token{problem}. Set a new one, or check the OAuth settings."
        return TokenExpiredError(msg, status=status, code=problem.code)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        msg = (
            f"Pinterest does not permit {request}{problem}. Check that the app has access to the API, that a person "
            "signed in for the token (not the app alone), that the token has the scopes ads:read and ads:write, and "
            "that its owner has a role in the ad account."
        )
        error = RestrictedError if _RESTRICTED in problem.message else NotPermittedError
        return error(msg, status=status, code=problem.code)
    if status == HTTPStatus.NOT_FOUND:
        msg = f"Not found at Pinterest: {request}{problem}. Check the ids in the settings, and `api_url`."
        return NotFoundError(msg, status=status, code=problem.code)
    if status in _BAD_REQUEST:
        msg = f"Pinterest refused {request}{problem}."
        return RefusedError(msg, status=status, code=problem.code)
    msg = f"Pinterest is not available for {request}{problem}. Try again later."
    return no_success(request)(msg, status=status, code=problem.code)


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return Pinterest's id of a request, from the headers of its response; None if they have none."""
    rid = headers.get("x-pinterest-rid", "")
    return rid if _REQUEST_ID(rid) else None


def _clock_time(moment: float) -> str:
    """Return a Unix time as people read it."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def no_success(request: Request) -> type[UnavailableError]:
    """Return the error for a request that Pinterest may or may not have carried out."""
    return OutcomeUnclearError if request.creates else UnavailableError


@dataclass(frozen=True, slots=True)
class _Problem:
    """What a response says about the failure."""

    status: int
    code: int | None
    message: str
    reference: str

    @classmethod
    def of(cls, request: Request, response: requests.Response) -> _Problem:
        try:
            body = msgspec.json.decode(response.content, type=_Body)
        except UNREADABLE:
            body = _Body()
        code = body.code if isinstance(body.code, int) else None
        message = ""
        quotable = isinstance(body.message, str) and len(body.message) <= _LONGEST_MESSAGE
        if quotable and (not request.personal or response.status_code in {401, 403}):
            # Truncated last: a truncated secret would not be found.
            message = " ".join(_without(body.message, _held_by(response.request)).split())[:_LONGEST_QUOTE]
        rid = request_id(response.headers)
        return cls(response.status_code, code, message, f", request id {rid}" if rid else "")

    def __str__(self) -> str:
        code = f" code {self.code}" if self.code is not None else ""
        message = f': "{self.message}"' if self.message else ""
        return f" (HTTP {self.status}{code}{message}{self.reference})"


class _Body(msgspec.Struct, frozen=True):
    """The body of an error response; other fields are ignored."""

    code: Any = None
    message: Any = None


def _without(message: str, held: Iterable[str]) -> str:
    """Remove from Pinterest's message what the request held: a token, or an identity."""
    for value in held:
        if len(value) >= _SHORTEST_SECRET:
            message = message.replace(value, "...")
    return message


def _held_by(request: requests.PreparedRequest) -> Iterator[str]:
    """Yield the secrets and identities in a request that was sent."""
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    yield credential
    if scheme == "Basic":
        yield from base64.b64decode(credential).decode("latin-1").split(":")
    body = request.body or b""
    text = body.decode() if isinstance(body, bytes) else body
    yield from (value for _, value in parse_qsl(text) if value)
    try:
        yield from _texts(msgspec.json.decode(text))
    except msgspec.DecodeError:
        yield from re.findall(r'[^",]+', text)


def _texts(value: object) -> Iterator[str]:
    """Yield all texts in a JSON value, and the parts between their commas. The keys are not personal."""
    if isinstance(value, str):
        yield value
        yield from value.split(",")
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
