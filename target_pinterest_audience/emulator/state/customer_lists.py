"""Customer lists: created with records, added to and removed from, but never renamed or deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import Final

from target_pinterest_audience.emulator import members
from target_pinterest_audience.emulator.errors import not_found
from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.settings import Settings
from target_pinterest_audience.emulator.state import validation

# Pinterest's API description 5.23.
LIST_TYPES: Final = ("EMAIL", "IDFA", "MAID", "LR_ID", "DLX_ID", "HASHED_PINNER_ID")
_OPERATION_TYPES: Final = ("ADD", "REMOVE")
USABLE_SIZE: Final = 100  # with fewer matched people, a list or an audience is TOO_SMALL


@dataclass(frozen=True, slots=True)
class CustomerList:
    """A customer list as it was at one moment.

    Attributes:
        id: digits.
        name: not unique.
        list_type: the type that it was created with.
        members: the values on the list, as they were received; a row of `records_v2` is `field:value`.
        num_batches: the number of updates, plus one for the creation.
        num_uploaded_user_records: values received for addition, including duplicates.
        num_removed_user_records: values received for removal, including those that were not on the list.
        status: PROCESSING, READY or TOO_SMALL.
        matched: how many members count as matched.
        created_time: Unix time.
        updated_time: Unix time.
        is_nca: whether it was created for new customer acquisition.
    """

    id: str
    name: str
    list_type: str
    members: frozenset[str]
    num_batches: int
    num_uploaded_user_records: int
    num_removed_user_records: int
    status: str
    matched: int
    created_time: int
    updated_time: int
    is_nca: bool


@dataclass(slots=True)
class _State:
    """The state of one list; `CustomerList` is the copy for others."""

    id: int
    name: str
    list_type: str
    is_nca: bool
    members: set[str]
    created: float
    updated: float
    num_batches: int = 1
    num_uploaded: int = 0
    num_removed: int = 0


class CustomerLists:
    """All customer lists of the account. Not thread-safe: the backend has the lock."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        """Start without a list.

        Args:
            settings: the emulator's.
            clock: returns the Unix time in seconds.
        """
        self._settings = settings
        self._clock = clock
        self._lists: dict[str, _State] = {}
        # Ids start with the time, so that ids of an earlier emulator do not match lists of this one.
        self._next_id = int(clock() * 1000)

    def create(self, body: JsonObject) -> JsonObject:
        """Answer `customer_lists/create`.

        A recorded live call shows that two values are enough, that `list_type` is optional, and that several lists can
        have the same name.

        Raises:
            ApiError: 400 for a body that breaks a rule.
        """
        made = self._add(
            validation.required_text(body, "name"),
            validation.members(body),
            validation.choice(body, "list_type", LIST_TYPES, "EMAIL"),
            is_nca=validation.flag(body, "is_nca"),
        )
        return self._show(made)

    def update(self, list_id: str, body: JsonObject) -> JsonObject:
        """Answer `customer_lists/update`: add or remove values.

        By default the counters include values that change nothing (API description 5.23 and recorded live calls).

        Raises:
            ApiError: 404 for an unknown list, 400 for a body that breaks a rule.
        """
        found = self._find(list_id)
        operation_type = validation.choice(body, "operation_type", _OPERATION_TYPES)
        values = self._as_members(validation.members(body))
        if operation_type == "ADD":
            found.num_uploaded += self._count(values, members.add(found.members, values))
        else:
            removed = members.remove(found.members, values, self._settings.half_rows)
            found.num_removed += self._count(values, removed)
        found.num_batches += 1
        found.updated = self._clock()
        return self._show(found)

    def get(self, list_id: str) -> JsonObject:
        """Answer `customer_lists/get`.

        Raises:
            ApiError: 404 for an unknown list.
        """
        return self._show(self._find(list_id))

    def page(self, query: Mapping[str, str]) -> JsonObject:
        """Answer `customer_lists/list`.

        Raises:
            ApiError: 400 for a query parameter that breaks a rule.
        """
        kept = list(self._lists.values())
        if validation.query_flag(query, "exclude_nca"):
            kept = [each for each in kept if not each.is_nca]
        shown, bookmark = validation.page(query, kept, lambda each: each.id, self._settings.page_size_limit)
        # Recorded live calls have is_nca in this operation only.
        return {"items": [{**self._show(each), "is_nca": each.is_nca} for each in shown], "bookmark": bookmark}

    def seed(self, name: str, records: Iterable[str], list_type: str, *, is_nca: bool) -> CustomerList:
        """Create a list without a request; unlike Pinterest's, it may be empty."""
        return self._copy(self._add(name, list(records), list_type, is_nca=is_nca))

    def copies(self) -> list[CustomerList]:
        """Return all lists, oldest first."""
        return [self._copy(each) for each in self._lists.values()]

    def members(self, list_id: str) -> frozenset[str]:
        """Return the values that are on a list.

        Raises:
            ApiError: 404 for an unknown list.
        """
        return frozenset(self._find(list_id).members)

    def matched(self, list_id: str) -> int:
        """Return how many members of a list count as matched.

        Raises:
            ApiError: 404 for an unknown list.
        """
        return self._matched(self._find(list_id))

    def is_nca(self, list_id: str) -> bool:
        """Return whether a list was created for new customer acquisition.

        Raises:
            ApiError: 404 for an unknown list.
        """
        return self._find(list_id).is_nca

    def __contains__(self, list_id: object) -> bool:
        """Return whether a list exists."""
        return list_id in self._lists

    def _add(self, name: str, values: list[str], list_type: str, *, is_nca: bool) -> _State:
        """Create a list; the creation counts as a batch (API description 5.23)."""
        now, values = self._clock(), self._as_members(values)
        made = _State(self._next_id, name, list_type, is_nca, set(values), now, now)
        made.num_uploaded = self._count(values, len(made.members))
        self._lists[str(self._next_id)] = made
        self._next_id += 1
        return made

    def _as_members(self, values: list[str]) -> list[str]:
        """Return values as the members that they are."""
        return list(map(members.without_case, values)) if self._settings.ignore_device_id_case else values

    def _count(self, received: Sized, changed: int) -> int:
        """Return by how much a counter grows.

        Args:
            received: the values that came.
            changed: how many of them changed the list.
        """
        return changed if self._settings.counters == "changed" else len(received)

    def _find(self, list_id: str) -> _State:
        """Return a list by its id."""
        found = self._lists.get(validation.require_id("customer_list_id", list_id))
        if found is None:
            what = "Customer list"
            raise not_found(what)
        return found

    def _matched(self, found: _State) -> int:
        """Return how many members count as matched."""
        return int(len(found.members) * self._settings.match_percent / 100)

    def _status(self, found: _State) -> str:
        """Return the status at the current time."""
        if self._clock() < found.updated + self._settings.processing_seconds:
            return "PROCESSING"
        return "READY" if self._matched(found) >= USABLE_SIZE else "TOO_SMALL"

    def _show(self, found: _State) -> JsonObject:
        """Return the list as the API shows it (fields as in the API description 5.28)."""
        return {
            **({"is_nca": found.is_nca} if self._settings.is_nca_everywhere else {}),
            "ad_account_id": self._settings.ad_account_id,
            "created_time": int(found.created),
            "exceptions": {},
            "id": str(found.id),
            "name": found.name,
            "num_batches": found.num_batches,
            "num_removed_user_records": found.num_removed,
            "num_uploaded_user_records": found.num_uploaded,
            "status": self._status(found),
            "type": "customerlist",
            "updated_time": int(found.updated),
        }

    def _copy(self, found: _State) -> CustomerList:
        """Return the list as it is now."""
        return CustomerList(
            id=str(found.id),
            name=found.name,
            list_type=found.list_type,
            members=frozenset(found.members),
            num_batches=found.num_batches,
            num_uploaded_user_records=found.num_uploaded,
            num_removed_user_records=found.num_removed,
            status=self._status(found),
            matched=self._matched(found),
            created_time=int(found.created),
            updated_time=int(found.updated),
            is_nca=found.is_nca,
        )
