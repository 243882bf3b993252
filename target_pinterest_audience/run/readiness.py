"""Readiness: checks everything that a run needs, from the ledger to the customer list, and changes nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from typing_extensions import override

from target_pinterest_audience.delivery.creation import Creation
from target_pinterest_audience.delivery.directory import Directory
from target_pinterest_audience.delivery.list_finder import ListFinder
from target_pinterest_audience.errors import ConfigurationError, LedgerError, TargetError
from target_pinterest_audience.ledger.find import find_ledger
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.errors import (
    NotFoundError,
    NotPermittedError,
    PinterestError,
    RateLimitedError,
    RefusedError,
)
from target_pinterest_audience.pinterest.models import CustomerList
from target_pinterest_audience.reconcile.notes import owes_additions
from target_pinterest_audience.reporting.alerts.notifier import make_notifier
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference, chosen_list
from target_pinterest_audience.run.files_check import check_files, files_of
from target_pinterest_audience.run.ledger_check import Found, check_ledger
from target_pinterest_audience.run.wiring import make_client, retry_policy_of
from target_pinterest_audience.settings import LoadMethod, MissingLedger, Mode, Settings, StreamSettings
from target_pinterest_audience.settings.patterns import is_pattern
from target_pinterest_audience.text.counts import several
from target_pinterest_audience.vocabulary import ListType

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.lists import ListEntry
    from target_pinterest_audience.ledger.ledger import Ledger

_WRITERS: Final = frozenset({"OWNER", "ADMIN", "AUDIENCE_MANAGER"})
"""The roles that may change audiences, according to another product's guide. Pinterest's API lists all roles."""

_CLOCK_SLACK_SECONDS: Final = 120.0

_CONNECT_SECONDS: Final = 3
"""How long to wait for a connection. A host has up to four addresses, and all are tried."""
_READ_SECONDS: Final = 12
"""How long to wait for an answer."""
_LONGEST_WAIT_MS: Final = 2_000
"""How long to wait for Pinterest's rate limits at a time."""
_LIMITED_SECONDS: Final = 10.0
"""How long one request waits for them in total."""

_LOCK_SECONDS: Final = 10
"""How long to wait for another process that has locked the ledger."""

_MOST_ACCOUNTS: Final = 10
_MOST_LISTS: Final = 5

Shield = Callable[[], AbstractContextManager[None]]


class Result(NamedTuple):
    """The result of one check."""

    check: str
    detail: str
    """What was found and, if the check failed, what to do."""
    error: TargetError | None = None
    """Why the check failed; None if it passed."""
    warning: bool = False
    """Whether the check passed, and there is something to know before a run."""


Check = Callable[[], Found]
"""Checks one thing. Raises a TargetError if the check fails."""


def connect(settings: Settings, user_agent: str, logger: logging.Logger, shield: Shield) -> PinterestClient:
    """Return the client of the ad account, with short time-outs: a check should take seconds.

    Args:
        settings: the settings.
        user_agent: the User-Agent of requests.
        logger: logs waits and retries.
        shield: delays signals while a token is exchanged and stored.
    """
    quick = replace(
        settings,
        max_retries=0,
        max_backoff_ms=min(settings.max_backoff_ms, _LONGEST_WAIT_MS),
        connect_timeout_seconds=min(settings.connect_timeout_seconds, _CONNECT_SECONDS),
    )
    # A token exchange that is given up while Pinterest processes it loses the sign-in, so it keeps its time-out.
    asked = replace(quick, read_timeout_seconds=min(settings.read_timeout_seconds, _READ_SECONDS))
    return make_client(asked, user_agent, logger, shield, sign_in_by=quick, limited_seconds=_LIMITED_SECONDS)


def run_checks(settings: Settings, account: PinterestClient) -> Iterator[Result]:
    """Run the checks, one after the other. They change nothing at Pinterest.

    Args:
        settings: the settings.
        account: the client of the ad account; see `connect`.

    Yields:
        The result of each check. Without a sign-in or an ad account, or when a rate limit is used up, the later checks
        are left out.
    """
    settings = replace(settings, lock_wait_seconds=min(settings.lock_wait_seconds, _LOCK_SECONDS))
    ledger = _result("ledger", lambda: check_ledger(settings))
    yield ledger
    if files_of(settings):
        yield _result("files", lambda: check_files(settings))
    if settings.notify_urls:
        yield _result("alerts", lambda: _check_alerts(settings))
    signed_in = _result("sign-in", lambda: _check_sign_in(account))
    yield signed_in
    if signed_in.error is not None:
        return
    yield _result("clock", lambda: _check_clock(account))
    found = _result("ad account", lambda: _check_account(account))
    yield found
    if not isinstance(found.error, PinterestError) or found.error.status is None:
        for reference, chosen in _lists_of(settings):
            # A ledger that cannot be opened may know every list.
            asks = ledger.error is None and chosen.load_method is not LoadMethod.APPEND_ONLY
            check = partial(_check_list, settings, reference, chosen, account, asks_ledger=asks)
            result = _result("customer list", check)
            yield result
            if isinstance(result.error, RateLimitedError):
                # The other lists would be refused, too, each after a wait.
                return


