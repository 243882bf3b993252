"""One method for each endpoint that is used; each method is one call, or one call per page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from target_pinterest_audience.pinterest.errors import (
    PinterestError,
    RefusedError,
    TokenExpiredError,
    UnavailableError,
)
from target_pinterest_audience.pinterest.models import AdAccount, Audience, CustomerList, Page
from target_pinterest_audience.pinterest.request import Request
from target_pinterest_audience.pinterest.responses import UNREADABLE
from target_pinterest_audience.pinterest.transport import Answer, Bearer, Traffic, Transport
from target_pinterest_audience.vocabulary import Operation

if TYPE_CHECKING:
    from target_pinterest_audience.vocabulary import ListType

T = TypeVar("T")

_PAGE_SIZE: Final = 250
"""The most that Pinterest takes (API description 5.23)."""


class TokenSource(Protocol):
    """Where access tokens come from."""

    sign_in_seconds: float | None

    def access_token(self) -> str:
        """Return a token that is believed to be good."""
        ...

    def renew(self, token: str, refused: TokenExpiredError) -> str:
        """Return a new token in place of one that was refused; raises the refusal if there is no way to."""
        ...

    def close(self) -> None:
        """Wait for an exchange that is under way, and let none begin."""
        ...


class PinterestClient:
    """The customer lists and audiences of one ad account.

    Every method raises a `PinterestError`, whose subclass says what can be done.
    """

    def __init__(self, transport: Transport, tokens: TokenSource, ad_account_id: str) -> None:
        """Bind the client to an account; nothing is sent yet."""
        self._transport = transport
        self._tokens = tokens
        self._account = f"/ad_accounts/{ad_account_id}"

    @property
    def traffic(self) -> Traffic:
        """How much was asked of Pinterest."""
        return self._transport.traffic

    @property
    def sign_in_seconds(self) -> float | None:
        """For how long the sign-in held when a token was got by it; None if that is not known."""
        return self._tokens.sign_in_seconds

    def stop(self) -> None:
        """Let no request begin any more; one that is under way goes on."""
        self._transport.close()

    def close(self) -> None:
        """Let no token be half-exchanged when the process ends."""
        self._tokens.close()

    def ad_accounts(self) -> Iterator[AdAccount]:
        """Yield the ad accounts that whoever signed in can use, page by page."""
        return self._pages("/ad_accounts", AdAccount, in_order=False)

    def ad_account(self) -> AdAccount:
        """Return the ad account."""
        return self._call(Request("GET", self._account), AdAccount)

    def customer_lists(self) -> Iterator[CustomerList]:
        """Yield the customer lists of the account, page by page, oldest first. Their names are not unique."""
        return self._pages(f"{self._account}/customer_lists", CustomerList)

    def customer_list(self, list_id: str) -> CustomerList:
        """Return one customer list."""
        return self._call(Request("GET", f"{self._account}/customer_lists/{list_id}"), CustomerList)

    def create_customer_list(self, name: str, list_type: ListType, records: str) -> CustomerList:
        """Create a list with its first identities, separated by commas: Pinterest makes none without.

        It is there even if its `exceptions` say that something went wrong, which is then for the caller to look at.
        """
        body = {"name": name, "list_type": list_type.value, "records": records}
        request = Request("POST", f"{self._account}/customer_lists", body=body, creates=True, personal=True)
        return self._call(request, CustomerList)

    def update_customer_list(self, list_id: str, operation: Operation, records: str) -> Answer[CustomerList]:
        """Add identities, separated by commas, to a list, or remove them.

        Doing it twice changes nothing but Pinterest's counters.
        """
        body = {"operation_type": operation.value, "records": records}
        request = Request("PATCH", f"{self._account}/customer_lists/{list_id}", body=body, personal=True)
        answer = self._ask(request, CustomerList)
        try:
            without_exceptions(answer.body)
        except RefusedError as refused:
            refused.unanswered = answer.unanswered
            raise
        return answer

    def audiences(self) -> Iterator[Audience]:
        """Yield the audiences that the account owns, page by page, oldest first."""
        return self._pages(f"{self._account}/audiences", Audience)

    def audience(self, audience_id: str) -> Audience:
        """Return one audience."""
        return self._call(Request("GET", f"{self._account}/audiences/{audience_id}"), Audience)

    def create_audience(self, name: str, customer_list_id: str, description: str | None = None) -> Audience:
        """Create the audience that stands for a customer list."""
        return self._create_audience("CUSTOMER_LIST", name, {"customer_list_id": customer_list_id}, description)

    def create_lookalike(
        self, name: str, seed_audience_id: str, country: str, percentage: int, description: str | None = None
    ) -> Audience:
        """Create an audience of people who are like those in another one.

        Args:
            name: the new audience's.
            seed_audience_id: the other audience; no list.
            country: where they live, as a code of two letters.
            percentage: how many percent of that country's people, from 1 to 10.
            description: the new audience's.
        """
        rule = {"seed_id": [seed_audience_id], "country": country, "percentage": percentage}
        return self._create_audience("ACTALIKE", name, rule, description)

    def _create_audience(self, kind: str, name: str, rule: Mapping[str, Any], description: str | None) -> Audience:
        body = {"audience_type": kind, "name": name, "rule": rule}
        if description is not None:
            body["description"] = description
        return self._call(Request("POST", f"{self._account}/audiences", body=body, creates=True), Audience)

    def delete_audience(self, audience_id: str) -> None:
        """Delete an audience; its list stays."""
        body = {"operation_type": "REMOVE"}
        self._call(Request("PATCH", f"{self._account}/audiences/{audience_id}", body=body), Audience)

    def clock_difference(self, now: float) -> float | None:
        """Return how many seconds a clock is ahead of Pinterest's, as of the last answer; None if that did not tell.

        Args:
            now: what the clock shows, in seconds since 1970.
        """
        return self._transport.clock_difference(now)

    def update_audience(self, audience_id: str, *, name: str, description: str | None = None) -> Audience:
        """Rename an audience, and describe it anew if a description is given."""
        body = {"operation_type": "UPDATE", "name": name}
        if description is not None:
            body["description"] = description
        return self._call(Request("PATCH", f"{self._account}/audiences/{audience_id}", body=body), Audience)

    def _call(self, request: Request, answer: type[T]) -> T:
        return self._ask(request, answer).body

    def _ask(self, request: Request, answer: type[T]) -> Answer[T]:
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

    def _pages(self, path: str, kind: type[T], *, in_order: bool = True) -> Iterator[T]:
        order = {"order": "ASCENDING"} if in_order else {}
        request = Request("GET", path, params={"page_size": _PAGE_SIZE, **order})
        seen: set[str] = set()
        while True:
            page = self._call(request, Page)
            yield from (_convert(item, kind, request) for item in page.items)
            if not page.bookmark:
                return
            if page.bookmark in seen:
                msg = f"Pinterest's listing {request} goes in circles. Try again later."
                raise UnavailableError(msg)
            seen.add(page.bookmark)
            request = replace(request, params={**(request.params or {}), "bookmark": page.bookmark})


def _convert(item: msgspec.Raw, kind: type[T], request: Request) -> T:
    try:
        return msgspec.json.decode(item, type=kind)
    except UNREADABLE:
        msg = f"Pinterest's answer to {request} is not in the form that its API describes. Try again later."
        raise UnavailableError(msg) from None


def without_exceptions(answer: CustomerList) -> CustomerList:
    """Return the answer unless it is a success only in name.

    Raises:
        RefusedError: the answer's `exceptions` are not empty. What they hold is not repeated: it could be a record.
    """
    exceptions: Any = answer.exceptions
    if exceptions:
        msg = f"Pinterest took the request for customer list {answer.id} but reports that it failed."
        raise RefusedError(msg, status=200)
    return answer
