"""Sends requests over HTTP, and turns the responses into data or errors."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import backoff
import msgspec
import requests
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.exceptions import NewConnectionError

from target_pinterest_audience.pinterest.errors import (
    ClosedError,
    MisroutedError,
    PinterestError,
    RateLimitedError,
    UnavailableError,
    UntrustedError,
)
from target_pinterest_audience.pinterest.rate_limit import RateLimiter
from target_pinterest_audience.pinterest.request import Answer, Auth, Basic, Request, Traffic
from target_pinterest_audience.pinterest.responses import UNREADABLE, failure, no_success, request_id
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.pinterest.route import route_to

T = TypeVar("T")


class Tenure(Protocol):
    """The right to write to customer lists, which a process can lose."""

    def ensure(self) -> None:
        """Raise an error if the process has lost the right. May be called from any thread."""
        ...


@dataclass(slots=True)
class _Attempts:
    """The attempts of one request.

    Attributes:
        unanswered: whether one of them got no clear answer.
    """

    unanswered: bool = False


class _BearerAuth(AuthBase):
    """Authorizes a request with an access token.

    It is an auth object, not a header, because `requests` lets a `.netrc` entry overwrite the header.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _auth_of(auth: Auth) -> AuthBase:
    """Return an authorization as `requests` takes it."""
    if isinstance(auth, Basic):
        return HTTPBasicAuth(auth.user, auth.password)
    return _BearerAuth(auth.token)


