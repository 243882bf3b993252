"""One API request, before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
