"""Ad groups and campaigns, as far as they say which audiences they use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.settings import Settings
from target_pinterest_audience.emulator.state import validation

# API description 5.28.
_STATUSES: Final = ("ACTIVE", "PAUSED", "ARCHIVED", "DRAFT", "DELETED_DRAFT")
_SHOWN_BY_DEFAULT: Final = frozenset({"ACTIVE", "PAUSED"})

# Keeps the ids different from those of lists, audiences and segments.
_ID_OFFSET: Final = 3 * 10**15


class Uses:
    """The ad groups and campaigns of the account. Not thread-safe: the backend has the lock."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        """Start without any.

        Args:
            settings: the emulator's.
            clock: returns the Unix time in seconds.
        """
        self._settings = settings
        self._ad_groups: list[JsonObject] = []
        self._campaigns: list[JsonObject] = []
        self._next_id = _ID_OFFSET + int(clock() * 1000)

    def add_ad_group(
        self, name: str, include: Iterable[str], exclude: Iterable[str], status: str, segment_id: str | None
    ) -> str:
        """Create an ad group without a request, and return its id.

        Args:
            name: its name.
            include: ids of lists or audiences that it shows ads to.
            exclude: ids of lists or audiences that it shows no ads to.
            status: one of Pinterest's.
            segment_id: the customer segment that it uses, if any.

        Raises:
            ApiError: 400 for an unknown status.
        """
        targeting = {"AUDIENCE_INCLUDE": list(include), "AUDIENCE_EXCLUDE": list(exclude)}
        return self._add(
            self._ad_groups, name, status,
            campaign_id=None, customer_segment_id=segment_id, type="adgroup",
            targeting_spec={key: ids for key, ids in targeting.items() if ids},
        )  # fmt: skip

    def add_campaign(self, name: str, exclude: Iterable[str], status: str) -> str:
        """Create a campaign without a request, and return its id. The arguments are those of `add_ad_group`."""
        settings = {"pinner_list_exclusions": list(exclude)}
        return self._add(self._campaigns, name, status, performance_plus_campaign_settings=settings, type="campaign")

    def ad_groups(self, query: Mapping[str, str]) -> JsonObject:
        """Answer `ad_groups/list`. Raises as `campaigns` does."""
        return self._page(self._ad_groups, query)

    def campaigns(self, query: Mapping[str, str]) -> JsonObject:
        """Answer `campaigns/list`: those that are active or paused, unless `entity_statuses` asks for another.

        Raises:
            ApiError: 400 for a query parameter that breaks a rule.
        """
        return self._page(self._campaigns, query)

    def _add(self, made: list[JsonObject], name: str, status: str, **fields: object) -> str:
        validation.choice({"status": status}, "status", _STATUSES)
        number = str(self._next_id)
        self._next_id += 1
        made.append(
            {"id": number, "ad_account_id": self._settings.ad_account_id, "name": name, "status": status, **fields}
        )
        return number

    def _page(self, items: Sequence[JsonObject], query: Mapping[str, str]) -> JsonObject:
        wanted: frozenset[object] = _SHOWN_BY_DEFAULT
        if "entity_statuses" in query:
            wanted = frozenset({validation.choice(query, "entity_statuses", _STATUSES)})
        kept = [each for each in items if each["status"] in wanted]
        shown, bookmark = validation.page(
            query, kept, lambda each: int(str(each["id"])), self._settings.page_size_limit
        )
        return {"items": list(shown), "bookmark": bookmark}