class Transport:
    """Sends requests to one API address, with a connection pool for each thread.

    Attributes:
        traffic: counts the requests.
    """

    def __init__(
        self,
        api_url: str,
        policy: RetryPolicy,
        *,
        user_agent: str,
        logger: logging.Logger,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        tenure: Tenure | None = None,
    ) -> None:
        """Create it; nothing is sent yet.

        Args:
            api_url: the address of the API, without a trailing slash.
            policy: time-outs and retries.
            user_agent: the `User-Agent` header.
            logger: logs waits and retries.
            clock: Unix time in seconds, to read headers.
            sleep: waits for seconds until Pinterest's rate limits allow a request.
            tenure: checked right before each request that writes; None if writing needs no locks.

        Raises:
            ConfigurationError: the environment names a proxy or certificates that cannot be used.
        """
        self._api_url = api_url
        self._route = route_to(api_url, os.environ)
        self._policy = policy
        self._user_agent = user_agent
        self._tenure = tenure
        self._logger = logger
        self._clock = clock
        self._local = threading.local()
        self._closed = threading.Event()
        self._answered_at: tuple[float, float] | None = None
        """The date of the last response as Unix time, and the monotonic time at which it came."""
        self.traffic = Traffic()
        self._sleep = sleep
        self._rate_limiter = RateLimiter(policy.max_seconds, logger, clock, self._wait_for_limit)
        self._send_with_retries = backoff.on_exception(
            policy.waits,
            (UnavailableError, RateLimitedError),
            jitter=None,
            on_backoff=self._log_wait,
            logger=None,
        )(self._send_once)

    def send(self, request: Request, auth: Auth, answer: type[T]) -> Answer[T]:
        """Send a request, and retry it as the policy allows.

        Args:
            request: the request. One that `creates` is retried only if it certainly was not carried out.
            auth: authorises the request.
            answer: the type of the response's body.

        Raises:
            PinterestError: the request failed; the subclass says what can be done.
            LedgerError: the request writes, and the process has lost its locks.
        """
        attempts = _Attempts()
        try:
            return self._send_with_retries(request, auth, answer, attempts)
        except PinterestError as error:
            error.unanswered = attempts.unanswered
            raise

    def clock_difference(self, now: float) -> float | None:
        """Return how many seconds a clock is ahead of the server's; None if no response had a date.

        Args:
            now: what the clock shows, as Unix time in seconds.
        """
        if self._answered_at is None:
            return None
        there, here = self._answered_at
        return now - (there + time.monotonic() - here)

    def _note_time(self, headers: Mapping[str, str]) -> None:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            self._answered_at = parsedate_to_datetime(headers["Date"]).timestamp(), time.monotonic()

    def close(self) -> None:
        """Send no more requests, and no retries. May be called from any thread."""
        self._closed.set()

    def _drop_session(self) -> None:
        """Close the thread's connections."""
        session: requests.Session | None = self._local.__dict__.pop("session", None)
        if session is not None:
            session.close()

    def session(self) -> requests.Session:
        """Return the connections of this thread, opened when they are first needed."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers["User-Agent"] = self._user_agent
            session.proxies, session.verify = dict(self._route.proxies), self._route.verify
            session.trust_env = False
        return session

    def _send_once(self, request: Request, auth: Auth, answer: type[T], attempts: _Attempts) -> Answer[T]:
        headers = {"Content-Type": "application/json"} if request.body is not None else {}
        content = msgspec.json.encode(request.body) if request.body is not None else request.form
        self._rate_limiter.wait_for(request)
        if self._closed.is_set():
            msg = f"The run is over, so {request} is not sent."
            raise ClosedError(msg)
        if request.kind == "write" and self._tenure is not None:
            # After all waits: the locks may have been lost meanwhile.
            self._tenure.ensure()
        if request.creates:
            # On a new connection: the server may have closed the old one, and then the outcome would be unclear.
            self._drop_session()
        self.traffic.call()
        try:
            response = self.session().request(
                request.method,
                self._api_url + request.path,
                params=dict(request.params) if request.params else None,
                data=content,
                headers=headers,
                auth=_auth_of(auth),
                timeout=(self._policy.connect_seconds, self._policy.read_seconds),
                # A redirect could carry the token to another host.
                allow_redirects=False,
            )
        # For malformed headers, `requests` raises whatever its parsers do.
        except (OSError, ValueError) as error:
            raise self._no_answer(request, error, attempts) from None
        if response.status_code < requests.codes.ok:
            # An informational response. The final one would be mistaken for the response to the next request.
            self._drop_session()
        self._rate_limiter.update(request, response.headers)
        self._note_time(response.headers)
        if response.status_code not in {requests.codes.ok, requests.codes.created}:
            problem = failure(request, response, self._clock())
            attempts.unanswered = attempts.unanswered or isinstance(problem, UnavailableError)
            raise problem
        try:
            # The description promises no body for some updates; recorded live calls got `null` for them.
            body = msgspec.json.decode(response.content or b"null", type=answer)
        except UNREADABLE:
            attempts.unanswered = True
            msg = f"Pinterest's response to {request} does not match its API description. Try again later."
            raise no_success(request)(msg, status=response.status_code) from None
        return Answer(
            body,
            request_id(response.headers),
            self._clock(),
            attempts.unanswered,
            response.status_code,
            response.headers,
        )

    def _no_answer(self, request: Request, error: Exception, attempts: _Attempts) -> PinterestError:
        """Return the error to raise for a request without a response."""
        host = urlsplit(self._api_url).netloc
        if _has_reason(error, ssl.SSLCertVerificationError):
            return UntrustedError(
                f"The certificate of {host} is not trusted, so nothing was sent. If a proxy or a private authority "
                "issues certificates in this network, set REQUESTS_CA_BUNDLE to a file with its certificate."
            )
        wrong = self._route.misconfiguration(error)
        if wrong is not None:
            return MisroutedError(wrong)
        surely_not_sent = isinstance(error, requests.ConnectTimeout) or _has_reason(error, NewConnectionError)
        kind = UnavailableError if surely_not_sent else no_success(request)
        attempts.unanswered = attempts.unanswered or not surely_not_sent
        return kind(
            f"No response from {host} to {request} ({type(error).__name__}). If `api_url` is right, the network, a "
            "proxy or Pinterest is at fault. Try again later."
        )

    def _wait_for_limit(self, seconds: float) -> None:
        self.traffic.wait(seconds)
        self._sleep(seconds)

    def _log_wait(self, details: Mapping[str, Any]) -> None:
        if isinstance(details["exception"], RateLimitedError):
            self.traffic.wait(details["wait"])
        self._logger.warning("%s Waiting %.1f s before the next attempt.", details["exception"], details["wait"])


def _has_reason(error: BaseException, kind: type[BaseException]) -> bool:
    """Return whether an error of one kind caused another one, as urllib3 and requests wrap them."""
    reason = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    return isinstance(error, kind) or (isinstance(reason, BaseException) and _has_reason(reason, kind))
