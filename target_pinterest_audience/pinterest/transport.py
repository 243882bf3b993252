"""Sends one request and turns the answer into data, or into the error that says what can be done."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import backoff
import msgspec
import requests
from requests.auth import AuthBase
from urllib3.exceptions import NewConnectionError

from target_pinterest_audience.pinterest.errors import (
    NotFoundError,
    NotPermittedError,
    OutcomeUnclearError,
    PinterestError,
    RateLimitedError,
    RefusedError,
    TokenExpiredError,
    UnavailableError,
)
from target_pinterest_audience.pinterest.waiting import seconds_to_wait

T = TypeVar("T")

_LONGEST_RATE_LIMIT_SECONDS: Final = 3600.0
_TOKEN_REFUSED: Final = 2
_BAD_REQUEST: Final = frozenset({400, 405, 409, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, and how often.

    Attributes:
        retries: how often a request is tried again after a passing failure.
        initial_seconds: the bound of the random wait before the first retry; it doubles with each.
        max_seconds: the bound of any single wait.
        connect_seconds: how long to wait for a connection.
        read_seconds: how long to wait for the next bytes of an answer.
    """

    retries: int
    initial_seconds: float
    max_seconds: float
    connect_seconds: float
    read_seconds: float


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the API.

    Attributes:
        method: the HTTP verb.
        path: what follows the API's address, beginning with a slash; it never holds personal data.
        params: the query.
        body: sent as JSON.
        form: sent as a form, instead of a body.
        creates: whether carrying it out twice would make two things.
        personal: whether the body holds identities, so that Pinterest's words about it are not repeated.
    """

    method: str
    path: str
    params: Mapping[str, str | int] | None = None
    body: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    creates: bool = False
    personal: bool = False

    def __str__(self) -> str:
        """Name the call as logs do."""
        return f"{self.method} {self.path}"


class Bearer(AuthBase):
    """Signs a request with an access token.

    An auth object, and not a header, because `requests` lets a `.netrc` entry overwrite the header.
    """

    def __init__(self, token: str) -> None:
        """Keep the token."""
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Transport:
    """Talks to one API address, with one connection pool for each thread that uses it."""

    def __init__(
        self,
        api_url: str,
        patience: Patience,
        *,
        user_agent: str,
        logger: logging.Logger,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            api_url: the address of the API, without a slash at its end.
            patience: time-outs and retries.
            user_agent: what the requests say they come from.
            logger: told of waits and retries.
            clock: the current Unix time in seconds, to read headers by.
        """
        self._api_url = api_url
        self._patience = patience
        self._user_agent = user_agent
        self._logger = logger
        self._clock = clock
        self._local = threading.local()
        retrying = backoff.on_exception(
            backoff.expo,
            UnavailableError,
            max_tries=patience.retries + 1,
            factor=patience.initial_seconds,
            max_value=patience.max_seconds,
            giveup=lambda error: isinstance(error, OutcomeUnclearError),
            on_backoff=self._log_wait,
            logger=None,
        )
        waiting = backoff.on_exception(
            backoff.runtime,
            RateLimitedError,
            value=self._rate_limit_wait,
            max_time=_LONGEST_RATE_LIMIT_SECONDS,
            jitter=None,
            giveup=lambda error: self._rate_limit_wait(error) > patience.max_seconds,
            on_backoff=self._log_wait,
            logger=None,
        )
        self._send_patiently = waiting(retrying(self._send_once))

    def send(self, request: Request, auth: AuthBase, answer: type[T]) -> T:
        """Send a request, again as often as patience allows.

        Args:
            request: what to send. One that `creates` is tried again only if it surely was not carried out.
            auth: signs the request.
            answer: the type of the answer.

        Returns:
            The answer's body.

        Raises:
            PinterestError: the subclass says what can be done.
        """
        return self._send_patiently(request, auth, answer)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers["User-Agent"] = self._user_agent
        return session

    def _send_once(self, request: Request, auth: AuthBase, answer: type[T]) -> T:
        headers = {"Content-Type": "application/json"} if request.body is not None else {}
        try:
            response = self._session().request(
                request.method,
                self._api_url + request.path,
                params=dict(request.params) if request.params else None,
                data=msgspec.json.encode(request.body) if request.body is not None else request.form,
                headers=headers,
                auth=auth,
                timeout=(self._patience.connect_seconds, self._patience.read_seconds),
                # A redirect could carry the token to another host.
                allow_redirects=False,
            )
        except requests.RequestException as error:
            surely_not_sent = isinstance(error, requests.ConnectTimeout) or _never_connected(error)
            failure = OutcomeUnclearError if request.creates and not surely_not_sent else UnavailableError
            msg = (
                f"Pinterest gave no answer to {request} ({type(error).__name__}). The network, a proxy or Pinterest is "
                "at fault; try again later."
            )
            raise failure(msg) from None
        if response.status_code not in {requests.codes.ok, requests.codes.created}:
            raise self._failure(request, response)
        try:
            return msgspec.json.decode(response.content, type=answer)
        except msgspec.DecodeError:
            failure = OutcomeUnclearError if request.creates else UnavailableError
            msg = f"Pinterest's answer to {request} is not in the form that its API describes. Try again later."
            raise failure(msg, status=response.status_code) from None

    def _failure(self, request: Request, response: requests.Response) -> PinterestError:
        """Name what can be done about an answer that is no success."""
        status = response.status_code
        problem = _Problem.of(request, response)
        if status == requests.codes.too_many_requests:
            msg = f"Pinterest limits the rate of {request}{problem}. Run again later."
            wait_seconds = seconds_to_wait(response.headers, self._clock())
            return RateLimitedError(msg, wait_seconds=wait_seconds, code=problem.code)
        if status == requests.codes.unauthorized and problem.code in {_TOKEN_REFUSED, None}:
            msg = f"Pinterest does not accept the access token{problem}. Give a new one, or check the OAuth settings."
            return TokenExpiredError(msg, status=status, code=problem.code)
        if status in {requests.codes.unauthorized, requests.codes.forbidden}:
            msg = (
                f"Pinterest does not permit {request}{problem}. Check that the app has access to the API, the token "
                "the scopes ads:read and ads:write, and its owner a role in the ad account."
            )
            return NotPermittedError(msg, status=status, code=problem.code)
        if status == requests.codes.not_found:
            msg = f"Pinterest does not know what {request} names{problem}. Check the ids in the settings."
            return NotFoundError(msg, status=status, code=problem.code)
        if status in _BAD_REQUEST:
            msg = f"Pinterest refuses {request}{problem}."
            return RefusedError(msg, status=status, code=problem.code)
        failure = OutcomeUnclearError if request.creates else UnavailableError
        msg = f"Pinterest is not available for {request}{problem}. Try again later."
        return failure(msg, status=status, code=problem.code)

    def _rate_limit_wait(self, error: Exception) -> float:
        if isinstance(error, RateLimitedError) and error.wait_seconds is not None:
            return error.wait_seconds
        return self._patience.initial_seconds

    def _log_wait(self, details: Mapping[str, Any]) -> None:
        self._logger.warning("%s Waiting %.1f s before the next attempt.", details["exception"], details["wait"])


@dataclass(frozen=True, slots=True)
class _Problem:
    """What an answer says about itself."""

    status: int
    code: int | None
    message: str
    reference: str

    @classmethod
    def of(cls, request: Request, response: requests.Response) -> _Problem:
        code, message = None, ""
        try:
            body = response.json()
        except ValueError:
            body = None
        if isinstance(body, dict):
            code = body["code"] if isinstance(body.get("code"), int) else None
            # Words about a request that holds identities could repeat one.
            if isinstance(body.get("message"), str) and (not request.personal or response.status_code in {401, 403}):
                message = " ".join(body["message"].split())[:300]
        rid = response.headers.get("x-pinterest-rid")
        return cls(response.status_code, code, message, f", request id {rid}" if rid else "")

    def __str__(self) -> str:
        code = f" code {self.code}" if self.code is not None else ""
        message = f': "{self.message}"' if self.message else ""
        return f" (HTTP {self.status}{code}{message}{self.reference})"


def _never_connected(error: requests.RequestException) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)
