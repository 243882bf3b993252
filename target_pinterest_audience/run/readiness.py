"""Is everything ready for a run: ledger, alerts, sign-in, clock, ad account, the role in it, customer list?"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from typing_extensions import override

from target_pinterest_audience.delivery.directory import Directory
from target_pinterest_audience.delivery.list_writer import CustomerListWriter
from target_pinterest_audience.errors import ConfigurationError, LedgerError, TargetError
from target_pinterest_audience.ledger.find import find_ledger
from target_pinterest_audience.ledger.open import place_of
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.errors import NotFoundError, NotPermittedError, PinterestError, RefusedError
from target_pinterest_audience.pinterest.models import CustomerList
from target_pinterest_audience.reconcile.notes import owes_additions
from target_pinterest_audience.reporting.alerts.notifier import make_notifier
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference, chosen_list
from target_pinterest_audience.run.wiring import make_client, patience_of
from target_pinterest_audience.settings import LoadMethod, MissingLedger, Mode, Settings, StreamSettings
from target_pinterest_audience.settings.paths import NO_PLACE, sqlite_path
from target_pinterest_audience.settings.patterns import is_pattern
from target_pinterest_audience.text.counts import several
from target_pinterest_audience.vocabulary import ListType

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue import ListEntry
    from target_pinterest_audience.ledger.ledger import Ledger

_WRITERS: Final = frozenset({"OWNER", "ADMIN", "AUDIENCE_MANAGER"})
"""The roles that may change audiences, as another product's guide names them; Pinterest's API names them all."""

_CLOCK_SLACK_SECONDS: Final = 120.0

_CONNECT_SECONDS: Final = 3
"""How long to wait for a connection: a host has up to four addresses, and all are tried."""
_READ_SECONDS: Final = 12
"""How long to wait for an answer."""
_LONGEST_WAIT_MS: Final = 2_000
"""How long to wait for Pinterest's rate limits."""

_MOST_ACCOUNTS: Final = 10

Shield = Callable[[], AbstractContextManager[None]]


class Result(NamedTuple):
    """What came of one look."""

    check: str
    detail: str
    """What was found; if it does not do, what to do about it too."""
    error: TargetError | None = None
    """Why it does not do."""
    warning: bool = False
    """Whether it does, but a person should know of it before a run."""


class Found(NamedTuple):
    """What a look found that does."""

    detail: str
    warning: bool = False
    """See `Result.warning`."""


Look = Callable[[], Found]
"""Looks at one thing, and returns what was found; raises a TargetError if that does not do."""


def connect(settings: Settings, user_agent: str, logger: logging.Logger, shield: Shield) -> PinterestClient:
    """Return the ad account, asked without a run's patience: whoever looks wants to know within seconds.

    Args:
        settings: the settings.
        user_agent: what requests say they come from.
        logger: told of waits and retries.
        shield: lets signals wait while a token is exchanged and kept.
    """
    quick = replace(
        settings,
        max_retries=0,
        max_backoff_ms=min(settings.max_backoff_ms, _LONGEST_WAIT_MS),
        connect_timeout_seconds=min(settings.connect_timeout_seconds, _CONNECT_SECONDS),
    )
    # An exchange that is given up while Pinterest is at it costs the sign-in, so that one may take its time.
    asked = replace(quick, read_timeout_seconds=min(settings.read_timeout_seconds, _READ_SECONDS))
    return make_client(asked, user_agent, logger, shield, sign_in_by=quick)


def look(settings: Settings, account: PinterestClient) -> Iterator[Result]:
    """Look at one thing after the other; nothing is changed at Pinterest.

    Args:
        settings: the settings.
        account: the ad account of the settings; see `connect`.

    Yields:
        What came of each; without a sign-in, or without the ad account, the rest is left out.
    """
    ledger = _result("ledger", lambda: _look_at_ledger(settings))
    yield ledger
    if settings.notify_urls:
        yield _result("alerts", lambda: _look_at_alerts(settings))
    signed_in = _result("sign-in", lambda: _look_at_sign_in(account))
    yield signed_in
    if signed_in.error is not None:
        return
    yield _result("clock", lambda: _look_at_clock(account))
    found = _result("ad account", lambda: _look_at_account(account))
    yield found
    if not isinstance(found.error, PinterestError) or found.error.status is None:
        for reference, chosen in _lists_of(settings):
            # What cannot be opened may know every list.
            asks = ledger.error is None and chosen.load_method is not LoadMethod.APPEND_ONLY
            see = partial(_look_at_list, settings, reference, chosen, account, asks_ledger=asks)
            yield _result("customer list", see)


