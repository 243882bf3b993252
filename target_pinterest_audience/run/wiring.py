"""Wiring: puts a run together from the settings. Only this module knows how the parts fit.

The ledger and the modules that use it are imported when it is opened: a run without a ledger starts a tenth sooner.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from target_pinterest_audience.delivery.delivery import Delivery, Room
from target_pinterest_audience.ledger.find import find_ledger
from target_pinterest_audience.ledger.tenure import Tenure
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.retry import LONGEST_RATE_LIMIT_SECONDS, RetryPolicy
from target_pinterest_audience.pinterest.token_store import CredentialsFile, NoTokenStore
from target_pinterest_audience.pinterest.tokens import Credentials, SignIn
from target_pinterest_audience.run.run import Run
from target_pinterest_audience.run.states import StateGate
from target_pinterest_audience.settings import Settings, UnmappedStreams
from target_pinterest_audience.system.token_store import TokenStore

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.pinterest.transport import Transport
    from target_pinterest_audience.reconcile.session import Session
    from target_pinterest_audience.routing.plan import FormerLists, ListReference

_AHEAD: Final = 20_000
"""How many identities wait for each list while a request is under way: two requests, so that the next is
ready at once, and memory does not depend on how fast Pinterest answers."""


def connect(
    settings: Settings,
    user_agent: str,
    logger: logging.Logger,
    write_state: Callable[[Any], None],
    shield: Callable[[], AbstractContextManager[None]],
) -> Run:
    """Put a run together. Nothing is opened or sent yet.

    Args:
        settings: the settings.
        user_agent: the User-Agent of requests.
        logger: logs waits, retries, and what happens to lists and audiences.
        write_state: writes a STATE to standard output.
        shield: delays signals while a token is exchanged and stored.
    """
    tenure = Tenure()

    def open_ledger(*, create: bool) -> Ledger | None:
        ledger = find_ledger(settings, create=create)
        if ledger is not None:
            if ledger.caveat is not None:
                logger.warning(ledger.caveat)
            tenure.begin(ledger)
        return ledger

    def begin_session(ledger: Ledger, delivery: Delivery, *, in_history: bool) -> Session:
        from target_pinterest_audience.reconcile.session import Session  # noqa: PLC0415 - only for runs with a ledger

        return Session(ledger, settings, delivery, logger, time.monotonic, time.time, in_history=in_history)

    def find_former(ledger: Ledger, source: str, references: Collection[ListReference]) -> FormerLists:
        from target_pinterest_audience.reconcile.sources.loaders import former_lists  # noqa: PLC0415 - only for runs with a ledger

        return former_lists(ledger, source, references, ledger.digester.configuration(settings))

    return Run(
        make_delivery(settings, user_agent, logger, shield, tenure),
        find_ledger=open_ledger,
        begin_session=begin_session,
        find_former=find_former,
        gate=StateGate(
            _swallow if settings.dry_run else write_state,
            time.monotonic,
            closed=settings.unmapped_streams is UnmappedStreams.FAIL,
        ),
        # An alert reports that no run has succeeded for too long.
        keeps_record=bool(settings.notify_urls) and settings.ledger_url is not None,
    )


def make_delivery(
    settings: Settings,
    user_agent: str,
    logger: logging.Logger,
    shield: Callable[[], AbstractContextManager[None]] = nullcontext,
    tenure: Tenure | None = None,
) -> Delivery:
    """Put a delivery together. Nothing is sent yet.

    The arguments are those of `connect`, and `tenure`: checked before each request that writes.
    """
    return Delivery(
        make_client(settings, user_agent, logger, shield, tenure),
        retry_policy_of(settings),
        logger,
        max_identities=settings.batch_size_rows,
        max_bytes=settings.max_request_bytes,
        room=Room(ahead=_AHEAD),
        dry=settings.dry_run,
    )


def retry_policy_of(settings: Settings, limited_seconds: float = LONGEST_RATE_LIMIT_SECONDS) -> RetryPolicy:
    """Return how long to wait for Pinterest, and how often to retry.

    Args:
        settings: the settings.
        limited_seconds: how long one request waits for rate limits in total.
    """
    return RetryPolicy(
        retries=settings.max_retries,
        initial_seconds=settings.initial_backoff_ms / 1000,
        max_seconds=settings.max_backoff_ms / 1000,
        connect_seconds=settings.connect_timeout_seconds,
        read_seconds=settings.read_timeout_seconds,
        limited_seconds=limited_seconds,
    )


def make_client(
    settings: Settings,
    user_agent: str,
    logger: logging.Logger,
    shield: Callable[[], AbstractContextManager[None]] = nullcontext,
    tenure: Tenure | None = None,
    *,
    sign_in_by: Settings | None = None,
    limited_seconds: float = LONGEST_RATE_LIMIT_SECONDS,
) -> PinterestClient:
    """Put the client of the ad account together. Nothing is sent yet.

    The arguments are those of `make_delivery`, and `sign_in_by`: settings with other waits, for token requests only;
    and `limited_seconds`: how long one request waits for rate limits in total.
    """
    transport = make_transport(settings, user_agent, logger, tenure, limited_seconds=limited_seconds)
    signing_in = (
        transport
        if sign_in_by is None
        else make_transport(sign_in_by, user_agent, logger, limited_seconds=limited_seconds)
    )
    return PinterestClient(transport, make_credentials(settings, signing_in, logger, shield), settings.ad_account_id)


def make_credentials(
    settings: Settings,
    transport: Transport,
    logger: logging.Logger,
    shield: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Credentials:
    """Put together what access tokens come from. Nothing is sent yet.

    Args:
        settings: the settings.
        transport: sends token requests.
        logger: logs a warning if the sign-in ends soon.
        shield: delays signals while a token is exchanged and stored.
    """
    return Credentials(
        transport,
        token_store_of(settings),
        access_token=settings.access_token,
        sign_in=sign_in_of(settings),
        logger=logger,
        shield=shield,
    )


def sign_in_of(settings: Settings) -> SignIn | None:
    """Return the OAuth settings; None if they name no app."""
    return SignIn.of(settings.client_id, settings.client_secret, settings.refresh_token)


def make_transport(
    settings: Settings,
    user_agent: str,
    logger: logging.Logger,
    tenure: Tenure | None = None,
    *,
    limited_seconds: float = LONGEST_RATE_LIMIT_SECONDS,
) -> Transport:
    """Put the HTTP transport together. Nothing is sent yet. The arguments are those of `make_client`."""
    from target_pinterest_audience.pinterest.transport import Transport  # noqa: PLC0415 - only what sends needs HTTP

    policy = retry_policy_of(settings, limited_seconds)
    return Transport(settings.api_url, policy, user_agent=user_agent, logger=logger, tenure=tenure)


def token_store_of(settings: Settings) -> TokenStore:
    """Return the store of the newest refresh tokens.

    Raises:
        ConfigurationError: the store is in PostgreSQL, and the driver is not installed.
    """
    if settings.credentials_file is not None:
        return CredentialsFile(settings.credentials_file)
    if settings.ledger_url is None:
        return NoTokenStore()
    from target_pinterest_audience.ledger.open import token_store  # noqa: PLC0415 - only for PostgreSQL

    return token_store(settings.ledger_url)


def _swallow(state: Any) -> None:  # noqa: ANN401 - any JSON value
    """Drop a STATE: a dry run delivers nothing, so it covers nothing."""
