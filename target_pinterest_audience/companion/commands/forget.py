"""The command `pinterest-audience forget`."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

import click

from target_pinterest_audience.companion.audit_trail import audited
from target_pinterest_audience.companion.identity_options import (
    HIDE_ARGUMENTS,
    all_forms,
    confirm_given,
    given_identities,
    identity_options,
)
from target_pinterest_audience.companion.operations.forget import (
    NOT_DONE,
    NOT_FOUND,
    NOTHING_ERASED,
    REFUSED,
    REMOVED,
    Erasure,
    Receipt,
    erase_from_ledger,
)
from target_pinterest_audience.companion.options import (
    config_option,
    dry_run_option,
    json_option,
    reference_option,
    yes_option,
)
from target_pinterest_audience.companion.output import show_json
from target_pinterest_audience.companion.receipts import AccountReceipt, Order, show_receipt
from target_pinterest_audience.companion.receipts import as_json as receipt_as_json
from target_pinterest_audience.companion.session import (
    ad_account,
    found_ledger,
    logger,
    read_settings,
    warn_of_unrecorded_end,
)
from target_pinterest_audience.errors import LedgerError, TargetError, outcome
from target_pinterest_audience.ledger.catalogue.lists import ListEntry
from target_pinterest_audience.ledger.history import FORGET, ListFigures
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.errors import RefusedError, UnavailableError
from target_pinterest_audience.reconcile.locks import Locks
from target_pinterest_audience.reconcile.run_history import RunHistory
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.system.operator import this_operator
from target_pinterest_audience.text import counts

_EXAMPLES = """
\b
Examples:
  pinterest-audience forget --email person@example.com --config target.json
  pinterest-audience forget --email - --yes --json < emails.txt > receipt.json
  pinterest-audience forget --email @emails.txt --phone @phones.txt --reference DSR-17
  pinterest-audience forget --email @emails.txt --config shop.json --also blog.json --also app.json
  pinterest-audience forget --phone +447700900017 --dry-run