def _result(name: str, see: Look) -> Result:
    try:
        found = see()
    except TargetError as error:
        return Result(name, str(error), error)
    return Result(name, found.detail, warning=found.warning)


def _look_at_ledger(settings: Settings) -> Found:
    if settings.ledger_url is None:
        if settings.needs_ledger:
            raise ConfigurationError(NO_PLACE)
        return Found("There is no place for one, and with `load_method: append-only` none is needed.")
    path = sqlite_path(settings.ledger_url)
    ledger = find_ledger(settings, create=False, read_only=True)
    if ledger is not None:
        with closing(ledger):
            _ensure_writable(ledger.where, path, settings)
            words = " ".join(filter(None, [f"{ledger.where} is there.", ledger.caveat]))
            return Found(words, warning=ledger.caveat is not None)
    if path is None:
        return Found(f"not created yet; the first run creates it {place_of(settings.ledger_url)}.")
    folder = next(each for each in path.parents if each.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        msg = f"There is no ledger at {path} yet, and the folder {folder} cannot be written to. Correct `ledger_url`."
        raise LedgerError(msg)
    return Found(f"not created yet; the first run creates it at {path}.")


def _ensure_writable(where: str, path: Path | None, settings: Settings) -> None:
    """Make sure that a run can write to a ledger that can be read.

    Raises:
        LedgerError: it cannot.
    """
    if path is None or settings.dry_run:
        return
    for place, rights in ((path, os.W_OK), (path.parent, os.W_OK | os.X_OK)):
        if not os.access(place, rights):
            msg = (
                f"{where} can be read, which does for reports and dry runs, but a run needs to write to it: {place} "
                "is read-only for this user."
            )
            raise LedgerError(msg)


def _look_at_alerts(settings: Settings) -> Found:
    make_notifier(settings.notify_urls)
    count = len(settings.notify_urls)
    return Found(f"{several(count, 'address', 'addresses')}; `pinterest-audience alerts --test` tries them.")


def _look_at_sign_in(account: PinterestClient) -> Found:
    # Needs the scope ads:read, as reading lists does, and no certain ad account.
    next(account.ad_accounts(), None)
    return Found("Pinterest accepts the token.")


def _look_at_clock(account: PinterestClient) -> Found:
    ahead = account.clock_difference(time.time())
    if ahead is None:
        return Found("Pinterest did not tell the time, so that this clock cannot be compared.", warning=True)
    if abs(ahead) > _CLOCK_SLACK_SECONDS:
        msg = (
            f"This machine's clock is {abs(ahead):,.0f} s {'ahead' if ahead > 0 else 'behind'}. Set it right: waits "
            "for Pinterest's limits and the age of runs are told by it."
        )
        raise ConfigurationError(msg)
    return Found(f"within {_CLOCK_SLACK_SECONDS:.0f} s of Pinterest's.")


def _look_at_account(account: PinterestClient) -> Found:
    try:
        found = account.ad_account()
    except (NotFoundError, NotPermittedError, RefusedError) as error:
        others = [f"{each.id} ({each.name})" for each in islice(account.ad_accounts(), _MOST_ACCOUNTS)]
        can = f"It can use {', '.join(others)}" if others else "It can use none"
        msg = f"{error} {can}: check `ad_account_id`, and who signed in."
        raise type(error)(msg, status=error.status, code=error.code) from None
    roles = [role for role in found.permissions if isinstance(role, str)] if isinstance(found.permissions, list) else []
    named = f'"{found.name}"' if isinstance(found.name, str) else found.id
    if not roles:
        return Found(f"{named}; Pinterest does not say which role you have in it.", warning=True)
    if not _WRITERS.intersection(roles):
        msg = (
            f"In {named} you have the role {', '.join(sorted(roles))}, and lists are changed by "
            f"{', '.join(sorted(_WRITERS))}. Have an owner of the ad account give you one of these."
        )
        raise NotPermittedError(msg)
    return Found(f"{named}; you have the role {', '.join(sorted(roles))}.")


def _lists_of(settings: Settings) -> list[tuple[ListReference | None, StreamSettings]]:
    """Return which lists runs feed, each once with the settings of a stream; None if only its rows or name will say."""
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


def _look_at_list(
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
            where = "each stream goes to the list of its name, which is created with its first rows"
            if chosen.list_name_column is not None:
                where = f"each row goes to the list that its column {chosen.list_name_column} names"
            knows_some = not asks_ledger or (ledger is not None and bool(ledger.catalogue.lists()))
            return _look_at_all_lists(settings, where, directory, knows_some=knows_some)
        adds = chosen.operation is Mode.ADD
        plan = ListPlan(reference, ListType.EMAIL, IfMissing.CREATE if adds else IfMissing.REFUSE, audience=None)
        warnings = _Warnings()
        writer = CustomerListWriter(plan, directory, patience_of(settings), warnings.logger, dry=True)
        pinned = ledger.catalogue.pinned(str(reference)) if ledger is not None else None
        writer.look_up(pinned.customer_list_id if pinned is not None else None)
        writer.refuse_if_missing()
        found = writer.customer_list
        if found is None:
            told = f"{reference} does not exist yet; the first run creates it with its first rows."
            return Found(" ".join(warnings.words) or told, warning=bool(warnings.words))
        if asks_ledger and not _is_known(found, pinned, ledger):
            named = f'"{found.name}" (id {found.id})' if found.name else found.id
            warnings.words.append(_unknown(settings, f"customer list {named} exists, and"))
    audience = directory.audience_of(found.id)
    if audience is None:
        told = "it has no audience yet" + ("; a run makes one." if chosen.create_audience else ", and none is wanted.")
    else:
        told = f'audience {audience.id} "{audience.name}" stands for it ({audience.status}).'
    words = [f'"{found.name}" (id {found.id}) is {found.status or "there"}; {told}', *warnings.words]
    return Found(" ".join(words), warning=bool(warnings.words))


def _look_at_all_lists(settings: Settings, where: str, directory: Directory, *, knows_some: bool) -> Found:
    """Look at the lists of the ad account if only the stream will say which of them it feeds."""
    count = len(directory.customer_lists())
    if not count or knows_some:
        return Found(f"{where}.")
    lists = "1 customer list" if count == 1 else f"{count:,} customer lists"
    return Found(
        f"{where}. {_unknown(settings, f'the ad account has {lists}. If a run feeds one of them,')}", warning=True
    )


def _unknown(settings: Settings, what: str) -> str:
    """Return what is to come of a list that exists and that the ledger does not know.

    Args:
        settings: the settings.
        what: is there, and begins the sentence.

    Raises:
        LedgerError: a run would stop.
    """
    follows = (
        f"{what[0].upper()}{what[1:]} the ledger does not know it: was the ledger lost, or does `ledger_url` name "
        "another one?"
    )
    if settings.missing_ledger is MissingLedger.STOP:
        msg = (
            f"{follows} A run stops there (`missing_ledger: stop`, exit code 7). Give `ledger_url` the ledger of the "
            "former runs; if there were none, set `missing_ledger: warn` for one run."
        )
        raise LedgerError(msg)
    return f"{follows} The next run sends everybody again, and cannot remove who left since the former runs."


def _is_known(found: CustomerList, pinned: ListEntry | None, ledger: Ledger | None) -> bool:
    """Tell whether a run takes a list for one that former runs fed."""
    if ledger is None:
        return False
    # A run that was cut short may have created it, and not have learnt its id.
    created = pinned is not None and pinned.customer_list_id is None and owes_additions(ledger, pinned.number)
    return created or ledger.catalogue.list_of_id(found.id) is not None


class _Warnings(logging.Handler):
    """Keeps the warnings of what looks a list up.

    Attributes:
        words: the warnings.
        logger: what they are given to.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words: list[str] = []
        # Of its own: these words belong to a result.
        self.logger = logging.Logger("pinterest-audience check")  # noqa: LOG001
        self.logger.addHandler(self)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.words.append(record.getMessage())
