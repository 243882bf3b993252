"""The state of the emulated Pinterest behind one lock, for tests and for the HTTP layer."""

from __future__ import annotations

import random as random_module
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from target_pinterest_audience.emulator.advertising.segments import CustomerSegment, CustomerSegments
from target_pinterest_audience.emulator.advertising.uses import Uses
from target_pinterest_audience.emulator.errors import RATE_LIMIT_EXCEEDED, ApiError
from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.settings import Settings
from target_pinterest_audience.emulator.state.ad_account import AdAccount
from target_pinterest_audience.emulator.state.arguments import Arguments
from target_pinterest_audience.emulator.state.audiences import Audience, Audiences
from target_pinterest_audience.emulator.state.authorization import AuthorizationRequest
from target_pinterest_audience.emulator.state.budget import RateBudget
from target_pinterest_audience.emulator.state.calls import Call
from target_pinterest_audience.emulator.state.credentials import Credentials
from target_pinterest_audience.emulator.state.customer_lists import CustomerList, CustomerLists
from target_pinterest_audience.emulator.state.faults import Attempt, Fault, FaultPlan
from target_pinterest_audience.emulator.state.operations import SEGMENT_UPDATE, TOKEN_OPERATION, Operation, RateCategory
from target_pinterest_audience.emulator.state.postponed import PostponedOperations
from target_pinterest_audience.emulator.state.waits import Waits
from target_pinterest_audience.emulator.uploads import Uploads


class _State:
    """Everything that a reset deletes."""

    def __init__(self, settings: Settings, clock: Callable[[], float], random: random_module.Random) -> None:
        """Start with an empty account."""
        self.lists: Final = CustomerLists(settings, clock)
        self.audiences: Final = Audiences(settings, clock, self.lists)
        self.segments: Final = CustomerSegments(settings, clock, self.audiences)
        self.uploads: Final = Uploads(settings, clock, self.lists)
        self.uses: Final = Uses(settings, clock)
        self.credentials: Final = Credentials(settings, clock, random)
        limits: dict[RateCategory, int] = {
            "ads_read": settings.ads_read_per_minute,
            "ads_write": settings.ads_write_per_minute,
            "org_read": settings.org_read_per_minute,
        }
        self.budget: Final = RateBudget(limits, clock, settings.rate_limit_reset)
        self.faults: Final = FaultPlan()
        self.calls: Final[deque[Call]] = deque(maxlen=settings.max_calls)
        self.in_flight: Final[set[str]] = set()
        self.postponed: Final = PostponedOperations()