def _result(name: str, check: Check) -> Result:
    try:
        found = check()
    except TargetError as error:
        return Result(name, str(error), error)
    return Result(name, found.detail, warning=found.warning)


def _check_alerts(settings: Settings) -> Found:
    make_notifier(settings.notify_urls)
    count = len(settings.notify_urls)
    return Found(f"{several(count, 'address', 'addresses')}; `pinterest-audience alerts --test` tries them.")


def _check_sign_in(account: PinterestClient) -> Found:
    # Needs the scope ads:read, as reading lists does, and no particular ad account.
    next(account.ad_accounts(), None)
    return Found("Pinterest accepts the token.")


def _check_clock(account: PinterestClient) -> Found:
    ahead = account.clock_difference(time.time())
    if ahead is None:
        return Found("cannot be compared: Pinterest's answers had no time.", warning=True)
    if abs(ahead) > _CLOCK_SLACK_SECONDS:
        msg = (
            f"The clock of this machine is {abs(ahead):,.0f} s {'fast' if ahead > 0 else 'slow'}. Set it right: rate "
            "limits and the age of runs are measured by it."
        )
        raise ConfigurationError(msg)
    return Found(f"within {_CLOCK_SLACK_SECONDS:.0f} s of Pinterest's.")


def _check_account(account: PinterestClient) -> Found:
    try:
        found = account.ad_account()
    except (NotFoundError, NotPermittedError, RefusedError) as error:
        others = [f"{each.id} ({each.name})" for each in islice(account.ad_accounts(), _MOST_ACCOUNTS)]
        can = f"This sign-in can use {', '.join(others)}" if others else "This sign-in can use no ad account"
        msg = f"{error} {can}. Check `ad_account_id`, and who signed in."
        raise type(error)(msg, status=error.status, code=error.code) from None
    roles = [role for role in found.permissions if isinstance(role, str)] if isinstance(found.permissions, list) else []
    named = f'"{found.name}"' if isinstance(found.name, str) else found.id
    if not roles:
        return Found(f"{named}; Pinterest did not report your role in it.", warning=True)
    if not _WRITERS.intersection(roles):
        msg = (
            f"Your role in {named} is {', '.join(sorted(roles))}, which cannot change lists. Ask an owner of the ad "
            f"account for one of these roles: {', '.join(sorted(_WRITERS))}."
        )
        raise NotPermittedError(msg)
    return Found(f"{named}; you have the role {', '.join(sorted(roles))}.")


def _lists_of(settings: Settings) -> list[tuple[ListReference | None, StreamSettings]]:
    """Return each list that the settings choose, with the settings of a stream that feeds it.

    The list is None if the stream's name or rows choose it.
    """
    named = [(name, settings.for_stream(name)) for name in settings.streams if not is_pattern(name)]
    found = [
        (chosen_list(each) or ListReference(customer_list_name=name), each)
        for name, each in named
        if each.list_name_column is None
    ]
    default = settings.default_stream
    chosen = chosen_list(default)
    if default.list_name_column is not None or not (found or chosen):
        return [(None, default), *dict(found).items()]
    return list({**({chosen: default} if chosen is not None else {}), **dict(found)}.items())


