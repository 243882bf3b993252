"""A request to the API, its authorization and its answer, and how requests are counted.

Only `transport` and `route` import the HTTP library: a command that sends nothing starts a quarter sooner without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One API request.

    Attributes:
        method: the HTTP method.
        path: the path after the API's address, with a leading slash; it never holds personal data.
        params: the query parameters.
        body: sent as JSON.
        form: sent as a form, instead of a body.
        creates: whether the request creates something, so that a retry could create it twice.
        personal: whether the request holds identities or secrets, so that messages must not quote Pinterest's error.
    """

    method: str
    path: str
    params: Mapping[str, str | int] | None = None
    body: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    creates: bool = False
    personal: bool = False

    @property
    def kind(self) -> str:
        """The rate limit that the request counts for: reads, writes and sign-ins have separate ones."""
        if self.form is not None:
            return "sign-in"
        return "read" if self.method == "GET" else "write"

    def __str__(self) -> str:
        """Return the method and the path, for logs."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True, repr=False)
class Bearer:
    """Authorizes a request with an access token. Its representation does not show the token."""

    token: str


@dataclass(frozen=True, slots=True, repr=False)
class Basic:
    """Authorizes a request with the id and the secret of the app. Its representation does not show them."""

    user: str
    password: str


Auth: TypeAlias = Bearer | Basic


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """Pinterest's successful response to a request.

    Attributes:
        body: the decoded body.
        request_id: Pinterest's id of the request, which its support asks for; None if the response has none.
        received: when the response came, as Unix time in seconds.
        unanswered: whether an earlier attempt got no clear answer, so that Pinterest may still carry it out.
        status: the HTTP status, 200 or 201.
        headers: the headers of the response.
    """

    body: T
    request_id: str | None
    received: float
    unanswered: bool = False
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Traffic:
    """Counts the requests of all threads.

    Attributes:
        calls: the requests; each attempt counts.
        limited_seconds: how long requests waited for Pinterest's rate limits, summed over all threads.
        held_until: when the last such wait ends or ended, as monotonic time in seconds.
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
        """Count a wait for a rate limit that starts now."""
        with self._lock:
            self.limited_seconds += seconds
            self.held_until = max(self.held_until, time.monotonic() + seconds)
