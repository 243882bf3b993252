"""Customer segments: named sets of audiences that count as existing customers in Performance+ campaigns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from target_pinterest_audience.emulator.errors import invalid_request, not_found
from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.settings import Settings
from target_pinterest_audience.emulator.state import validation
from target_pinterest_audience.emulator.state.audiences import Audiences

# Pinterest's API description 5.28.
ACTIVE: Final = "ACTIVE"
DELETED: Final = "DELETED"
_OPERATION_TYPES: Final = ("UPDATE", "REMOVE")

_ID_OFFSET: Final = 2 * 10**15  # keeps the ids of segments different from those of lists and audiences


@dataclass(frozen=True, slots=True)
class CustomerSegment:
    """A customer segment as it was at one moment.

    Attributes:
        id: digits.
        name: not unique.
        audience_ids: the ids of its audiences.
        status: ACTIVE or DELETED.
        created_time: Unix time.
        updated_time: Unix time.
    """

    id: str
    name: str
    audience_ids: tuple[str, ...]
    status: str
    created_time: int
    updated_time: int


@dataclass(slots=True)
class _State:
    """The state of one segment; `CustomerSegment` is the copy for others."""

    id: int
    name: str
    audience_ids: list[str]
    created: float
    updated: float
    status: str = ACTIVE


class CustomerSegments:
    """All customer segments of the account. Not thread-safe: the backend has the lock."""

    def __init__(self, settings: Settings, clock: Callable[[], float], audiences: Audiences) -> None:
        """Start without a segment.

        Args:
            settings: the emulator's.
            clock: returns the Unix time in seconds.
            audiences: the audiences of the account.
        """
        self._settings = settings
        self._clock = clock
        self._audiences = audiences
        self._segments: dict[str, _State] = {}
        self._next_id = _ID_OFFSET + int(clock() * 1000)

    def create(self, body: JsonObject) -> JsonObject:
        """Answer `customer_segment/create`. Several segments can have the same name.

        Raises:
            ApiError: 400 for a body that breaks a rule, or names an audience that does not exist.
        """
        name = validation.required_text(body, "name")
        return self._show(self._add(name, self._audiences_of(body)))

    def update(self, body: JsonObject) -> None:
        """Answer `customer_segment/update`: replace the audiences, or delete the segment; a segment keeps its name.

        The body names the segment, since the path does not. A recorded live call was answered with `null`.

        Raises:
            ApiError: 404 for an unknown or deleted segment, 400 for a body that breaks a rule.
        """
        found = self._segments.get(validation.require_id("id", body.get("id")))
        operation_type = validation.choice(body, "operation_type", _OPERATION_TYPES)
        if found is None or found.status == DELETED:
            what = "Customer segment"
            raise not_found(what)
        if operation_type == "REMOVE":
            found.status = DELETED
        else:
            found.audience_ids = self._audiences_of(body)
        found.updated = self._clock()

    def page(self, query: Mapping[str, str]) -> JsonObject:
        """Answer `customer_segment/list`.

        Deleted segments stay in the listing: the description has a status for them. `search_query` selects names that
        contain it, in any case; how Pinterest searches is not known. `include_sizing` is accepted and adds nothing,
        because the description has no field for a size.

        Raises:
            ApiError: 400 for a query parameter that breaks a rule.
        """
        validation.query_flag(query, "include_sizing")
        searched = query.get("search_query", "").casefold()
        kept = [each for each in self._segments.values() if searched in each.name.casefold()]
        shown, bookmark = validation.page(query, kept, lambda each: each.id, self._settings.page_size_limit)
        return {"items": [self._show(each) for each in shown], "bookmark": bookmark}

    def seed(self, name: str, audience_ids: Sequence[str]) -> CustomerSegment:
        """Create a segment without a request."""
        return self._copy(self._add(name, list(audience_ids)))

    def copies(self) -> list[CustomerSegment]:
        """Return all segments, deleted ones included, oldest first."""
        return [self._copy(each) for each in self._segments.values()]

    def _audiences_of(self, body: JsonObject) -> list[str]:
        """Return the audiences that a body names."""
        given = body.get("audience_ids")
        if not isinstance(given, list) or not given:
            message = "audience_ids is required and must be a list of audience ids."
            raise invalid_request(message)
        ids = [validation.require_id("audience_ids", each) for each in given]
        if not all(each in self._audiences for each in ids):
            message = "audience_ids names an audience that this ad account does not have."
            raise invalid_request(message)
        return ids

    def _add(self, name: str, audience_ids: list[str]) -> _State:
        """Create a segment."""
        now = self._clock()
        made = _State(self._next_id, name, audience_ids, now, now)
        self._segments[str(self._next_id)] = made
        self._next_id += 1
        return made

    def _show(self, found: _State) -> JsonObject:
        """Return the segment as the API shows it (fields as in the API description 5.28)."""
        return {
            "ad_account_id": self._settings.ad_account_id,
            "audience_ids": list(found.audience_ids),
            "created_time": int(found.created),
            "id": str(found.id),
            "name": found.name,
            "status": found.status,
            "updated_time": int(found.updated),
        }

    def _copy(self, found: _State) -> CustomerSegment:
        """Return the segment as it is now."""
        return CustomerSegment(
            id=str(found.id),
            name=found.name,
            audience_ids=tuple(found.audience_ids),
            status=found.status,
            created_time=int(found.created),
            updated_time=int(found.updated),
        )
