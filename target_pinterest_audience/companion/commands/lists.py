"""The command `pinterest-audience lists`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any, NamedTuple

import click

from target_pinterest_audience.companion.options import config_option, json_option, refuse_early_options
from target_pinterest_audience.companion.output import number, show_json, show_rows, show_table, text, when
from target_pinterest_audience.companion.session import ad_account, read_settings
from target_pinterest_audience.delivery.directory import Directory
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.ledger.find import find_ledger
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.models import Audience, CustomerList
from target_pinterest_audience.settings import Settings

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
    """Whether the list is for new customer acquisition; None if Pinterest does not tell."""
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


class Comparison(NamedTuple):
    """What Pinterest and the ledger know about a list."""

    customer_list: ListRow
    audience: str | None
    """The id of an audience that is made of the list."""
    audience_status: str | None
    matched: int | None
    """The size of that audience: the number of people that Pinterest matched."""
    ledger: str
    """Where the ledger is."""
    members: int | None
    """The number of identities that belong on the list; None if the ledger does not know the list."""
    sources: Sequence[str]
    """The sources whose rows the ledger has for the list."""
    owed: int | None
    """The number of identities that a run has noted and Pinterest has not accepted yet."""


@click.group("lists", invoke_without_command=True, epilog=_EXAMPLES)
@config_option
@json_option
@click.pass_context
def lists(context: click.Context, config: tuple[str, ...], *, as_json: bool) -> None:
    """Show the customer lists of the ad account.

    `uploaded` and `removed` are Pinterest's own counts: an identity that was sent twice counts twice. Pinterest does
    not reveal the members of a list; `lists show` shows what the ledger knows.
    """
    refuse_early_options(context)
    if context.invoked_subcommand is not None:
        return
    with ad_account(read_settings(config)) as account:
        rows = [ListRow.of(each) for each in account.customer_lists()]
    show_rows(ListRow, rows, as_json=as_json, empty="The ad account has no customer lists.")


@lists.command("show", epilog=_EXAMPLES)
@click.argument("which", metavar="ID_OR_NAME")
@config_option
@json_option
def show(which: str, config: tuple[str, ...], *, as_json: bool) -> None:
    """Compare what the ledger knows about a list with Pinterest's counts."""
    settings = read_settings(config)
    with ad_account(settings) as account:
        found = _find(account, which)
        audience = Directory(account, time.monotonic).audience_of(found.id)
    compared = _compare(settings, found, audience)
    if as_json:
        show_json({**compared._asdict(), "customer_list": compared.customer_list._asdict()})
        return
    shown: dict[str, Any] = {
        **compared.customer_list._asdict(),
        **compared._asdict(),
        "sources": ", ".join(compared.sources) or None,
    }
    del shown["customer_list"]
    shown["pending"] = shown.pop("owed")
    show_table(("", ""), list(shown.items()), empty="")


def _find(account: PinterestClient, which: str) -> CustomerList:
    """Return the list with an id or a name; ids take precedence.

    Raises:
        ConfigurationError: there is none, or several have that name.
    """
    found = list(account.customer_lists())
    chosen = [each for each in found if each.id == which] or [each for each in found if each.name == which]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        ids = ", ".join(each.id for each in chosen)
        msg = f"Several customer lists have that name (ids {ids}). Give the id."
        raise ConfigurationError(msg)
    msg = "The ad account has no customer list with that id or name. `pinterest-audience lists` shows all lists."
    raise ConfigurationError(msg)


def _compare(settings: Settings, found: CustomerList, audience: Audience | None) -> Comparison:
    ledger = find_ledger(settings, create=False, read_only=True)
    place, known = "there is none yet", _Known()
    if ledger is not None:
        with closing(ledger):
            place, known = ledger.where, _known(ledger, found.id)
    return Comparison(
        ListRow.of(found),
        audience.id if audience is not None else None,
        text(audience.status) if audience is not None else None,
        number(audience.size) if audience is not None else None,
        place,
        *known,
    )


class _Known(NamedTuple):
    """The part of a `Comparison` that comes from the ledger."""

    members: int | None = None
    sources: Sequence[str] = ()
    owed: int | None = None


def _known(ledger: Ledger, customer_list_id: str) -> _Known:
    entry = ledger.catalogue.lists.by_id(customer_list_id)
    if entry is None:
        return _Known()
    sources = ledger.catalogue.feeds.source_names(entry.number)
    return _Known(entry.members, sources, ledger.notes.count_unsettled(entry.number))