class Backend:
    """One ad account with its customer lists and audiences, and what uses them. Thread-safe."""

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
            clock: returns the Unix time in seconds.
            random: generates tokens and request ids; None for a generator that starts the same way each time.
        """
        self.settings: Final = settings or Settings()
        self.clock: Final = clock
        self._random = random or random_module.Random(0)  # noqa: S311 - the tokens open nothing
        self._lock = threading.Lock()
        self.waits: Final = Waits()
        self._account: Final = AdAccount(self.settings)
        self._state = _State(self.settings, clock, self._random)
        self._operations: Final[dict[str, Callable[[Arguments], JsonObject | None]]] = {
            TOKEN_OPERATION: self._exchange,
            "ad_accounts/list": lambda given: self._account.page(given.query),
            "ad_accounts/get": lambda _given: self._account.get(),
            "customer_lists/list": lambda given: self._state.lists.page(given.query),
            "customer_lists/create": lambda given: self._state.lists.create(given.required_body()),
            "customer_lists/get": lambda given: self._state.lists.get(given.ids["customer_list_id"]),
            "customer_lists/update": lambda given: self._state.lists.update(
                given.ids["customer_list_id"], given.required_body()
            ),
            "customer_list_uploads/create": lambda given: self._state.uploads.create(
                given.ids["customer_list_id"], given.required_body()
            ),
            "audiences/list": lambda given: self._state.audiences.page(given.query),
            "audiences/create": lambda given: self._state.audiences.create(given.required_body()),
            "audiences/get": lambda given: self._state.audiences.get(given.ids["audience_id"]),
            "audiences/update": lambda given: self._state.audiences.update(
                given.ids["audience_id"], given.required_body()
            ),
            "ad_groups/list": lambda given: self._state.uses.ad_groups(given.query),
            "campaigns/list": lambda given: self._state.uses.campaigns(given.query),
            "customer_segment/list": lambda given: self._state.segments.page(given.query),
            "customer_segment/create": lambda given: self._state.segments.create(given.required_body()),
            SEGMENT_UPDATE: lambda given: self._state.segments.update(given.required_body()),
        }

    # For tests: look at the state, prepare it, and inject faults.

    @property
    def calls(self) -> list[Call]:
        """The calls so far, in the order in which they were answered."""
        with self._lock:
            return list(self._state.calls)

    def writes(self, list_id: str | None = None) -> list[Call]:
        """Return the calls that created or changed a customer list, without those that were refused.

        Args:
            list_id: only calls on this list; None for all.
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
        """Return the customer lists as they are now, oldest first."""
        with self._lock:
            return self._state.lists.copies()

    def audiences(self) -> list[Audience]:
        """Return the audiences as they are now, oldest first."""
        with self._lock:
            return self._state.audiences.copies()

    def segments(self) -> list[CustomerSegment]:
        """Return the customer segments as they are now, deleted ones included, oldest first."""
        with self._lock:
            return self._state.segments.copies()

    def create_list(
        self, name: str, records: Iterable[str] = (), list_type: str = "EMAIL", *, is_nca: bool = False
    ) -> CustomerList:
        """Create a customer list without a call; unlike Pinterest's, it may be empty."""
        with self._lock:
            return self._state.lists.seed(name, records, list_type, is_nca=is_nca)

    def create_audience(self, name: str, customer_list_id: str, description: str | None = None) -> Audience:
        """Create an audience from a customer list without a call.

        Raises:
            ApiError: there is no such list.
        """
        with self._lock:
            self._state.lists.matched(customer_list_id)
            return self._state.audiences.seed(name, customer_list_id, description)

    def place_audience(self, name: str, audience_type: str, rule: JsonObject, *, received: bool = False) -> Audience:
        """Put an audience of any type into the account, without a call and without checks.

        Args:
            name: its name.
            audience_type: Pinterest's name of the type, such as `VISITOR`.
            rule: the rule, which is shown as it is: API description 5.28 allows several forms of some rules.
            received: whether someone else shares it with the account.
        """
        with self._lock:
            return self._state.audiences.place(name, audience_type, rule, received=received)

    def create_segment(self, name: str, audience_ids: Iterable[str]) -> CustomerSegment:
        """Create a customer segment without a call and without checks."""
        with self._lock:
            return self._state.segments.seed(name, list(audience_ids))

    def create_ad_group(
        self,
        name: str,
        *,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        status: str = "ACTIVE",
        customer_segment_id: str | None = None,
    ) -> str:
        """Create an ad group that uses lists or audiences, and return its id.

        Raises:
            ApiError: the status is not one of Pinterest's.
        """
        with self._lock:
            return self._state.uses.add_ad_group(name, include, exclude, status, customer_segment_id)

    def create_campaign(self, name: str, *, exclude: Iterable[str] = (), status: str = "ACTIVE") -> str:
        """Create a campaign that excludes lists or audiences, and return its id. Raises as `create_ad_group` does."""
        with self._lock:
            return self._state.uses.add_campaign(name, exclude, status)

    def inject(self, fault: Fault) -> None:
        """Add a fault. Faults that match the same calls happen one after the other."""
        with self._lock:
            self._state.faults.add(fault)

    def clear_faults(self) -> None:
        """Delete the faults that have not happened yet, and end the delays that are under way."""
        with self._lock:
            self._state.faults.clear()
        self.waits.end()

    def carry_out_late(self) -> None:
        """Carry out what `late` faults have postponed; operations that are refused then change nothing."""
        with self._lock:
            self._carry_out(self._state.postponed.take_all())

    def expire_access_tokens(self) -> None:
        """Let every access token expire now; refresh tokens go on working."""
        with self._lock:
            self._state.credentials.expire_access_tokens()

    def reset(self) -> None:
        """Start over: delete lists, audiences, what uses them, issued tokens, spent budgets, faults and calls."""
        with self._lock:
            self._state = _State(self.settings, self.clock, self._random)

    def authorize(self, asked: AuthorizationRequest) -> str:
        """Return a code for what a person has allowed, as the consent page does."""
        with self._lock:
            return self._state.credentials.authorize(asked)

    # For the HTTP layer, in the order in which it handles a call.

    def admit(self, operation: Operation, token: str | None) -> None:
        """Check the token of a call, and take the call out of the rate budget.

        Args:
            operation: the operation that is called.
            token: the Bearer token; None if there is none.

        Raises:
            ApiError: 401 or 403 for a token that does not work, 429 for a budget that is spent.
        """
        with self._lock:
            if operation.name != TOKEN_OPERATION:
                self._state.credentials.check(token, needs_person=operation.needs_person)
            self._state.budget.spend(operation.category)

    @contextmanager
    def in_flight(self, target: str | None) -> Iterator[None]:
        """Hold an object for as long as a write on it takes.

        Args:
            target: the path of the object; None for a call that holds none.

        Raises:
            ApiError: 429 code 8, another write holds the object. Pinterest's API description 5.23 has that status also
                for several writes on an object within a short time.
        """
        if target is None:
            yield
            return
        with self._lock:
            held = self._state.in_flight
            if target in held:
                message = "Another write on this object is in progress. Try again later."
                # This limit ends with the other write, not with the minute.
                raise ApiError(429, RATE_LIMIT_EXCEEDED, message, {"x-ratelimit-reset": "1"})
            held.add(target)
        try:
            yield
        finally:
            with self._lock:
                held.discard(target)

    def take_fault(self, attempt: Attempt) -> Fault | None:
        """Return the fault that a call meets, if any, and count the call."""
        with self._lock:
            return self._state.faults.take(attempt)

    def perform(self, operation: Operation, given: Arguments) -> JsonObject | None:
        """Carry out an operation.

        Returns:
            The body of its answer; None for the body `null`.

        Raises:
            ApiError: the operation is refused, and nothing was changed.
        """
        with self._lock:
            result = self._perform(operation, given)
            if operation.method != "GET" and operation.name != TOKEN_OPERATION:
                self._carry_out(self._state.postponed.count_write())
            return result

    def postpone(self, operation: Operation, given: Arguments, writes: int) -> None:
        """Carry out an operation later.

        Args:
            operation: the operation.
            given: its arguments.
            writes: after how many further writes.
        """
        with self._lock:
            self._state.postponed.add(operation, given, writes)

    def headers(self, category: RateCategory) -> dict[str, str]:
        """Return the headers that every answer has: the request's id and the rate limit."""
        with self._lock:
            request_id = str(self._random.randrange(10**15, 10**16))
            return {"x-pinterest-rid": request_id, **self._state.budget.headers(category)}

    def record(self, call: Call) -> None:
        """Remember a call."""
        with self._lock:
            self._state.calls.append(call)

    # From here on, the lock is held.

    def _carry_out(self, due: Iterable[tuple[Operation, Arguments]]) -> None:
        for operation, given in due:
            with suppress(ApiError):
                self._perform(operation, given)

    def _perform(self, operation: Operation, given: Arguments) -> JsonObject | None:
        if "ad_account_id" in given.ids:
            self._account.check_access(given.ids["ad_account_id"])
        return self._operations[operation.name](given)

    def _exchange(self, given: Arguments) -> JsonObject:
        """Answer `oauth/token`."""
        form = {name: str(value) for name, value in (given.body or {}).items()}
        return self._state.credentials.exchange(given.client, form)
