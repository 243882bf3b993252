"""The command `pinterest-audience lists`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any, NamedTuple

import click

from target_pinterest_audience.companion.commands.common import (
    ad_account,
    config_option,
    json_option,
    number,
    read_settings,
    refuse_early_options,
    show_json,
    show_rows,
    show_table,
    text,
    when,
)
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
    """A customer list as it is shown."""

    id: str
    name: str | None
    status: str | None
    """PROCESSING, READY, TOO_SMALL or UPLOADING."""
    uploaded: int | None
    """Identities that anybody ever uploaded, each as often as it was uploaded: not who is on the list."""
    removed: int | None
    """Identities whose removal was ever asked for, likewise."""
    changed: str | None

    @classmethod
    def of(cls, found: CustomerList) -> ListRow:
        """Return a list as it is shown."""
        return cls(
            found.id,
            found.name,
            text(found.status),
            number(found.num_uploaded_user_records),
            number(found.num_removed_user_records),
            when(found.updated_time),
        )


class Comparison(NamedTuple):
    """What the ledger knows of a list, against what Pinterest counts."""

    customer_list: ListRow
    audience: str | None
    """The id of an audience that stands for the list."""
    audience_status: str | None
    matched: int | None
    """People whom Pinterest found among the members, as the size of that audience."""
    ledger: str
    """The place of the ledger."""
    members: int | None
    """Identities that belong on the list, says the ledger; None if it does not know the list."""
    sources: Sequence[str]
    """Whose rows the ledger has on the list."""
    owed: int | None
    """Identities that a run has noted and Pinterest has not accepted yet."""


@click.group("lists", invoke_without_command=True, epilog=_EXAMPLES)
@config_option
@json_option
@click.pass_context
def lists(context: click.Context, config: tuple[str, ...], *, as_json: bool) -> None:
    """Show the customer lists of the ad account.

    `uploaded` and `removed` count requests, as Pinterest does: somebody who was sent twice counts twice. Who is on a
    list Pinterest does not tell; `lists show` tells what the ledger knows.
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
    """Show what the ledger knows of a list against what Pinterest counts."""
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
    show_table(("", ""), list(shown.items()), empty="")


def _find(account: PinterestClient, which: str) -> CustomerList:
    """Return the list with an id, or else the one with a name.

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
    msg = "The ad account has no customer list with that id or name. `pinterest-audience lists` shows them all."
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
    """What a ledger knows of a list; see `Comparison`."""

    members: int | None = None
    sources: Sequence[str] = ()
    owed: int | None = None


def _known(ledger: Ledger, customer_list_id: str) -> _Known:
    entry = ledger.catalogue.lists.by_id(customer_list_id)
    if entry is None:
        return _Known()
    sources = ledger.catalogue.feeds.source_names(entry.number)
    return _Known(entry.members, sources, ledger.notes.count_unsettled(entry.number))
