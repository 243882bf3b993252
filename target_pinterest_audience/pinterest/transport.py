"""Sends one request and turns the answer into data, or into the error that says what can be done."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

import backoff
import msgspec
import requests
from requests.auth import AuthBase
from urllib3.exceptions import NewConnectionError

from target_pinterest_audience.pinterest.errors import (
    ClosedError,
    MisroutedError,
    PinterestError,
    RateLimitedError,
    UnavailableError,
    UntrustedError,
)
from target_pinterest_audience.pinterest.rate_limit import Pace
from target_pinterest_audience.pinterest.request import Request
from target_pinterest_audience.pinterest.responses import UNREADABLE, failure, no_success, request_id
from target_pinterest_audience.pinterest.retry import Patience
from target_pinterest_audience.pinterest.route import route_to

T = TypeVar("T")


class Tenure(Protocol):
    """Knows whether this process may still write to customer lists."""

    def ensure(self) -> None:
        """Raise an error if it may not. May be called from any thread."""
        ...


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What Pinterest answers a request with.

    Attributes:
        body: the answer's body.
        request_id: Pinterest's id of the request, which its support asks for; None if the answer has none.
        received: when it came, in seconds since 1970.
        unanswered: whether an attempt before it got no clear answer, so that it may still be carried out.
    """

    body: T
    request_id: str | None
    received: float
    unanswered: bool = False


@dataclass(slots=True)
class _Attempts:
    """The attempts of one request.

    Attributes:
        unanswered: whether one of them got no clear answer.
    """

    unanswered: bool = False


