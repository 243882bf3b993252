"""Audiences from customer lists, and look-alike audiences; they can be renamed and removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from target_pinterest_audience.emulator.errors import invalid_request, not_found
from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.settings import Settings
from target_pinterest_audience.emulator.state import validation
from target_pinterest_audience.emulator.state.customer_lists import USABLE_SIZE, CustomerLists

CUSTOMER_LIST: Final = "CUSTOMER_LIST"
ACTALIKE: Final = "ACTALIKE"
# Pinterest's API description 5.28.
_AUDIENCE_TYPES: Final = (CUSTOMER_LIST, "VISITOR", "ENGAGEMENT", ACTALIKE, "PERSONA")
_OPERATION_TYPES: Final = ("UPDATE", "REMOVE")
_OWNERSHIP_TYPES: Final = ("OWNED", "RECEIVED")

_LARGEST_PERCENTAGE: Final = 10
_PERCENTAGES: Final = frozenset(str(number) for number in range(1, _LARGEST_PERCENTAGE + 1))
_PEOPLE_A_PERCENT: Final = 1_000_000  # invented: a look-alike is a share of a country, other audiences are a percent

_ID_OFFSET: Final = 10**15  # keeps the ids of audiences different from those of lists


@dataclass(frozen=True, slots=True)
class Audience:
    """An audience as it was at one moment.

    Attributes:
        id: digits.
        name: not unique.
        description: None if it has none.
        customer_list_id: the list of the account that it was created from; None if there is none.
        status: INITIALIZING, READY or TOO_SMALL.
        size: the matched people of the list; None while it is INITIALIZING.
        created_timestamp: Unix time.
        updated_timestamp: Unix time.
    """

    id: str
    name: str
    description: str | None
    customer_list_id: str | None
    status: str
    size: int | None
    created_timestamp: int
    updated_timestamp: int


@dataclass(slots=True)
class _State:
    """The state of one audience; `Audience` is the copy for others."""

    id: int
    name: str
    description: str | None
    audience_type: str
    rule: JsonObject
    created: float
    updated: float
    received: bool
    """Whether someone else shares it with the account."""

    @property
    def customer_list_id(self) -> str | None:
        """The list of the account that it was created from; None if there is none."""
        of_own_list = self.audience_type == CUSTOMER_LIST and not self.received
        return str(self.rule["customer_list_id"]) if of_own_list else None


class Audiences:
    """All audiences of the account. Not thread-safe: the backend has the lock."""

    def __init__(self, settings: Settings, clock: Callable[[], float], lists: CustomerLists) -> None:
        """Start without an audience.

        Args:
            settings: the emulator's.
            clock: returns the Unix time in seconds.
            lists: the customer lists of the account.
        """
        self._settings = settings
        self._clock = clock
        self._lists = lists
        self._audiences: dict[str, _State] = {}
        self._next_id = _ID_OFFSET + int(clock() * 1000)

    def create(self, body: JsonObject) -> JsonObject:
        """Answer `audiences/create`.

        Raises:
            ApiError: 400 for a body that breaks a rule, for an audience type other than CUSTOMER_LIST and ACTALIKE, and
                for a list below `audience_minimum`.
        """
        audience_type = validation.choice(body, "audience_type", _AUDIENCE_TYPES)
        name = validation.required_text(body, "name")
        description = validation.text(body, "description")
        if audience_type == ACTALIKE:
            return self._show(self._add(name, ACTALIKE, self._alike(body.get("rule")), description))
        if audience_type != CUSTOMER_LIST:
            message = "This emulator supports only audiences of type CUSTOMER_LIST and ACTALIKE."
            raise invalid_request(message)
        list_id = self._list_of(body.get("rule"))
        if self._lists.matched(list_id) < self._settings.audience_minimum:
            # Pinterest's guide to audiences names a minimum, but other integrations create a list and its audience
            # together, without one. So the minimum is an option.
            message = f"An audience needs at least {self._settings.audience_minimum} members."
            raise invalid_request(message)
        return self._show(self._add(name, CUSTOMER_LIST, {"customer_list_id": list_id}, description))

    def update(self, audience_id: str, body: JsonObject) -> JsonObject:
        """Answer `audiences/update`: change name or description, or remove the audience.

        Raises:
            ApiError: 404 for an unknown audience, 400 for a body that breaks a rule or would change the rule.
        """
        found = self._find(audience_id)
        if validation.choice(body, "operation_type", _OPERATION_TYPES, "UPDATE") == "REMOVE":
            del self._audiences[audience_id]
            return self._show(found)
        name = validation.required_text(body, "name") if "name" in body else found.name
        description = validation.text(body, "description") if "description" in body else found.description
        if "rule" in body and self._list_of(body["rule"]) != found.customer_list_id:
            message = "This emulator does not support changing the rule of an audience."
            raise invalid_request(message)
        found.name, found.description, found.updated = name, description, self._clock()
        return self._show(found)

    def get(self, audience_id: str) -> JsonObject:
        """Answer `audiences/get`.

        Raises:
            ApiError: 404 for an unknown audience.
        """
        return self._show(self._find(audience_id))

    def page(self, query: Mapping[str, str]) -> JsonObject:
        """Answer `audiences/list`.

        Without `ownership_type`, audiences that others share with the account come too, unless the settings say that
        they do not. API description 5.28 no longer has a default for it; what Pinterest does is not known.

        Raises:
            ApiError: 400 for a query parameter that breaks a rule.
        """
        kept = list(self._audiences.values())
        if "ownership_type" in query:
            received = validation.choice(query, "ownership_type", _OWNERSHIP_TYPES) == "RECEIVED"
            kept = [each for each in kept if each.received == received]
        elif not self._settings.list_received_audiences:
            kept = [each for each in kept if not each.received]
        if validation.query_flag(query, "exclude_nca"):
            kept = [each for each in kept if not self._is_nca(each)]
        shown, bookmark = validation.page(query, kept, lambda each: each.id, self._settings.page_size_limit)
        # Recorded live calls have is_ctv_enabled in this operation.
        return {"items": [{**self._show(each), "is_ctv_enabled": False} for each in shown], "bookmark": bookmark}

    def seed(self, name: str, customer_list_id: str, description: str | None) -> Audience:
        """Create an audience without a request."""
        return self._copy(self._add(name, CUSTOMER_LIST, {"customer_list_id": customer_list_id}, description))

    def place(self, name: str, audience_type: str, rule: JsonObject, *, received: bool) -> Audience:
        """Create an audience of any type without a request and without checks."""
        return self._copy(self._add(name, audience_type, rule, None, received=received))

    def __contains__(self, audience_id: object) -> bool:
        """Return whether an audience exists."""
        return audience_id in self._audiences

    def copies(self) -> list[Audience]:
        """Return all audiences, oldest first."""
        return [self._copy(each) for each in self._audiences.values()]

    def _list_of(self, rule: object) -> str:
        """Return the list that a rule names (API description 5.23: `{"customer_list_id": "<id>"}`)."""
        if not isinstance(rule, dict):
            message = "rule is required and must be an object."
            raise invalid_request(message)
        list_id = validation.require_id("rule.customer_list_id", rule.get("customer_list_id"))
        if list_id not in self._lists:
            message = "rule.customer_list_id is not a customer list of this ad account."
            raise invalid_request(message)
        return list_id

    def _alike(self, rule: object) -> JsonObject:
        """Check the rule of a look-alike: seed audiences, country and percentage.

        API description 5.28 has rules with one seed as a text, and with the percentage as a text. Both are accepted,
        and shown as they came.
        """
        seeds = rule.get("seed_id") if isinstance(rule, dict) else None
        if not isinstance(rule, dict) or not isinstance(seeds, (list, str)) or not seeds:
            message = "rule.seed_id is required and must be an audience id or a list of them."
            raise invalid_request(message)
        for seed in [seeds] if isinstance(seeds, str) else seeds:
            self._find(str(seed))
        country, percentage = rule.get("country"), rule.get("percentage")
        if not isinstance(country, str) or len(country) != len("US"):
            message = "rule.country is required and must be a code of two letters."
            raise invalid_request(message)
        if str(percentage) not in _PERCENTAGES:
            message = f"rule.percentage is required and must be from 1 to {_LARGEST_PERCENTAGE}."
            raise invalid_request(message)
        return {"seed_id": seeds, "country": country, "percentage": percentage}

    def _add(
        self, name: str, audience_type: str, rule: JsonObject, description: str | None, *, received: bool = False
    ) -> _State:
        """Create an audience."""
        now = self._clock()
        made = _State(self._next_id, name, description, audience_type, rule, now, now, received)
        self._audiences[str(self._next_id)] = made
        self._next_id += 1
        return made

    def _find(self, audience_id: str) -> _State:
        """Return an audience by its id."""
        found = self._audiences.get(validation.require_id("audience_id", audience_id))
        if found is None:
            what = "Audience"
            raise not_found(what)
        return found

    def _size_and_status(self, found: _State) -> tuple[int | None, str]:
        """Return size and status now. There is no size while it is INITIALIZING, as in recorded live calls."""
        if self._clock() < found.created + self._settings.processing_seconds:
            return None, "INITIALIZING"
        if found.customer_list_id is None:
            return int(str(found.rule.get("percentage", 1))) * _PEOPLE_A_PERCENT, "READY"
        size = self._lists.matched(found.customer_list_id)
        return size, "READY" if size >= USABLE_SIZE else "TOO_SMALL"

    def _is_nca(self, found: _State) -> bool:
        """Return whether the audience comes from a list for new customer acquisition."""
        return found.customer_list_id is not None and self._lists.is_nca(found.customer_list_id)

    def _show(self, found: _State) -> JsonObject:
        """Return the audience as the API shows it (fields as in the API description 5.28)."""
        size, status = self._size_and_status(found)
        return {
            "ad_account_id": self._settings.ad_account_id,
            "audience_type": found.audience_type,
            "created_timestamp": int(found.created),
            "description": found.description,
            "id": str(found.id),
            "is_nca": self._is_nca(found),
            "name": found.name,
            "rule": found.rule,
            "size": size,
            "status": status,
            "type": "audience",
            "updated_timestamp": int(found.updated),
        }

    def _copy(self, found: _State) -> Audience:
        """Return the audience as it is now."""
        size, status = self._size_and_status(found)
        return Audience(
            id=str(found.id),
            name=found.name,
            description=found.description,
            customer_list_id=found.customer_list_id,
            status=status,
            size=size,
            created_timestamp=int(found.created),
            updated_timestamp=int(found.updated),
        )
