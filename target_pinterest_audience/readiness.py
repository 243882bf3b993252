"""Is everything ready for a run: ledger, alerts, sign-in, clock, ad account, the role in it, customer list?"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final, NamedTuple

from target_pinterest_audience.connect import find_ledger, patience_of
from target_pinterest_audience.counts import several
from target_pinterest_audience.directory import Directory
from target_pinterest_audience.errors import ConfigurationError, LedgerError, TargetError
from target_pinterest_audience.identities import ListType
from target_pinterest_audience.lists import CustomerListWriter
from target_pinterest_audience.notify import make_notifier
from target_pinterest_audience.pinterest import PinterestClient
from target_pinterest_audience.pinterest.errors import NotPermittedError
from target_pinterest_audience.routing import IfMissing, ListPlan, chosen_list
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.settings.locations import NO_PLACE, sqlite_path

_WRITERS: Final = frozenset({"OWNER", "ADMIN", "AUDIENCE_MANAGER"})
"""The roles that may change audiences, as another product's guide names them; Pinterest's API names them all."""

_CLOCK_SLACK_SECONDS: Final = 120.0


class Result(NamedTuple):
    """What came of one look."""

    check: str
    detail: str
    """What was found; if it does not do, what to do about it too."""
    error: TargetError | None = None
    """Why it does not do."""


Look = Callable[[], str]
"""Looks at one thing, and tells what was found; raises a TargetError if that does not do."""


def look(settings: Settings, account: PinterestClient, logger: logging.Logger) -> Iterator[Result]:
    """Look at one thing after the other; nothing is changed at Pinterest.

    Args:
        settings: the settings.
        account: the ad account of the settings.
        logger: told of waits and retries.

    Yields:
        What came of each; without a sign-in the rest is left out.
    """
    yield _result("ledger", lambda: _look_at_ledger(settings))
    if settings.notify_urls:
        yield _result("alerts", lambda: _look_at_alerts(settings))
    signed_in = _result("sign-in", lambda: _look_at_sign_in(account))
    yield signed_in
    if signed_in.error is None:
        yield _result("clock", lambda: _look_at_clock(account))
        yield _result("ad account", lambda: _look_at_account(account))
        yield _result("customer list", lambda: _look_at_list(settings, account, logger))


def _result(name: str, see: Look) -> Result:
    try:
        return Result(name, see())
    except TargetError as error:
        return Result(name, str(error), error)


def _look_at_ledger(settings: Settings) -> str:
    if settings.ledger_url is None:
        if settings.needs_ledger:
            raise ConfigurationError(NO_PLACE)
        return "There is no place for one, and with `load_method: append-only` none is needed."
    path = sqlite_path(settings.ledger_url)
    ledger = find_ledger(settings, create=False)
    if ledger is not None:
        with closing(ledger):
            return f"{ledger.where} is there."
    assert path is not None  # noqa: S101 - one in PostgreSQL is found
    folder = next(each for each in path.parents if each.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        msg = f"There is no ledger at {path} yet, and the folder {folder} cannot be written to. Correct `ledger_url`."
        raise LedgerError(msg)
    return f"There is none at {path} yet; the first run makes it."


def _look_at_alerts(settings: Settings) -> str:
    make_notifier(settings.notify_urls)
    count = len(settings.notify_urls)
    return f"{several(count, 'address', 'addresses')}; `pinterest-audience alerts --test` tries them."


def _look_at_sign_in(account: PinterestClient) -> str:
    # Needs the scope ads:read, and a token of a person.
    next(account.customer_lists(), None)
    return "Pinterest accepts the token, and lets it read customer lists."


def _look_at_clock(account: PinterestClient) -> str:
    ahead = account.clock_difference(time.time())
    if ahead is None:
        return "Pinterest did not tell the time, so that this clock cannot be compared."
    if abs(ahead) > _CLOCK_SLACK_SECONDS:
        msg = (
            f"This machine's clock is {abs(ahead):,.0f} s {'ahead' if ahead > 0 else 'behind'}. Set it right: waits "
            "for Pinterest's limits and the age of runs are told by it."
        )
        raise ConfigurationError(msg)
    return f"within {_CLOCK_SLACK_SECONDS:.0f} s of Pinterest's."


def _look_at_account(account: PinterestClient) -> str:
    found = account.ad_account()
    roles = [role for role in found.permissions if isinstance(role, str)] if isinstance(found.permissions, list) else []
    named = f'"{found.name}"' if isinstance(found.name, str) else found.id
    if not roles:
        return f"{named}; Pinterest does not tell which role you have in it."
    if not _WRITERS.intersection(roles):
        msg = (
            f"In {named} you have the role {', '.join(sorted(roles))}, and lists are changed by "
            f"{', '.join(sorted(_WRITERS))}. Have an owner of the ad account give you one of these."
        )
        raise NotPermittedError(msg)
    return f"{named}; you have the role {', '.join(sorted(roles))}."


def _look_at_list(settings: Settings, account: PinterestClient, logger: logging.Logger) -> str:
    chosen = settings.default_stream
    if chosen.list_name_column is not None:
        return f"each row goes to the list that its column {chosen.list_name_column} names."
    reference = chosen_list(chosen)
    if reference is None:
        return "each stream goes to the list of its name, which is made with its first rows."
    directory = Directory(account, time.monotonic)
    plan = ListPlan(reference, ListType.EMAIL, IfMissing.CREATE, audience=None)
    writer = CustomerListWriter(plan, directory, patience_of(settings), logger, dry=True)
    writer.look_up()
    if writer.customer_list is None:
        return f"{reference} is not there yet; the first run makes it with its first rows."
    found = writer.customer_list
    audience = directory.audience_of(found.id)
    if audience is None:
        told = "it has no audience yet" + ("; a run makes one." if chosen.create_audience else ", and none is wanted.")
    else:
        told = f'audience {audience.id} "{audience.name}" stands for it ({audience.status}).'
    return f'"{found.name}" (id {found.id}) is {found.status or "there"}; {told}'
