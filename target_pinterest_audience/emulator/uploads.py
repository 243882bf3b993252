"""Uploads of files to customer lists, as far as their creation: who may create one, and which requests are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from target_pinterest_audience.emulator.errors import INSUFFICIENT_PERMISSIONS, ApiError, invalid_request, not_found
from target_pinterest_audience.emulator.json_types import JsonObject
from target_pinterest_audience.emulator.settings import Settings
from target_pinterest_audience.emulator.state import validation
from target_pinterest_audience.emulator.state.customer_lists import CustomerLists

# API description 5.23.
_OPERATIONS: Final = ("ADD", "REMOVE")
_MOST_PARTS: Final = 10

_ID_OFFSET: Final = 4 * 10**15  # keeps the ids of uploads different from those of everything else


class Uploads:
    """The uploads of the account. None is ever carried out. Not thread-safe: the backend has the lock."""

    def __init__(self, settings: Settings, clock: Callable[[], float], lists: CustomerLists) -> None:
        """Start without an upload.

        Args:
            settings: the emulator's.
            clock: returns the Unix time in seconds.
            lists: the customer lists of the account.
        """
        self._settings = settings
        self._clock = clock
        self._lists = lists
        self._next_id = _ID_OFFSET + int(clock() * 1000)

    def create(self, list_id: str, body: JsonObject) -> JsonObject:
        """Answer `customer_list_uploads/create` (fields as in the API description 5.23).

        The description called uploads a closed beta; how Pinterest refuses an app that is not in it is not known. The
        refusal here is the one that recorded live calls show for other parts of the API.

        Raises:
            ApiError: 404 or 403 without access, 404 for an unknown list, 400 for a body that breaks a rule.
        """
        if self._settings.uploads == "absent":
            what = "API path"
            raise not_found(what)
        if self._settings.uploads == "restricted":
            message = "Your application does not have access to this restricted feature: customer_list_uploads."
            raise ApiError(403, INSUFFICIENT_PERMISSIONS, message)
        self._lists.get(list_id)
        operation = validation.choice(body, "operation", _OPERATIONS)
        parts = body.get("total_parts")
        if not isinstance(parts, int) or isinstance(parts, bool) or not 1 <= parts <= _MOST_PARTS:
            message = f"total_parts must be from 1 to {_MOST_PARTS}."
            raise invalid_request(message)
        made, now = str(self._next_id), int(self._clock())
        self._next_id += 1
        upload = {
            "ad_account_id": self._settings.ad_account_id,
            "creation_time": now,
            "customer_list_id": list_id,
            "error_counts": None,
            "id": made,
            "operation": operation,
            "record_counts": None,
            "state": "NOT_STARTED",
            "updated_time": now,
        }
        # Reserved names (RFC 2606): nothing can be sent there.
        addresses = [
            {"part_number": number, "presigned_url": f"https://uploads.invalid/{made}/{number}"}
            for number in range(1, parts + 1)
        ]
        return {"customer_list_upload": upload, "s3_multipart_upload_data": {"file_parts": addresses}}
