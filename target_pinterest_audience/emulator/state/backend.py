"""The state of the emulated Pinterest, and what its operations do to it. No HTTP in here."""

from __future__ import annotations

import random as random_module
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from target_pinterest_audience.emulator.errors import (
    ACCESS_NOT_PERMITTED,
    AUTHENTICATION_FAILED,
    RATE_LIMIT_EXCEEDED,
    ApiError,
    invalid_request,
)
from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.settings import Settings
from target_pinterest_audience.emulator.state import validation
from target_pinterest_audience.emulator.state.audiences import Audience, Audiences
from target_pinterest_audience.emulator.state.authorization import AuthorizationRequest
from target_pinterest_audience.emulator.state.budget import RateBudget
from target_pinterest_audience.emulator.state.calls import Call
from target_pinterest_audience.emulator.state.credentials import Client, Credentials
from target_pinterest_audience.emulator.state.customer_lists import CustomerList, CustomerLists
from target_pinterest_audience.emulator.state.faults import Attempt, Fault, FaultPlan
from target_pinterest_audience.emulator.state.operations import TOKEN_OPERATION, Operation, RateCategory
from target_pinterest_audience.emulator.state.waits import Waits


@dataclass(frozen=True, slots=True)
class Arguments:
    """What an operation is called with.

    Attributes:
        ids: the ids in the path, by name.
        query: the query parameters.
        body: the parsed body; None when it was missing or no JSON object (or form, for a token).
        client: the application, for a token.
    """

    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: JsonObject | None = None
    client: Client | None = None

    def required_body(self) -> JsonObject:
        """Return the body.

        Raises:
            ApiError: 400, there is none that could be read.
        """
        if self.body is None:
            message = "The body must be a JSON object."
            raise invalid_request(message)
        return self.body


@dataclass(slots=True)
class _Postponed:
    """An operation whose caller has its answer, or has given up, and that is yet to be carried out."""

    operation: Operation
    given: Arguments
    writes: int
    """After how many further ones it is its turn."""


class _State:
    """Everything that a reset forgets."""

    def __init__(self, settings: Settings, clock: Callable[[], float], random: random_module.Random) -> None:
        """Start from nothing."""
        self.lists: Final = CustomerLists(settings, clock)
        self.audiences: Final = Audiences(settings, clock, self.lists)
        self.credentials: Final = Credentials(settings, clock, random)
        limits: dict[RateCategory, int] = {
            "ads_read": settings.ads_read_per_minute,
            "ads_write": settings.ads_write_per_minute,
            "org_read": settings.org_read_per_minute,
        }
        self.budget: Final = RateBudget(limits, clock)
        self.faults: Final = FaultPlan()
        self.calls: Final[deque[Call]] = deque(maxlen=settings.max_calls)
        self.in_flight: Final[set[str]] = set()
        self.postponed: Final[list[_Postponed]] = []


