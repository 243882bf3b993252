"""The API client: one method for each endpoint that the target uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from target_pinterest_audience.pinterest.errors import RefusedError
from target_pinterest_audience.pinterest.models import AdAccount, Audience, CustomerList, CustomerSegment
from target_pinterest_audience.pinterest.request import Answer, Request, Traffic
from target_pinterest_audience.pinterest.signed_requests import OLDEST_FIRST, SignedRequests, TokenSource
from target_pinterest_audience.vocabulary import ListType, Operation, WireFormat

if TYPE_CHECKING:
    from target_pinterest_audience.identities.packed import Records
    from target_pinterest_audience.pinterest.transport import Transport

T = TypeVar("T")


class PinterestClient:
    """The customer lists, audiences and customer segments of one ad account.

    Every method that sends a request raises a `PinterestError` if it fails; the subclass says what can be done.
    """

    def __init__(self, transport: Transport, tokens: TokenSource, ad_account_id: str) -> None:
        """Create it; nothing is sent yet."""
        self._transport = transport
        self._tokens = tokens
        self._requests = SignedRequests(transport, tokens)
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
        return self._requests.pages("/ad_accounts", AdAccount, {})

    def ad_account(self) -> AdAccount:
        """Return the ad account."""
        return self._requests.call(Request("GET", self._account), AdAccount)

    def customer_lists(self) -> Iterator[CustomerList]:
        """Yield the customer lists of the account, page by page, oldest first. Their names are not unique."""
        return self._requests.pages(f"{self._account}/customer_lists", CustomerList)

    def customer_list(self, list_id: str) -> CustomerList:
        """Return one customer list."""
        return self._requests.call(Request("GET", f"{self._account}/customer_lists/{list_id}"), CustomerList)

    def create_customer_list(
        self, name: str, list_type: ListType, records: Records, *, is_nca: bool | None = None
    ) -> CustomerList:
        """Create a list with its first identities: Pinterest creates no empty list.

        The list exists even if its `exceptions` report a failure; the caller has to check them.

        Args:
            name: the name of the list.
            list_type: its type.
            records: the identities, separated by commas.
            is_nca: whether the list is for new customer acquisition, which cannot change later (API description 5.28);
                None leaves the choice to Pinterest.
        """
        body: dict[str, Any] = {"name": name, **_records(records)}
        if list_type is not ListType.PHONE:
            body["list_type"] = list_type.value
        if is_nca is not None:
            body["is_nca"] = is_nca
        request = Request("POST", f"{self._account}/customer_lists", body=body, creates=True, personal=True)
        return self._requests.call(request, CustomerList)

    def update_customer_list(self, list_id: str, operation: Operation, records: Records) -> Answer[CustomerList]:
        """Add identities to a list, or remove them.

        The request is idempotent, except for Pinterest's counters.
        """
        body = {"operation_type": operation.value, **_records(records)}
        request = Request("PATCH", f"{self._account}/customer_lists/{list_id}", body=body, personal=True)
        answer = self._requests.ask(request, CustomerList)
        try:
            raise_exceptions(answer.body)
        except RefusedError as refused:
            refused.unanswered = answer.unanswered
            raise
        return answer

    def audiences(self) -> Iterator[Audience]:
        """Yield the audiences that the account owns, page by page, oldest first.

        Since API description 5.28 the listing has no default ownership, so audiences that others share with the account
        could come too.
        """
        params = {**OLDEST_FIRST, "ownership_type": "OWNED"}
        return self._requests.pages(f"{self._account}/audiences", Audience, params)

    def audience(self, audience_id: str) -> Audience:
        """Return one audience."""
        return self._requests.call(Request("GET", f"{self._account}/audiences/{audience_id}"), Audience)

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
        return self._requests.call(Request("POST", f"{self._account}/audiences", body=body, creates=True), Audience)

    def delete_audience(self, audience_id: str) -> None:
        """Delete an audience, but not its list."""
        body = {"operation_type": "REMOVE"}
        self._requests.call(Request("PATCH", f"{self._account}/audiences/{audience_id}", body=body), Audience)

    def customer_segments(self, search: str | None = None, *, sizing: bool = False) -> Iterator[CustomerSegment]:
        """Yield the customer segments of the account, page by page, oldest first. Their names are not unique.

        Pinterest serves segments only to a person who signed in, not to a token of the app (API description 5.28).

        Args:
            search: what Pinterest searches for; None for all segments. The description does not define how it searches.
            sizing: whether to ask for estimated sizes; see `CustomerSegment.sizing`.
        """
        params = dict(OLDEST_FIRST)
        if search is not None:
            params["search_query"] = search
        if sizing:
            params["include_sizing"] = "true"
        return self._requests.pages(f"{self._account}/customer_segments", CustomerSegment, params)

    def create_customer_segment(self, name: str, audience_ids: Sequence[str]) -> CustomerSegment:
        """Create a customer segment of audiences."""
        body = {"name": name, "audience_ids": list(audience_ids)}
        request = Request("POST", f"{self._account}/customer_segments", body=body, creates=True)
        return self._requests.call(request, CustomerSegment)

    def update_customer_segment(self, segment_id: str, audience_ids: Sequence[str]) -> None:
        """Replace the audiences of a customer segment."""
        self._change_segment({"id": segment_id, "operation_type": "UPDATE", "audience_ids": list(audience_ids)})

    def delete_customer_segment(self, segment_id: str) -> None:
        """Delete a customer segment, but not its audiences."""
        self._change_segment({"id": segment_id, "operation_type": "REMOVE"})

    def _change_segment(self, body: Mapping[str, Any]) -> None:
        # The id is in the body. The description promises no body in return; a recorded live call got `null`.
        self._requests.call(Request("PATCH", f"{self._account}/customer_segments", body=body), Any)

    def listing(self, name: str, kind: type[T]) -> Iterator[T]:
        """Yield the items of another listing of the ad account, page by page, oldest first.

        Args:
            name: its name in the path, such as `ad_groups`.
            kind: the class of the items.
        """
        return self._requests.pages(f"{self._account}/{name}", kind)

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
        return self._requests.call(Request("PATCH", f"{self._account}/audiences/{audience_id}", body=body), Audience)


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
