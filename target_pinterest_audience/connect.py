"""From settings to a delivery that is ready: the one place that knows how the parts fit together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from target_pinterest_audience.delivery import Delivery
from target_pinterest_audience.pinterest import Credentials, CredentialsFile, Patience, PinterestClient, Transport
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.state import StateGate


def connect(
    settings: Settings,
    user_agent: str,
    logger: logging.Logger,
    write_state: Callable[[Any], None],
    shield: Callable[[], AbstractContextManager[None]],
) -> Delivery:
    """Put a delivery together; nothing is asked of Pinterest yet.

    Args:
        settings: the settings.
        user_agent: what requests say they come from.
        logger: told of waits, retries, and what happens to lists and audiences.
        write_state: hands a STATE to whoever runs the target.
        shield: lets signals wait while a token is exchanged and kept.
    """
    patience = Patience(
        retries=settings.max_retries,
        initial_seconds=settings.initial_backoff_ms / 1000,
        max_seconds=settings.max_backoff_ms / 1000,
        connect_seconds=settings.connect_timeout_seconds,
        read_seconds=settings.read_timeout_seconds,
    )
    transport = Transport(settings.api_url, patience, user_agent=user_agent, logger=logger)
    credentials = Credentials(
        transport,
        CredentialsFile(settings.credentials_file),
        access_token=settings.access_token,
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        refresh_token=settings.refresh_token,
        shield=shield,
    )
    return Delivery(
        PinterestClient(transport, credentials, settings.ad_account_id),
        patience,
        logger,
        max_identities=settings.batch_size_rows,
        max_bytes=settings.max_request_bytes,
        gate=StateGate(write_state, time.monotonic),
    )