class Backend:
    """One ad account with its customer lists and audiences, for any number of threads."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Callable[[], float] = time.time,
        random: random_module.Random | None = None,
    ) -> None:
        """Start with an empty account.

        Args:
            settings: the options; None for the defaults.
            clock: returns the time in seconds since the epoch.
            random: makes tokens and request ids; None for one that makes the same ones every time.
        """
        self.settings: Final = settings or Settings()
        self.clock: Final = clock
        self._random = random or random_module.Random(0)  # noqa: S311 - the tokens open nothing
        self._lock = threading.Lock()
        self.waits = Waits()
        self._state = _State(self.settings, clock, self._random)
        self._operations: Final[dict[str, Callable[[Arguments], JsonObject]]] = {
            TOKEN_OPERATION: self._exchange,
            "ad_accounts/list": self._ad_accounts,
            "ad_accounts/get": self._ad_account,
            "customer_lists/list": lambda given: self._state.lists.page(given.query),
            "customer_lists/create": lambda given: self._state.lists.create(given.required_body()),
            "customer_lists/get": lambda given: self._state.lists.get(given.ids["customer_list_id"]),
            "customer_lists/update": lambda given: self._state.lists.update(
                given.ids["customer_list_id"], given.required_body()
            ),
            "audiences/list": lambda given: self._state.audiences.page(given.query),
            "audiences/create": lambda given: self._state.audiences.create(given.required_body()),
            "audiences/get": lambda given: self._state.audiences.get(given.ids["audience_id"]),
            "audiences/update": lambda given: self._state.audiences.update(
                given.ids["audience_id"], given.required_body()
            ),
        }

    # For tests: what is there, what was called, and what shall go wrong.

    @property
    def calls(self) -> list[Call]:
        """The calls so far, in the order in which they were answered."""
        with self._lock:
            return list(self._state.calls)

    def writes(self, list_id: str | None = None) -> list[Call]:
        """Return the calls that made or changed a customer list, refused ones left out.

        Args:
            list_id: only those of this list; None for all.
        """
        return [call for call in self.calls if call.is_list_write and list_id in {None, call.list_id}]

    def members(self, list_id: str) -> frozenset[str]:
        """Return the values on a list, as they were received.

        Raises:
            ApiError: there is no such list.
        """
        with self._lock:
            return self._state.lists.members(list_id)

    def customer_lists(self) -> list[CustomerList]:
        """Return the customer lists as they are now, the oldest first."""
        with self._lock:
            return self._state.lists.copies()

    def audiences(self) -> list[Audience]:
        """Return the audiences as they are now, the oldest first."""
        with self._lock:
            return self._state.audiences.copies()

    def create_list(self, name: str, records: Iterable[str] = (), list_type: str = "EMAIL") -> CustomerList:
        """Make a customer list without a call; unlike Pinterest's, it may be empty."""
        with self._lock:
            return self._state.lists.seed(name, records, list_type)

    def create_audience(self, name: str, customer_list_id: str, description: str | None = None) -> Audience:
        """Make an audience from a customer list without a call.

        Raises:
            ApiError: there is no such list.
        """
        with self._lock:
            self._state.lists.matched(customer_list_id)
            return self._state.audiences.seed(name, customer_list_id, description)

    def inject(self, fault: Fault) -> None:
        """Let something go wrong; faults on the same calls happen one after the other."""
        with self._lock:
            self._state.faults.add(fault)

    def clear_faults(self) -> None:
        """Forget the faults that have not happened yet, and end the delays that are under way."""
        with self._lock:
            self._state.faults.clear()
        self.waits.end()

    def carry_out_late(self) -> None:
        """Carry out now what `late` faults have postponed; what is refused then changes nothing."""
        with self._lock:
            self._carry_out(list(self._state.postponed))

    def expire_access_tokens(self) -> None:
        """Make every access token so far worthless, as if its time was over; refresh tokens go on working."""
        with self._lock:
            self._state.credentials.expire_access_tokens()

    def reset(self) -> None:
        """Forget everything: lists, audiences, tokens issued, budgets spent, faults and calls."""
        with self._lock:
            self._state = _State(self.settings, self.clock, self._random)

    def authorize(self, asked: AuthorizationRequest) -> str:
        """Return a code for what a person has allowed, as the consent page does."""
        with self._lock:
            return self._state.credentials.authorize(asked)

    # For the HTTP layer, in the order in which a call goes through them.

    def admit(self, operation: Operation, token: str | None) -> None:
        """Let a call in, and take it out of the budget.

        Args:
            operation: what is called.
            token: the Bearer token; None when there is none.

        Raises:
            ApiError: 401 for a token that does not work, 429 for a budget that is spent.
        """
        with self._lock:
            if operation.name != TOKEN_OPERATION:
                self._state.credentials.check(token)
            self._state.budget.spend(operation.category)

    @contextmanager
    def in_flight(self, target: str | None) -> Iterator[None]:
        """Hold an object for as long as a write on it takes.

        Args:
            target: the path of the object; None for a call that holds none.

        Raises:
            ApiError: 429 code 8 when another write holds it: Pinterest's API description 5.23 has that status for
                several writes on an object within a short time, too.
        """
        if target is None:
            yield
            return
        with self._lock:
            held = self._state.in_flight
            if target in held:
                message = "Another write on this object is in progress. Try again later."
                # This limit is free again as soon as the other write is over, not when the minute is.
                raise ApiError(429, RATE_LIMIT_EXCEEDED, message, {"x-ratelimit-reset": "1"})
            held.add(target)
        try:
            yield
        finally:
            with self._lock:
                held.discard(target)

    def take_fault(self, attempt: Attempt) -> Fault | None:
        """Return the fault that a call meets, if any, and count it."""
        with self._lock:
            return self._state.faults.take(attempt)

    def perform(self, operation: Operation, given: Arguments) -> JsonObject:
        """Carry out an operation.

        Returns:
            The body of its answer.

        Raises:
            ApiError: it is refused, and nothing was changed.
        """
        with self._lock:
            result = self._perform(operation, given)
            if operation.method != "GET" and operation.name != TOKEN_OPERATION:
                for each in self._state.postponed:
                    each.writes -= 1
                self._carry_out([each for each in self._state.postponed if each.writes <= 0])
            return result

    def postpone(self, operation: Operation, given: Arguments, writes: int) -> None:
        """Carry out an operation later.

        Args:
            operation: what is called.
            given: what it is called with.
            writes: after how many further calls that change something.
        """
        with self._lock:
            self._state.postponed.append(_Postponed(operation, given, writes))

    def headers(self, category: RateCategory) -> dict[str, str]:
        """Return the headers that every answer has: the request's id and the rate limit."""
        with self._lock:
            request_id = str(self._random.randrange(10**15, 10**16))
            return {"x-pinterest-rid": request_id, **self._state.budget.headers(category)}

    def record(self, call: Call) -> None:
        """Remember a call."""
        with self._lock:
            self._state.calls.append(call)

    def _carry_out(self, postponed: Iterable[_Postponed]) -> None:
        for each in postponed:
            self._state.postponed.remove(each)
            with suppress(ApiError):
                self._perform(each.operation, each.given)

    def _perform(self, operation: Operation, given: Arguments) -> JsonObject:
        if "ad_account_id" in given.ids:
            self._check_account(given.ids["ad_account_id"])
        return self._operations[operation.name](given)

    # The operations that are not a list's or an audience's. The lock is held.

    def _check_account(self, ad_account_id: str) -> None:
        """Let a call on an ad account pass."""
        validation.require_id("ad_account_id", ad_account_id)
        if ad_account_id in self.settings.forbidden_ad_account_ids:
            raise ApiError(403, ACCESS_NOT_PERMITTED, "You are not permitted to access that resource.")
        if ad_account_id != self.settings.ad_account_id:
            # Code 2 is the example of the API description 5.23; the status is not stated there.
            raise ApiError(404, AUTHENTICATION_FAILED, "AdAccount not found.")

    def _ad_account(self, _given: Arguments) -> JsonObject:
        """Answer `ad_accounts/get`."""
        return {
            "country": "US",
            "currency": "USD",
            "id": self.settings.ad_account_id,
            "name": self.settings.ad_account_name,
            "owner": {"id": "383791336903426391", "username": "emulated"},
            "permissions": list(self.settings.permissions),
        }

    def _ad_accounts(self, given: Arguments) -> JsonObject:
        """Answer `ad_accounts/list`: the one account there is."""
        limit = self.settings.page_size_limit
        shown, bookmark = validation.page(
            given.query, [self._ad_account(given)], lambda each: int(str(each["id"])), limit
        )
        return {"items": shown, "bookmark": bookmark}

    def _exchange(self, given: Arguments) -> JsonObject:
        """Answer `oauth/token`."""
        form = {name: str(value) for name, value in (given.body or {}).items()}
        return self._state.credentials.exchange(given.client, form)
