"""The command `pinterest-audience lists`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, Final, NamedTuple

import click

from target_pinterest_audience.companion.groups import CommandGroup
from target_pinterest_audience.companion.in_use import as_json as usage_as_json
from target_pinterest_audience.companion.in_use import usage_sentences
from target_pinterest_audience.companion.lookup import audiences_by_list, find_list
from target_pinterest_audience.companion.options import config_option, json_option, refuse_early_options
from target_pinterest_audience.companion.output import (
    number,
    show_alarm,
    show_fields,
    show_json,
    show_table,
    text,
    when,
)
from target_pinterest_audience.companion.output import show as show_line
from target_pinterest_audience.companion.session import ad_account, found_ledger, logger, read_settings
from target_pinterest_audience.delivery.directory import Directory
from target_pinterest_audience.errors import ConfigurationError, LedgerError
from target_pinterest_audience.ledger.catalogue.lists import ListEntry
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.pinterest.models import Audience, CustomerList
from target_pinterest_audience.pinterest.usage import usage_of_list
from target_pinterest_audience.reporting.matching import percent_words, why_untargetable
from target_pinterest_audience.routing.orders import match_percent
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.text.counts import several

_MOST_ALARMS: Final = 20
"""How many lists that cannot be targeted are named."""

_SPARE: Final = ("is_nca", "removed", "uploaded", "changed", "rows")
"""The columns that a narrow terminal may leave out."""

_EXAMPLES = """
\b
Examples:
  pinterest-audience lists --config target.json
  pinterest-audience lists show "Newsletter" --config target.json
"""


class ListRow(NamedTuple):
    """A customer list, as it is printed."""

    id: str
    name: str | None
    status: str | None
    """PROCESSING, READY, TOO_SMALL or UPLOADING."""
    uploaded: int | None
    """The number of identities in all additions to the list so far, repetitions included; not its size."""
    removed: int | None
    """The number of identities in all removals from the list so far, repetitions included."""
    is_nca: bool | None
    """Whether the list is for new customer acquisition; None if Pinterest does not report it."""
    changed: str | None

    @classmethod
    def of(cls, found: CustomerList) -> ListRow:
        """Return the row for a list."""
        return cls(
            found.id,
            found.name,
            text(found.status),
            number(found.num_uploaded_user_records),
            number(found.num_removed_user_records),
            found.acquires_new_customers,
            when(found.updated_time),
        )


class ListOverview(NamedTuple):
    """A customer list in the listing."""

    id: str
    name: str | None
    status: str | None
    uploaded: int | None
    removed: int | None
    is_nca: bool | None
    """Whether the list is for new customer acquisition; None if Pinterest does not report it."""
    changed: str | None
    members: int | None
    """The number of identities that belong on the list; None if the ledger does not know it, or cannot be read."""
    contributing_rows: int | None
    """The number of rows that contribute to it; None like `members`."""
    matched: int | None
    """The number of people whom Pinterest matched; None if it has not reported that, or if the list has no audience."""
    match_percent: float | None
    """The match rate: these people as a share of the rows, in percent."""
    untargetable: str | None
    """Why campaigns cannot target the list; None if they can, or if that is not known."""


class Comparison(NamedTuple):
    """What Pinterest and the ledger know about a list."""

    customer_list: ListRow
    audience_id: str | None
    """An audience that is made of the list."""
    audience_status: str | None
    matched: int | None
    """The size of that audience: the number of people that Pinterest matched."""
    ledger: str
    """Where the ledger is."""
    members: int | None
    """The number of identities that belong on the list; None if the ledger does not know the list."""
    contributing_rows: int | None
    """The number of rows that contribute at least one identity to it; None like `members`."""
    match_percent: float | None
    """The match rate: the matched people as a share of these rows, in percent."""
    sources: Sequence[str]
    """The sources whose rows the ledger has for the list."""
    pending: int | None
    """The number of identities that a run has noted and Pinterest has not accepted yet."""


@click.group("lists", cls=CommandGroup, invoke_without_command=True, epilog=_EXAMPLES)
@config_option
@json_option
@click.pass_context
def lists(context: click.Context, config: tuple[str, ...], *, as_json: bool) -> None:
    """Show the customer lists of the ad account.

    `uploaded` and `removed` are Pinterest's own counts: an identity that was sent twice counts twice. Pinterest does
    not reveal the members of a list; `members` and `rows`, the rows that contribute to the list, are from the ledger.
    `matched` is how many people Pinterest recognises, and `match` their share of the rows. Below 100 people a list
    cannot be targeted: lines in red name such lists. `lists show` also shows which campaigns use a list.
    """
    refuse_early_options(context)
    if context.invoked_subcommand is not None:
        return
    settings = read_settings(config)
    with ad_account(settings) as account:
        found = list(account.customer_lists())
        audiences = audiences_by_list(account.audiences()) if found else {}
    rows = _overview(found, audiences, _known_lists(settings) if found else {})
    if as_json:
        show_json([row._asdict() for row in rows])
        return
    headings = [*ListRow._fields, "members", "rows", "matched", "match"]
    table = [(*row[:-2], percent_words(row.match_percent)) for row in rows]
    show_table(headings, table, empty="The ad account has no customer lists.", spare=_SPARE)
    alarming = [row for row in rows if row.untargetable is not None and row.members != 0]
    for row in alarming[:_MOST_ALARMS]:
        show_alarm(f'Customer list "{row.name or ""}" (id {row.id}): {row.untargetable}')
    if len(alarming) > _MOST_ALARMS:
        rest = several(len(alarming) - _MOST_ALARMS, "more list", "more lists")
        show_alarm(f"{rest} cannot be targeted; --json shows which.")


@lists.command("show", epilog=_EXAMPLES)
@click.argument("which", metavar="ID_OR_NAME")
@config_option
@json_option
def show(which: str, config: tuple[str, ...], *, as_json: bool) -> None:
    """Compare the ledger with Pinterest's counts, and show what uses a list."""
    settings = read_settings(config)
    with ad_account(settings) as account:
        found = find_list(account, which)
        audience = Directory(account, time.monotonic).audience_of(found.id)
        usage = usage_of_list(account, found.id)
    compared = _compare(settings, found, audience)
    why = why_untargetable(
        compared.members, compared.matched, compared.audience_status or compared.customer_list.status
    )
    fields: dict[str, Any] = {**compared.customer_list._asdict(), **compared._asdict()}
    del fields["customer_list"]
    if as_json:
        show_json({**fields, "untargetable": why, **usage_as_json(usage)})
        return
    percent = percent_words(fields.pop("match_percent"))
    show_fields({**fields, "sources": ", ".join(compared.sources) or None, "match": percent})
    if why is not None:
        show_alarm(why)
    for each in usage_sentences(usage, "it"):
        show_line(each)


