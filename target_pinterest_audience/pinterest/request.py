"""One call of the API, before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
        personal: whether it holds identities or secrets, so that Pinterest's words about it are not repeated.
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
        """What Pinterest counts it as: reads, writes and sign-ins have limits of their own."""
        if self.form is not None:
            return "sign-in"
        return "read" if self.method == "GET" else "write"

    def __str__(self) -> str:
        """Name the call as logs do."""
        return f"{self.method} {self.path}"
