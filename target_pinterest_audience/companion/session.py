"""What a command works with: the settings, the ad account, the ledger, and a session that sends removals."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Final

from target_pinterest_audience.companion.lookup import did_you_mean
from target_pinterest_audience.companion.options import CONFIG_VARIABLE
from target_pinterest_audience.errors import ConfigurationError, LedgerError, outcome
from target_pinterest_audience.ledger.catalogue.lists import ListEntry
from target_pinterest_audience.ledger.find import find_ledger, no_ledger
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.tenure import Tenure
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.errors import RefusedError
from target_pinterest_audience.reconcile.books import Books
from target_pinterest_audience.routing.orders import ListReport
from target_pinterest_audience.routing.plan import ListReference, chosen_list
from target_pinterest_audience.run.dispatcher import Dispatcher
from target_pinterest_audience.run.wiring import make_client, make_delivery
from target_pinterest_audience.settings import Settings, Source, merged
from target_pinterest_audience.settings.load import PREFIX, read_sources, resolve_settings
from target_pinterest_audience.settings.meltano import SDK_OBJECTS
from target_pinterest_audience.system.signals import obey_signals
from target_pinterest_audience.system.version import user_agent

_MOST_NAMED: Final = 10
"""How many lists an error names."""

logger: Final = logging.getLogger("pinterest-audience")


def read_settings(config: tuple[str, ...], *, dry_run: bool = False, needs_sign_in: bool = True) -> Settings:
    """Return the settings that `--config` names.

    Args:
        config: the values of `--config`.
        dry_run: whether to make it a dry run even if the settings do not.
        needs_sign_in: whether it is an error if there is no way to sign in; a command that asks nothing of Pinterest
            needs none.

    Raises:
        ConfigurationError: a source cannot be read, or a setting breaks a rule.
    """
    settings = settings_from(read_sources(config), needs_sign_in=needs_sign_in)
    return replace(settings, dry_run=True) if dry_run else settings


def settings_from(sources: Iterable[Source], *, needs_sign_in: bool = True) -> Settings:
    """Return the settings in sources that were read.

    Args:
        sources: the sources.
        needs_sign_in: see `read_settings`.

    Raises:
        ConfigurationError: there are no settings, or a setting breaks a rule.
    """
    raw = merged(sources)
    if not raw:
        msg = (
            "There are no settings. Name a JSON file with --config FILE or in the environment variable "
            f"{CONFIG_VARIABLE}, or set {PREFIX}* variables."
        )
        raise ConfigurationError(msg)
    # These change rows, and a command reads no rows; and Meltano passes them to a utility with flattened keys.
    used = {name: value for name, value in raw.items() if name not in SDK_OBJECTS}
    settings, _ = resolve_settings(used, needs_sign_in=needs_sign_in)
    return settings


@contextmanager
def ad_account(settings: Settings, ledger: Ledger | None = None) -> Iterator[PinterestClient]:
    """Yield the client for the ad account of the settings; it has sent no request yet.

    Args:
        settings: the settings.
        ledger: the ledger whose locks protect the writes; None if no locks are needed.
    """
    shield, tenure = obey_signals().shield, Tenure(ledger)
    client = make_client(settings, user_agent(), logger, shield, tenure)
    try:
        yield client
    finally:
        client.stop()
        client.close()


@contextmanager
def ad_account_for_arguments(config: tuple[str, ...]) -> Iterator[PinterestClient]:
    """Yield the client for a command that sends values of the command line to Pinterest.

    Args:
        config: the values of `--config`.

    Raises:
        ConfigurationError: Pinterest refused the request, because of a value on the command line.
    """
    with ad_account(read_settings(config)) as account:
        try:
            yield account
        except RefusedError as refused:
            raise ConfigurationError(str(refused)) from None


def found_ledger(settings: Settings, *, create: bool = False, read_only: bool = False) -> Ledger | None:
    """Open the ledger as `find_ledger` does, and log a warning if its place is dangerous, or hides its newest part."""
    ledger = find_ledger(settings, create=create, read_only=read_only)
    if ledger is not None and ledger.caveat is not None:
        logger.warning(ledger.caveat)
    return ledger


@contextmanager
def opened_ledger(settings: Settings, *, read_only: bool = False) -> Iterator[Ledger]:
    """Open the ledger of the settings, and close it at the end of the block.

    Args:
        settings: the settings.
        read_only: whether the ledger is only read; the right to read is then enough.

    Raises:
        ConfigurationError: there is no ledger.
        LedgerError: the ledger cannot be opened.
    """
    ledger = found_ledger(settings, read_only=read_only)
    if ledger is None:
        raise no_ledger(settings)
    with closing(ledger):
        yield ledger


@contextmanager
def removal_session(ledger: Ledger, settings: Settings) -> Iterator[tuple[Books, Dispatcher]]:
    """Yield what sends the removals that the ledger notes; at the end, record what Pinterest accepted."""
    shield, tenure = obey_signals().shield, Tenure(ledger)
    delivery = make_delivery(settings, user_agent(), logger, shield, tenure)
    books = Books.make(ledger, settings, delivery, logger, time.time)
    dispatcher = Dispatcher(delivery, books.outbox)
    ended_by: BaseException | None = None
    try:
        yield books, dispatcher
    except BaseException as error:
        ended_by = error
        raise
    finally:
        # Also after a failure: a request in flight to another list gets a moment, and its response is recorded.
        try:
            dispatcher.stop()
            books.outbox.tidy()
        except LedgerError as error:
            if ended_by is None:
                ended_by = error
                raise
            logger.warning("The last accepted requests are not recorded; a later run will send them again. %s", error)
        finally:
            _end_history(books, *((0, None) if ended_by is None else outcome(ended_by, "pinterest-audience")))


def _end_history(books: Books, exit_code: int, error: str | None) -> None:
    """Record in the ledger how the command ended; log a warning if that fails."""
    try:
        books.end_history(exit_code, {}, error=error)
    except LedgerError as failure:
        warn_of_unrecorded_end(failure)


def warn_of_unrecorded_end(error: LedgerError) -> None:
    """Log that the history of runs lacks how a command ended. It must not replace what ended the command."""
    logger.warning("The history of runs does not show how this command ended. %s", error)


def raise_if_refused(reports: Iterable[ListReport]) -> None:
    """Raise an error if Pinterest refused removals.

    Raises:
        RefusedError: Pinterest refused to remove an identity.
    """
    named = ", ".join(f'"{each.name}" (id {each.customer_list_id})' for each in reports if each.refused)
    if named:
        msg = (
            f"Pinterest refused to remove some identities from {named}. They may still be on the list. The ledger has "
            "noted them, and the next run of the target tries again."
        )
        raise RefusedError(msg)


def known_list(ledger: Ledger, settings: Settings, which: str | None) -> ListEntry:
    """Return a list that the ledger knows.

    Args:
        ledger: the ledger.
        settings: choose the list if `which` is None.
        which: the list's id or name.

    Raises:
        ConfigurationError: the ledger knows no such list, or several.
    """
    catalogue = ledger.catalogue
    known = catalogue.lists.all()
    if which is None:
        reference = chosen_list(settings.default_stream)
        found = catalogue.lists.pinned(str(reference)) or catalogue.lists.by_id(
            settings.default_stream.customer_list_id or ""
        )
        chosen, criterion = [found] if found is not None else [], "the settings choose"
    else:
        pinned = catalogue.lists.pinned(str(ListReference(customer_list_name=which)))
        named = [pinned] if pinned is not None else [each for each in known if each.name == which]
        chosen, criterion = [each for each in known if each.customer_list_id == which] or named, "--list names"
    if len(chosen) == 1:
        return chosen[0]
    near = did_you_mean(which or "", (each.name for each in known)) if not chosen else ""
    candidates = chosen or known
    names = ", ".join(f'"{each.name or ""}" ({_id_words(each)})' for each in candidates[:_MOST_NAMED])
    more = f" and {len(candidates) - _MOST_NAMED:,} more" if len(candidates) > _MOST_NAMED else ""
    what = f"several lists that {criterion}" if chosen else f"no list that {criterion}"
    msg = f"{ledger.where} knows {what}.{near} Choose one with --list. Known lists: {names or 'none'}{more}."
    raise ConfigurationError(msg)


def name_entry(entry: ListEntry) -> str:
    """Return the name of a list in the ledger for people."""
    return f'customer list "{entry.name or ""}" ({_id_words(entry)})'


def _id_words(entry: ListEntry) -> str:
    return f"id {entry.customer_list_id or 'none yet'}"
