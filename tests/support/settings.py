"""The least settings."""

from __future__ import annotations

NEEDED = {"ad_account_id": "549755885175", "access_token": "s3cr3t-token"}