def _known_lists(settings: Settings) -> dict[str | None, ListEntry]:
    """Return customer list id → its entry in the ledger; none, with a warning, if the ledger cannot be read."""
    try:
        ledger = found_ledger(settings, read_only=True)
        if ledger is None:
            return {}
        with closing(ledger):
            return {each.customer_list_id: each for each in ledger.catalogue.lists.all()}
    except (LedgerError, ConfigurationError) as error:
        logger.warning("The ledger cannot be read, so `members`, `rows` and `match` are not shown. %s", error)
        return {}


def _overview(
    found: Iterable[CustomerList], audiences: Mapping[str, Audience], known: Mapping[str | None, ListEntry]
) -> list[ListOverview]:
    rows = []
    for each in found:
        entry, audience, shown = known.get(each.id), audiences.get(each.id), ListRow.of(each)
        matched = audience.matched if audience is not None else None
        members, contributing = (entry.members, entry.contributing_rows) if entry is not None else (None, None)
        status = text(audience.status) if audience is not None else shown.status
        why, percent = why_untargetable(members, matched, status), match_percent(matched, contributing)
        rows.append(ListOverview(*shown, members, contributing, matched, percent, why))
    return rows


def _compare(settings: Settings, found: CustomerList, audience: Audience | None) -> Comparison:
    ledger = found_ledger(settings, read_only=True)
    place, known = "there is none yet", _Known()
    if ledger is not None:
        with closing(ledger):
            place, known = ledger.where, _known(ledger, found.id)
    matched = audience.matched if audience is not None else None
    return Comparison(
        ListRow.of(found),
        audience.id if audience is not None else None,
        text(audience.status) if audience is not None else None,
        matched,
        place,
        known.members,
        known.contributing_rows,
        match_percent(matched, known.contributing_rows),
        known.sources,
        known.pending,
    )


class _Known(NamedTuple):
    """The part of a `Comparison` that comes from the ledger."""

    members: int | None = None
    contributing_rows: int | None = None
    sources: Sequence[str] = ()
    pending: int | None = None


def _known(ledger: Ledger, customer_list_id: str) -> _Known:
    entry = ledger.catalogue.lists.by_id(customer_list_id)
    if entry is None:
        return _Known()
    sources = ledger.catalogue.feeds.source_names(entry.number)
    return _Known(entry.members, entry.contributing_rows, sources, ledger.notes.count_unsettled(entry.number))
