"""Sends requests with an access token, and reads listings page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec

from target_pinterest_audience.pinterest.errors import PinterestError, TokenExpiredError, UnavailableError
from target_pinterest_audience.pinterest.models import Page
from target_pinterest_audience.pinterest.request import Answer, Bearer, Request
from target_pinterest_audience.pinterest.responses import UNREADABLE

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.transport import Transport

T = TypeVar("T")

_PAGE_SIZE: Final = 250
"""Pinterest's maximum (API description 5.23)."""

OLDEST_FIRST: Final[Mapping[str, str]] = MappingProxyType({"order": "ASCENDING"})
"""The query parameters of a listing by age. The listing of ad accounts does not have this parameter."""


class TokenSource(Protocol):
    """Where access tokens come from."""

    sign_in_seconds: float | None

    def access_token(self) -> str:
        """Return a token that is probably valid."""
        ...

    def renew(self, token: str, refused: TokenExpiredError) -> str:
        """Return a new token in place of a refused one; raise the refusal if that is not possible."""
        ...

    def close(self) -> None:
        """Wait for a token request that is under way, and send no more."""
        ...


class SignedRequests:
    """Sends requests with the token of the sign-in, and renews the token once if Pinterest refuses it.

    Every method that sends a request raises a `PinterestError` if it fails; the subclass says what can be done.
    """

    def __init__(self, transport: Transport, tokens: TokenSource) -> None:
        """Create it; nothing is sent yet."""
        self._transport = transport
        self._tokens = tokens

    def call(self, request: Request, answer: type[T]) -> T:
        """Send a request, and return the body of the response.

        Args:
            request: the request.
            answer: the type of the body.
        """
        return self.ask(request, answer).body

    def ask(self, request: Request, answer: type[T]) -> Answer[T]:
        """Send a request, and return the whole response.

        Args:
            request: the request.
            answer: the type of the response's body.
        """
        token = self._tokens.access_token()
        try:
            return self._transport.send(request, Bearer(token), answer)
        except TokenExpiredError as refused:
            token = self._tokens.renew(token, refused)
            unanswered = refused.unanswered
        try:
            received = self._transport.send(request, Bearer(token), answer)
        except PinterestError as error:
            error.unanswered = error.unanswered or unanswered
            raise
        return replace(received, unanswered=received.unanswered or unanswered)

    def pages(self, path: str, kind: type[T], params: Mapping[str, str] = OLDEST_FIRST) -> Iterator[T]:
        """Yield the items of a listing, page by page.

        Args:
            path: the path of the listing.
            kind: the type of the items.
            params: the query parameters besides page size and bookmark; by default the oldest items come first.
        """
        request = Request("GET", path, params={"page_size": _PAGE_SIZE, **params})
        seen: set[str] = set()
        while True:
            page = self.call(request, Page)
            yield from (_convert(item, kind, request) for item in page.items)
            if not page.bookmark:
                return
            if page.bookmark in seen:
                msg = f"Pinterest's listing {request} repeats its pages without an end. Try again later."
                raise UnavailableError(msg)
            seen.add(page.bookmark)
            request = replace(request, params={**(request.params or {}), "bookmark": page.bookmark})


def _convert(item: msgspec.Raw, kind: type[T], request: Request) -> T:
    try:
        return msgspec.json.decode(item, type=kind)
    except UNREADABLE:
        msg = f"Pinterest's response to {request} does not match its API description. Try again later."
        raise UnavailableError(msg) from None