"""


People = Sequence[Collection[bytes]]
"""All forms in which a list may contain each person, packed."""


@click.command("forget", epilog=_EXAMPLES, context_settings=HIDE_ARGUMENTS)
@identity_options
@click.option(
    "--also",
    multiple=True,
    type=click.Path(),
    metavar="FILE",
    help="The settings of another ad account or ledger, as a JSON file, to erase them there, too. Repeat it for more.",
)
@click.option("--no-suppress", is_flag=True, help="Allow later runs to add them again.")
@reference_option
@dry_run_option
@config_option
@json_option
@yes_option
@click.pass_context
def forget(  # noqa: PLR0913 - one argument per option is how click passes them
    context: click.Context,
    /,
    config: tuple[str, ...],
    *,
    also: tuple[str, ...],
    no_suppress: bool,
    reference: str | None,
    dry_run: bool,
    as_json: bool,
    yes: bool,
    **values: tuple[str, ...],
) -> None:
    """Erase people from every customer list, and keep them out for good.

    The command removes them from every list of the ad account, whether or not the ledger knows the list, under all
    three hash algorithms (SHA-256, SHA-1, MD5). A device id is removed both as an iOS id and as an Android id. From
    then on no run with this ledger adds them to any list, not even to a new one or with `load_method: append-only`,
    until you run `readmit`; --no-suppress switches that off. The command also deletes from the ledger what their rows
    contributed.

    The command acts on the ad account and the ledger of its settings, and of each --also. If one of them fails, it goes
    on with the others, and exits with the code of the first failure.

    It prints a receipt with the time, the lists, the people who were on each by the ledger, Pinterest's ids of the
    requests, --reference, and who ran the command, but no identities. If the command is interrupted, run it again.
    Values on a command line end up in the shell's history: to avoid that, give @FILE, or - for standard input, with one
    value on each line.
    """
    given = given_identities(context, values)
    chosen = [read_settings(each, dry_run=dry_run) for each in (config, *((path,) for path in also))]
    # The countries of national phone numbers differ.
    people = [[all_forms([each], settings.phone_countries) for each in given] for settings in chosen]
    order = Order(len(given), not no_suppress, reference, this_operator())
    if not all(each.dry_run for each in chosen):
        accounts = " and ".join(dict.fromkeys(each.ad_account_id for each in chosen))
        what = f"{counts.identities(len(given))} from every customer list of {_ad_accounts(len(chosen))} {accounts}"
        confirm_given(f"Remove {what}{', and keep them off for good' if order.suppress else ''}?", given, yes=yes)
    done: list[AccountReceipt] = []
    failure: TargetError | None = None
    try:
        for settings, forms in zip(chosen, people, strict=True):
            try:
                _erase(settings, order, forms, done, phones_are_meant=any(each.option == "phone" for each in given))
            except TargetError as error:  # noqa: PERF203 - one round is an ad account
                # The other ad accounts can do without this one.
                failure = failure or error
                if also:
                    logger.error("Ad account %s is not done. %s", settings.ad_account_id, error)
    finally:
        _show(order, done, is_array=bool(also), as_json=as_json)
    if failure is not None:
        raise failure


def _ad_accounts(count: int) -> str:
    return "ad account" if count == 1 else "the ad accounts"


def _show(order: Order, done: Sequence[AccountReceipt], *, is_array: bool, as_json: bool) -> None:
    """Print the receipts."""
    if as_json and is_array:
        show_json([receipt_as_json(order, each) for each in done])
        return
    for number, each in enumerate(done):
        if as_json:
            show_json(receipt_as_json(order, each))
            continue
        if is_array:
            click.echo(f"{chr(10) if number else ''}Ad account {each.ad_account_id}:")
        show_receipt(order, each)


def _erase(
    settings: Settings, order: Order, people: People, done: list[AccountReceipt], *, phones_are_meant: bool
) -> None:
    """Erase people from the ledger and from all lists of an ad account.

    Args:
        settings: the settings.
        order: what to do.
        people: all forms of each person.
        done: gets the receipt, also if a request fails.
        phones_are_meant: see `Erasure`.
    """
    before: Sequence[ListEntry] = ()
    erased, counted = NOTHING_ERASED, dict[str, int]()
    with ExitStack() as stack:
        ledger = found_ledger(settings, create=order.suppress)
        if ledger is not None:
            stack.enter_context(closing(ledger))
            counted = stack.enter_context(audited(ledger, FORGET, reference=order.reference))
            counted["identities"] = order.people
            before = ledger.catalogue.lists.all()
            locks, shorten = Locks(ledger, settings), ledger.digester.shorten
            erased = erase_from_ledger(ledger, locks, shorten, people, suppress=order.suppress, now=time.time())
        account = stack.enter_context(ad_account(settings, ledger))
        receipts: list[Receipt] = []
        history = stack.enter_context(_in_history(ledger, before, account, receipts))
        identities = tuple(sorted(frozenset[bytes]().union(*people)))
        erasure = Erasure(
            account, ledger, settings, identities, time.time, history, logger.info, erased,
            phones_are_meant=phones_are_meant,
        )  # fmt: skip
        targets = erasure.targets()
        try:
            for target in targets:
                receipts.append(erasure.remove_from(target))  # noqa: PERF401 - keeps receipts if the next request fails
        finally:
            receipts += [Receipt(each, NOT_DONE, None, ()) for each in targets[len(receipts) :]]
            counted["lists"] = sum(each.outcome == REMOVED for each in receipts)
            done.append(AccountReceipt(settings.ad_account_id, settings.dry_run, time.time(), receipts))
        _raise_if_incomplete(receipts)


@contextmanager
def _in_history(
    ledger: Ledger | None, before: Sequence[ListEntry], account: PinterestClient, receipts: Sequence[Receipt]
) -> Iterator[RunHistory | None]:
    """Yield the history in which to record removals, and record at the end of the block how the command ended.

    Args:
        ledger: the ledger with the history; None if there is none.
        before: the lists as they were before the people were erased from the ledger.
        account: the ad account.
        receipts: what was done; the block adds to it.
    """
    if ledger is None:
        yield None
        return
    history = RunHistory(ledger, time.time)
    ledger.transact(lambda: history.begin(FORGET))
    ended: tuple[int, str | None] = (0, None)
    try:
        yield history
    except BaseException as error:
        ended = outcome(error, "pinterest-audience")
        raise
    finally:
        try:
            _end_history(ledger, history, before, account, receipts, *ended)
        except LedgerError as error:
            # It must not replace what ended the command; and the receipt is printed already.
            warn_of_unrecorded_end(error)


def _end_history(
    ledger: Ledger,
    history: RunHistory,
    before: Sequence[ListEntry],
    account: PinterestClient,
    receipts: Sequence[Receipt],
    exit_code: int,
    error: str | None,
) -> None:
    """Record in the ledger how the command ended; the arguments are those of `_in_history`."""
    done = {each.target.id for each in receipts if each.request_ids}
    now = {entry.number: entry.members for entry in ledger.catalogue.lists.all()}
    # Requests name each person under several digests; only the ledger knows how many of them were members.
    figures = [
        ListFigures(each.number, now[each.number], None, 0, each.members - now[each.number], 0, {})
        for each in before
        if now[each.number] != each.members and each.customer_list_id in done
    ]
    ledger.transact(lambda: history.end(exit_code, account.traffic, figures, error=error))


def _raise_if_incomplete(receipts: Sequence[Receipt]) -> None:
    """Raise an error if a list may still contain the people.

    Raises:
        PinterestError: Pinterest refused a removal, or did not find a list.
    """
    refusing = ", ".join(each.target.id for each in receipts if each.outcome == REFUSED)
    if refusing:
        msg = (
            f"Pinterest refused the removal from some lists ({refusing}). A list of another type may not accept such "
            "values, but then it cannot contain them either. Check these lists, and run the command again."
        )
        raise RefusedError(msg)
    missing = ", ".join(each.target.id for each in receipts if each.outcome == NOT_FOUND)
    if missing:
        msg = (
            f"Pinterest's listing has customer lists that Pinterest then does not find ({missing}). They may be new. "
            "Try again later."
        )
        raise UnavailableError(msg)
