"""The API client: one method for each endpoint that the target uses."""

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
from target_pinterest_audience.vocabulary import ListType, Operation, WireFormat

if TYPE_CHECKING:
    from target_pinterest_audience.identities.packed import Records

T = TypeVar("T")

_PAGE_SIZE: Final = 250
"""Pinterest's maximum (API description 5.23)."""


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


class PinterestClient:
    """The customer lists and audiences of one ad account.

    Every method that sends a request raises a `PinterestError` if it fails; the subclass says what can be done.
    """

    def __init__(self, transport: Transport, tokens: TokenSource, ad_account_id: str) -> None:
        """Create it; nothing is sent yet."""
        self._transport = transport
        self._tokens = tokens
        self._account = f"/ad_accounts/{ad_account_id}"

    @property
    def traffic(self) -> Traffic:
        """The requests so far."""
        return self._transport.traffic

    @property
    def sign_in_seconds(self) -> float | None:
        """For how long the sign-in was valid when it returned a token; None if that is not known."""
        return self._tokens.sign_in_seconds

    def stop(self) -> None:
        """Send no more requests. A request that is under way continues."""
        self._transport.close()

    def close(self) -> None:
        """Wait for a token request that is under way: its result must be stored before the process ends."""
        self._tokens.close()

    def ad_accounts(self) -> Iterator[AdAccount]:
        """Yield the ad accounts of the person who signed in, page by page."""
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

    def create_customer_list(self, name: str, list_type: ListType, records: Records) -> CustomerList:
        """Create a list with its first identities: Pinterest creates no empty list.

        The list exists even if its `exceptions` report a failure; the caller has to check them.
        """
        body = {"name": name, **_records(records)}
        if list_type is not ListType.PHONE:
            body["list_type"] = list_type.value
        request = Request("POST", f"{self._account}/customer_lists", body=body, creates=True, personal=True)
        return self._call(request, CustomerList)

    def update_customer_list(self, list_id: str, operation: Operation, records: Records) -> Answer[CustomerList]:
        """Add identities to a list, or remove them.

        The request is idempotent, except for Pinterest's counters.
        """
        body = {"operation_type": operation.value, **_records(records)}
        request = Request("PATCH", f"{self._account}/customer_lists/{list_id}", body=body, personal=True)
        answer = self._ask(request, CustomerList)
        try:
            raise_exceptions(answer.body)
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
        """Create the audience of a customer list."""
        return self._create_audience("CUSTOMER_LIST", name, {"customer_list_id": customer_list_id}, description)

    def create_lookalike(
        self, name: str, seed_audience_id: str, country: str, percentage: int, description: str | None = None
    ) -> Audience:
        """Create a lookalike audience: people who resemble those of another audience.

        Args:
            name: the name of the new audience.
            seed_audience_id: the other audience; not a list.
            country: where the people live, as a code of two letters.
            percentage: the share of that country's people, from 1 to 10.
            description: the description of the new audience.
        """
        rule = {"seed_id": [seed_audience_id], "country": country, "percentage": percentage}
        return self._create_audience("ACTALIKE", name, rule, description)

    def _create_audience(self, kind: str, name: str, rule: Mapping[str, Any], description: str | None) -> Audience:
        body = {"audience_type": kind, "name": name, "rule": rule}
        if description is not None:
            body["description"] = description
        return self._call(Request("POST", f"{self._account}/audiences", body=body, creates=True), Audience)

    def delete_audience(self, audience_id: str) -> None:
        """Delete an audience, but not its list."""
        body = {"operation_type": "REMOVE"}
        self._call(Request("PATCH", f"{self._account}/audiences/{audience_id}", body=body), Audience)

    def clock_difference(self, now: float) -> float | None:
        """Return how many seconds a clock is ahead of Pinterest's; None if the last response had no date.

        Args:
            now: what the clock shows, as Unix time in seconds.
        """
        return self._transport.clock_difference(now)

    def update_audience(self, audience_id: str, *, name: str, description: str | None = None) -> Audience:
        """Rename an audience, and replace its description if one is given."""
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


def _records(records: Records) -> dict[str, Any]:
    """Return the field of a body that carries identities."""
    wire = WireFormat.RECORDS if isinstance(records, str) else WireFormat.PHONES
    return {wire.value: records}


def raise_exceptions(answer: CustomerList) -> None:
    """Check that a response of status 200 does not report a failure.

    Raises:
        RefusedError: the response's `exceptions` are not empty. The error does not quote them: they may hold a record.
    """
    exceptions: Any = answer.exceptions
    if exceptions:
        msg = f"Pinterest accepted the request for customer list {answer.id} but reports that it failed."
        raise RefusedError(msg, status=200)
