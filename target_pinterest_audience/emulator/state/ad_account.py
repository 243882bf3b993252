"""The one ad account that exists: access to it, and the operations that show it."""

from __future__ import annotations

from collections.abc import Mapping

from target_pinterest_audience.emulator.errors import ACCESS_NOT_PERMITTED, AUTHENTICATION_FAILED, ApiError
from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.settings import Settings
from target_pinterest_audience.emulator.state import validation


class AdAccount:
    """The ad account of the settings. It never changes."""

    def __init__(self, settings: Settings) -> None:
        """Take id, name and permissions from the settings."""
        self._settings = settings

    def check_access(self, ad_account_id: str) -> None:
        """Check that calls may use an ad account.

        Raises:
            ApiError: 400 if this is not an id, 403 for an account of someone else, 404 for an unknown account.
        """
        validation.require_id("ad_account_id", ad_account_id)
        if ad_account_id in self._settings.forbidden_ad_account_ids:
            raise ApiError(403, ACCESS_NOT_PERMITTED, "You are not permitted to access that resource.")
        if ad_account_id != self._settings.ad_account_id:
            # Code 2 is the example of the API description 5.23; the status is not stated there.
            raise ApiError(404, AUTHENTICATION_FAILED, "AdAccount not found.")

    def get(self) -> JsonObject:
        """Answer `ad_accounts/get`."""
        return {
            "country": "US",
            "currency": "USD",
            "id": self._settings.ad_account_id,
            "name": self._settings.ad_account_name,
            "owner": {"id": "383791336903426391", "username": "emulated"},
            "permissions": list(self._settings.permissions),
        }

    def page(self, query: Mapping[str, str]) -> JsonObject:
        """Answer `ad_accounts/list`, which has this account only.

        Raises:
            ApiError: 400 for a query parameter that breaks a rule.
        """
        limit = self._settings.page_size_limit
        shown, bookmark = validation.page(query, [self.get()], lambda each: int(str(each["id"])), limit)
        return {"items": shown, "bookmark": bookmark}
