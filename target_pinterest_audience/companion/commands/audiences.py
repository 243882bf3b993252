"""The command `pinterest-audience audiences`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import click

from target_pinterest_audience.companion.commands.common import (
    ad_account,
    check_identifier,
    config_option,
    confirm,
    json_option,
    number,
    read_settings,
    refuse_early_options,
    show,
    show_json,
    show_rows,
    text,
    when,
    yes_option,
)
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.errors import RefusedError
from target_pinterest_audience.pinterest.models import Audience

_LARGEST_PERCENTAGE = 10
"""Of a country, that a look-alike can be (API description 5.23)."""

_EXAMPLES = """
\b
Examples:
  pinterest-audience audiences --config target.json
  pinterest-audience audiences create --list 4189742 --name Newsletter
  pinterest-audience audiences lookalike --seed 2542620905475 --country US --percentage 1
  pinterest-audience audiences rename 2542620905475 --name "Newsletter readers"
  pinterest-audience audiences delete 2542620905475 --yes
"""


class AudienceRow(NamedTuple):
    """An audience as it is shown."""

    id: str
    name: str | None
    type: str | None
    status: str | None
    size: int | None
    """People whom Pinterest found; None while it is looking."""
    customer_list: str | None
    """The list that it stands for, if it does."""
    changed: str | None

    @classmethod
    def of(cls, found: Audience) -> AudienceRow:
        """Return an audience as it is shown."""
        return cls(
            found.id,
            text(found.name),
            found.audience_type,
            text(found.status),
            number(found.size),
            found.customer_list_id,
            when(found.updated_timestamp),
        )


@click.group("audiences", invoke_without_command=True, epilog=_EXAMPLES)
@config_option
@json_option
@click.pass_context
def audiences(context: click.Context, config: tuple[str, ...], *, as_json: bool) -> None:
    """Show the audiences of the ad account, and make, rename or delete them.

    An audience is what campaigns target; one of type CUSTOMER_LIST stands for a customer list. Below 100 people it is
    TOO_SMALL to be used.
    """
    refuse_early_options(context)
    if context.invoked_subcommand is not None:
        return
    with ad_account(read_settings(config)) as account:
        rows = [AudienceRow.of(each) for each in account.audiences()]
    show_rows(AudienceRow, rows, as_json=as_json, empty="The ad account has no audiences.")


@audiences.command("create", epilog=_EXAMPLES)
@click.option(
    "--list",
    "list_id",
    required=True,
    callback=check_identifier,
    metavar="ID",
    help="The customer list that it stands for.",
)
@click.option("--name", required=True)
@click.option("--description")
@config_option
@json_option
def create(list_id: str, name: str, description: str | None, config: tuple[str, ...], *, as_json: bool) -> None:
    """Make the audience that lets a customer list be targeted.

    Call it once: after an answer that was lost, look with `pinterest-audience audiences` before calling it again.
    """
    with _asked(config) as account:
        _tell("Created", account.create_audience(name, list_id, description), as_json=as_json)


@audiences.command("lookalike", epilog=_EXAMPLES)
@click.option(
    "--seed",
    required=True,
    callback=check_identifier,
    metavar="ID",
    help="The audience, not the list, that others shall be like.",
)
@click.option("--country", required=True, metavar="CODE", help="Where they live: US, CA, GB ...")
@click.option(
    "--percentage",
    required=True,
    type=click.IntRange(1, _LARGEST_PERCENTAGE),
    help="How many of that country's people, from the most alike on.",
)
@click.option("--name", help='By default "Like", the seed\'s id, the country and the percentage.')
@click.option("--description")
@config_option
@json_option
def lookalike(
    seed: str,
    country: str,
    percentage: int,
    name: str | None,
    description: str | None,
    config: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Make an audience of people who are like those in another one (Pinterest calls it ACTALIKE)."""
    with _asked(config) as account:
        made = account.create_lookalike(
            name or f"Like {seed} ({country} {percentage} %)", seed, country, percentage, description
        )
        _tell("Created", made, as_json=as_json)


@audiences.command("rename", epilog=_EXAMPLES)
@click.argument("audience_id", callback=check_identifier, metavar="ID")
@click.option("--name", required=True)
@click.option("--description", help="Replaces the old one; without this it stays.")
@config_option
@json_option
def rename(audience_id: str, name: str, description: str | None, config: tuple[str, ...], *, as_json: bool) -> None:
    """Give an audience another name. Customer lists cannot be renamed."""
    with _asked(config) as account:
        _tell("Renamed", account.update_audience(audience_id, name=name, description=description), as_json=as_json)


@audiences.command("delete", epilog=_EXAMPLES)
@click.argument("audience_id", callback=check_identifier, metavar="ID")
@config_option
@json_option
@yes_option
def delete(audience_id: str, config: tuple[str, ...], *, as_json: bool, yes: bool) -> None:
    """Delete an audience; campaigns that target it lose it. Its customer list stays: no list can be deleted."""
    with _asked(config) as account:
        found = account.audience(audience_id)
        confirm(f'Delete audience {found.id} "{found.name}"?', yes=yes)
        account.delete_audience(audience_id)
        _tell("Deleted", found, as_json=as_json)


@contextmanager
def _asked(config: tuple[str, ...]) -> Iterator[PinterestClient]:
    """Yield the ad account of the settings.

    Raises:
        ConfigurationError: Pinterest does not take what the command line asks for.
    """
    with ad_account(read_settings(config)) as account:
        try:
            yield account
        except RefusedError as refused:
            raise ConfigurationError(str(refused)) from None


def _tell(what: str, audience: Audience, *, as_json: bool) -> None:
    row = AudienceRow.of(audience)
    if as_json:
        show_json(row._asdict())
    else:
        show(f'{what} audience {row.id} "{row.name}".')