def _check_list(
    settings: Settings,
    reference: ListReference | None,
    chosen: StreamSettings,
    account: PinterestClient,
    *,
    asks_ledger: bool,
) -> Found:
    directory = Directory(account, time.monotonic)
    with ExitStack() as stack:
        ledger = find_ledger(settings, create=False) if asks_ledger else None
        if ledger is not None:
            stack.enter_context(closing(ledger))
        if reference is None:
            where = "each stream goes to the list with the stream's name, which is created with its first rows"
            if chosen.list_name_column is not None:
                where = f"each row goes to the list that its column {chosen.list_name_column} names"
            known = ledger.catalogue.lists.all() if ledger is not None else []
            all_lists = _check_all_lists(settings, where, directory, knows_some=not asks_ledger or bool(known))
            kind = _other_kind(directory, chosen.is_nca, {each.customer_list_id for each in known})
            return all_lists if kind is None else Found(f"{all_lists.detail} {kind}", warning=True)
        if_missing = IfMissing.CREATE if chosen.operation is Mode.ADD else IfMissing.REFUSE
        plan = ListPlan(reference, ListType.EMAIL, if_missing, audience=None, is_nca=chosen.is_nca)
        warnings = _Warnings()
        creation = Creation(retry_policy_of(settings), warnings.logger)
        finder = ListFinder(plan, directory, creation, warnings.logger)
        pinned = ledger.catalogue.lists.pinned(str(reference)) if ledger is not None else None
        finder.look_up(pinned.customer_list_id if pinned is not None else None)
        finder.refuse_if_missing()
        found = finder.customer_list
        if found is None:
            detail = f"{reference} does not exist yet; the first run creates it with its first rows."
            return Found(" ".join(warnings.words) or detail, warning=bool(warnings.words))
        if asks_ledger and not _is_known(found, pinned, ledger):
            named = f'"{found.name}" (id {found.id})' if found.name else found.id
            warnings.words.append(_unknown(settings, f"customer list {named} exists, and"))
    audience = directory.audience_of(found.id)
    if audience is None:
        detail = "it has no audience yet" + (
            "; a run creates one." if chosen.create_audience else ", and the settings want none."
        )
    else:
        detail = f'its audience is {audience.id} "{audience.name}" ({audience.status}).'
    kind = " for new customer acquisition" if chosen.is_nca or found.acquires_new_customers else ""
    words = [f'"{found.name}" (id {found.id}){kind} is {found.status or "there"}; {detail}', *warnings.words]
    return Found(" ".join(words), warning=bool(warnings.words))


def _check_all_lists(settings: Settings, where: str, directory: Directory, *, knows_some: bool) -> Found:
    """Check the lists of the ad account if only the stream will show which of them it feeds."""
    count = len(directory.customer_lists())
    if not count or knows_some:
        return Found(f"{where}.")
    lists = "1 customer list" if count == 1 else f"{count:,} customer lists"
    return Found(
        f"{where}. {_unknown(settings, f'the ad account has {lists}. If a run feeds one of them,')}", warning=True
    )


def _other_kind(directory: Directory, is_nca: bool | None, known: Collection[str | None]) -> str | None:  # noqa: FBT001 - a setting
    """Return a sentence about lists that are not of the kind that `is_nca` names; None if there are none.

    Args:
        directory: the lists of the ad account.
        is_nca: the setting.
        known: the ids of the lists that former runs fed; if there are any, only these count.
    """
    if is_nca is None:
        return None
    lists = directory.customer_lists()
    fed = [each for each in lists if each.id in known]
    others = [each for each in fed or lists if directory.acquires_new_customers(each) is (not is_nca)]
    if not others:
        return None
    names = ", ".join(f'"{each.name}" (id {each.id})' for each in others[:_MOST_LISTS])
    more = f", and {len(others) - _MOST_LISTS:,} more" if len(others) > _MOST_LISTS else ""
    what = "of the lists that former runs fed" if fed else "of the lists of the ad account"
    return (
        f"`is_nca` is {str(is_nca).lower()}, but {what}, these are {'not ' if is_nca else ''}for new customer "
        f"acquisition: {names}{more}. A run that feeds one of them ends with exit code 2: Pinterest cannot change a "
        "list's kind."
    )


def _unknown(settings: Settings, what: str) -> str:
    """Return sentences about a list that exists and that the ledger does not know.

    Args:
        settings: the settings.
        what: the beginning of the first sentence.

    Raises:
        LedgerError: a run would stop, since `missing_ledger` is `stop`.
    """
    follows = (
        f"{what[0].upper()}{what[1:]} the ledger does not know it: was the ledger lost, or does `ledger_url` name "
        "another one?"
    )
    if settings.missing_ledger is MissingLedger.STOP:
        msg = (
            f"{follows} A run stops there (`missing_ledger: stop`, exit code 7). Set `ledger_url` to the ledger of the "
            "former runs. If there were none, set `missing_ledger: warn` for one run."
        )
        raise LedgerError(msg)
    return f"{follows} The next run sends everyone again, and cannot remove people who have left since the former runs."


def _is_known(found: CustomerList, pinned: ListEntry | None, ledger: Ledger | None) -> bool:
    """Return whether a run would take a list for one that former runs fed."""
    if ledger is None:
        return False
    # An interrupted run may have created the list without noting its id.
    created = pinned is not None and pinned.customer_list_id is None and owes_additions(ledger, pinned.number)
    return created or ledger.catalogue.lists.by_id(found.id) is not None


class _Warnings(logging.Handler):
    """Collects the warnings that are logged while a list is looked up.

    Attributes:
        words: the warnings.
        logger: the logger that collects them.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words: list[str] = []
        # A logger of its own: these words belong to a result.
        self.logger = logging.Logger("pinterest-audience check")  # noqa: LOG001
        self.logger.addHandler(self)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.words.append(record.getMessage())