@dataclass(slots=True)
class Traffic:
    """How much was asked of Pinterest, by all threads together.

    Attributes:
        calls: requests, each attempt counted.
        limited_seconds: how long requests waited for Pinterest's rate limits, those of several threads added up.
        held_until: when the last such wait ends or ended, by the clock that only ever grows.
    """

    calls: int = 0
    limited_seconds: float = 0.0
    held_until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self) -> None:
        """Count a request."""
        with self._lock:
            self.calls += 1

    def wait(self, seconds: float) -> None:
        """Count a wait for a rate limit that begins now."""
        with self._lock:
            self.limited_seconds += seconds
            self.held_until = max(self.held_until, time.monotonic() + seconds)


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
    """Talks to one API address, with one connection pool for each thread that uses it.

    Attributes:
        traffic: how much was asked of it.
    """

    def __init__(
        self,
        api_url: str,
        patience: Patience,
        *,
        user_agent: str,
        logger: logging.Logger,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        tenure: Tenure | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            api_url: the address of the API, without a slash at its end.
            patience: time-outs and retries.
            user_agent: what the requests say they come from.
            logger: told of waits and retries.
            clock: the current Unix time in seconds, to read headers by.
            sleep: waits for seconds until Pinterest's limits let a request pass.
            tenure: asked right before each request that writes; None if writing needs no locks.

        Raises:
            ConfigurationError: the environment names a proxy or certificates that cannot be used.
        """
        self._api_url = api_url
        self._route = route_to(api_url, os.environ)
        self._patience = patience
        self._user_agent = user_agent
        self._tenure = tenure
        self._logger = logger
        self._clock = clock
        self._local = threading.local()
        self._closed = threading.Event()
        self._answered_at: tuple[float, float] | None = None
        """What the last answer said the time was, and when it came by the clock that only ever grows."""
        self.traffic = Traffic()
        self._sleep = sleep
        self._pace = Pace(patience.max_seconds, logger, clock, self._wait_for_limit)
        self._send_patiently = backoff.on_exception(
            patience.waits,
            (UnavailableError, RateLimitedError),
            jitter=None,
            on_backoff=self._log_wait,
            logger=None,
        )(self._send_once)

    def send(self, request: Request, auth: AuthBase, answer: type[T]) -> Answer[T]:
        """Send a request, again as often as patience allows.

        Args:
            request: what to send. One that `creates` is tried again only if it surely was not carried out.
            auth: signs the request.
            answer: the type of the answer's body.

        Returns:
            The answer.

        Raises:
            PinterestError: the subclass says what can be done.
            LedgerError: it writes, and the locks under which it was prepared are lost.
        """
        attempts = _Attempts()
        try:
            return self._send_patiently(request, auth, answer, attempts)
        except PinterestError as error:
            error.unanswered = attempts.unanswered
            raise

    def clock_difference(self, now: float) -> float | None:
        """Return how many seconds a clock is ahead of the server's; None if no answer told the time.

        Args:
            now: what the clock shows, in seconds since 1970.
        """
        if self._answered_at is None:
            return None
        there, here = self._answered_at
        return now - (there + time.monotonic() - here)

    def _note_time(self, headers: Mapping[str, str]) -> None:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            self._answered_at = parsedate_to_datetime(headers["Date"]).timestamp(), time.monotonic()

    def close(self) -> None:
        """Let no request begin any more, neither anew nor again. May be called from any thread."""
        self._closed.set()

    def _drop_session(self) -> None:
        """Close the thread's connections."""
        session: requests.Session | None = self._local.__dict__.pop("session", None)
        if session is not None:
            session.close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers["User-Agent"] = self._user_agent
            session.proxies, session.verify = dict(self._route.proxies), self._route.verify
            session.trust_env = False
        return session

    def _send_once(self, request: Request, auth: AuthBase, answer: type[T], attempts: _Attempts) -> Answer[T]:
        headers = {"Content-Type": "application/json"} if request.body is not None else {}
        content = msgspec.json.encode(request.body) if request.body is not None else request.form
        self._pace.keep(request)
        if self._closed.is_set():
            msg = f"The run is over, so {request} is not sent."
            raise ClosedError(msg)
        if request.kind == "write" and self._tenure is not None:
            # After all waits: the locks may have been lost meanwhile.
            self._tenure.ensure()
        if request.creates:
            # On a connection of its own: one that was kept may be closed by now, and the outcome would be unclear.
            self._drop_session()
        self.traffic.call()
        try:
            response = self._session().request(
                request.method,
                self._api_url + request.path,
                params=dict(request.params) if request.params else None,
                data=content,
                headers=headers,
                auth=auth,
                timeout=(self._patience.connect_seconds, self._patience.read_seconds),
                # A redirect could carry the token to another host.
                allow_redirects=False,
            )
        # Where an answer's headers make no sense, requests raises whatever its own parsers do.
        except (OSError, ValueError) as error:
            raise self._no_answer(request, error, attempts) from None
        if response.status_code < requests.codes.ok:
            # A word in advance. What it announces would be taken for the answer to the next request.
            self._drop_session()
        self._pace.note(request, response.headers)
        self._note_time(response.headers)
        if response.status_code not in {requests.codes.ok, requests.codes.created}:
            problem = failure(request, response, self._clock())
            attempts.unanswered = attempts.unanswered or isinstance(problem, UnavailableError)
            raise problem
        try:
            body = msgspec.json.decode(response.content, type=answer)
        except UNREADABLE:
            attempts.unanswered = True
            msg = f"Pinterest's answer to {request} is not in the form that its API describes. Try again later."
            raise no_success(request)(msg, status=response.status_code) from None
        return Answer(body, request_id(response.headers), self._clock(), attempts.unanswered)

    def _no_answer(self, request: Request, error: Exception, attempts: _Attempts) -> PinterestError:
        """Return what it means that a request was not answered."""
        host = urlsplit(self._api_url).netloc
        if _has_reason(error, ssl.SSLCertVerificationError):
            return UntrustedError(
                f"The certificate of {host} is not trusted, so nothing was sent. If a proxy or a private authority "
                "issues certificates here, name a file with its own in REQUESTS_CA_BUNDLE."
            )
        wrong = self._route.misconfigured(error)
        if wrong is not None:
            return MisroutedError(wrong)
        surely_not_sent = isinstance(error, requests.ConnectTimeout) or _has_reason(error, NewConnectionError)
        kind = UnavailableError if surely_not_sent else no_success(request)
        attempts.unanswered = attempts.unanswered or not surely_not_sent
        return kind(
            f"No answer from {host} to {request} ({type(error).__name__}). If `api_url` is right, the network, a proxy "
            "or Pinterest is at fault; try again later."
        )

    def _wait_for_limit(self, seconds: float) -> None:
        self.traffic.wait(seconds)
        self._sleep(seconds)

    def _log_wait(self, details: Mapping[str, Any]) -> None:
        if isinstance(details["exception"], RateLimitedError):
            self.traffic.wait(details["wait"])
        self._logger.warning("%s Waiting %.1f s before the next attempt.", details["exception"], details["wait"])


def _has_reason(error: BaseException, kind: type[BaseException]) -> bool:
    """Tell whether an error of one kind is why another was raised, as urllib3 and requests wrap them."""
    reason = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    return isinstance(error, kind) or (isinstance(reason, BaseException) and _has_reason(reason, kind))
