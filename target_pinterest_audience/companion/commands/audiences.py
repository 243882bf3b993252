"""The command `pinterest-audience audiences`."""

from __future__ import annotations

from typing import Final, NamedTuple

import click

from target_pinterest_audience.companion.groups import CommandGroup
from target_pinterest_audience.companion.in_use import as_json as usage_as_json
from target_pinterest_audience.companion.in_use import refuse_in_use, show_usage, usage_of_audience, usage_sentences
from target_pinterest_audience.companion.lookup import find_audience, find_list
from target_pinterest_audience.companion.options import (
    config_option,
    confirm,
    in_use_option,
    json_option,
    refuse_early_options,
    yes_option,
)
from target_pinterest_audience.companion.output import (
    flag,
    show,
    show_alarm,
    show_fields,
    show_json,
    show_rows,
    text,
    when,
)
from target_pinterest_audience.companion.session import ad_account, ad_account_for_arguments, read_settings
from target_pinterest_audience.identities.phones import COUNTRIES
from target_pinterest_audience.pinterest.models import Audience
from target_pinterest_audience.reporting.matching import why_untargetable
from target_pinterest_audience.settings.rules import country_code

_LARGEST_PERCENTAGE = 10
"""The largest share of a country that a lookalike audience can have (API description 5.23)."""

_SPARE: Final = ("is_nca", "changed", "customer_list_id")
"""The columns that a narrow terminal may leave out."""

_EXAMPLES = """
\b
Examples:
  pinterest-audience audiences --config target.json
  pinterest-audience audiences show 2542620905475 --config target.json
  pinterest-audience audiences create --list 4189742 --name Newsletter
  pinterest-audience audiences lookalike --seed 2542620905475 --country US --percentage 1
  pinterest-audience audiences rename 2542620905475 --name "Newsletter"
  pinterest-audience audiences delete 2542620905475 --yes
"""


class AudienceRow(NamedTuple):
    """An audience, as it is printed."""

    id: str
    name: str | None
    type: str | None
    status: str | None
    matched: int | None
    """The number of people that Pinterest matched; None while it is matching."""
    customer_list_id: str | None
    """The list that the audience is made of, if any."""
    is_nca: bool | None
    """Whether it comes from a list for new customer acquisition; None if Pinterest does not report it."""
    changed: str | None

    @classmethod
    def of(cls, found: Audience) -> AudienceRow:
        """Return the row for an audience."""
        return cls(
            found.id,
            text(found.name),
            found.audience_type,
            text(found.status),
            found.matched,
            found.customer_list_id,
            flag(found.is_nca),
            when(found.updated_timestamp),
        )


def _check_country(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Return the code of a country in capitals, as the callback of an option.

    Raises:
        BadParameter: there is no such country.
    """
    code = country_code(value)
    if code is None or code not in COUNTRIES:
        msg = "a country is an ISO 3166 code of two letters, such as US or DE. The code of the United Kingdom is GB."
        raise click.BadParameter(msg)
    return code


@click.group("audiences", cls=CommandGroup, invoke_without_command=True, epilog=_EXAMPLES)
@config_option
@json_option
@click.pass_context
def audiences(context: click.Context, config: tuple[str, ...], *, as_json: bool) -> None:
    """Show the audiences of the ad account; create, rename or delete them.

    Campaigns target audiences. An audience of type CUSTOMER_LIST makes a customer list available to them. Below 100
    people its status is TOO_SMALL, and campaigns cannot use it.
    """
    refuse_early_options(context)
    if context.invoked_subcommand is not None:
        return
    with ad_account(read_settings(config)) as account:
        rows = [AudienceRow.of(each) for each in account.audiences()]
    show_rows(AudienceRow, rows, as_json=as_json, empty="The ad account has no audiences.", spare=_SPARE)


@audiences.command("show", epilog=_EXAMPLES)
@click.argument("which", metavar="ID_OR_NAME")
@config_option
@json_option
def show_one(which: str, config: tuple[str, ...], *, as_json: bool) -> None:
    """Show an audience, and what uses it.

    These are the ad groups and campaigns that include or exclude it, and customer segments.
    """
    with ad_account_for_arguments(config) as account:
        found = find_audience(account, which)
        usage = usage_of_audience(account, found)
    row = AudienceRow.of(found)
    why = why_untargetable(None, found.matched, row.status)
    if as_json:
        show_json({**row._asdict(), "untargetable": why, **usage_as_json(usage)})
        return
    show_fields(row._asdict())
    if why is not None:
        show_alarm(why)
    for each in usage_sentences(usage, "it"):
        show(each)


@audiences.command("create", epilog=_EXAMPLES)
@click.option(
    "--list",
    "which",
    required=True,
    metavar="ID_OR_NAME",
    help="The customer list.",
)
@click.option("--name", required=True, help="The name of the audience.")
@click.option("--description", help="The description of the audience.")
@config_option
@json_option
def create(which: str, name: str, description: str | None, config: tuple[str, ...], *, as_json: bool) -> None:
    """Create the audience of a customer list, for campaigns to target.

    If no response came, check with `pinterest-audience audiences` whether the audience exists before you try again.
    """
    with ad_account_for_arguments(config) as account:
        found = find_list(account, which)
        _show_done("Created", account.create_audience(name, found.id, description), as_json=as_json)


@audiences.command("lookalike", epilog=_EXAMPLES)
@click.option(
    "--seed",
    required=True,
    metavar="ID_OR_NAME",
    help="The seed: the audience (not its list) whose people the new ones resemble.",
)
@click.option(
    "--country",
    required=True,
    callback=_check_country,
    metavar="CODE",
    help="The country of the people: US, CA, GB ...",
)
@click.option(
    "--percentage",
    required=True,
    type=click.IntRange(1, _LARGEST_PERCENTAGE),
    help=f"The size: the most similar 1-{_LARGEST_PERCENTAGE} % of the country.",
)
@click.option("--name", help='The name of the audience. By default "Like SEED (COUNTRY PERCENTAGE %)".')
@click.option("--description", help="The description of the audience.")
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
    """Create an audience of people who resemble those in another one. Pinterest calls it ACTALIKE."""
    with ad_account_for_arguments(config) as account:
        like = find_audience(account, seed).id
        made = account.create_lookalike(
            name or f"Like {seed} ({country} {percentage} %)", like, country, percentage, description
        )
        _show_done("Created", made, as_json=as_json)


@audiences.command("rename", epilog=_EXAMPLES)
@click.argument("which", metavar="ID_OR_NAME")
@click.option("--name", required=True, help="The new name.")
@click.option("--description", help="The new description. By default the old one stays.")
@config_option
@json_option
def rename(which: str, name: str, description: str | None, config: tuple[str, ...], *, as_json: bool) -> None:
    """Rename an audience. Customer lists cannot be renamed."""
    with ad_account_for_arguments(config) as account:
        found = find_audience(account, which)
        _show_done("Renamed", account.update_audience(found.id, name=name, description=description), as_json=as_json)


@audiences.command("delete", epilog=_EXAMPLES)
@click.argument("which", metavar="ID_OR_NAME")
@config_option
@json_option
@yes_option
@in_use_option
def delete(which: str, config: tuple[str, ...], *, as_json: bool, yes: bool, in_use: bool) -> None:
    """Delete an audience; campaigns that use it lose it. Its customer list stays: lists cannot be deleted.

    First it shows which ad groups, campaigns and customer segments use the audience. If an active one excludes it,
    everyone in it would then see the ads, so the command needs --in-use.
    """
    with ad_account_for_arguments(config) as account:
        found = find_audience(account, which)
        named, usage = _named(found), usage_of_audience(account, found)
        show_usage(usage, named)
        refuse_in_use(usage, named, in_use=in_use)
        confirm(f"Delete {named}?", yes=yes)
        account.delete_audience(found.id)
        _show_done("Deleted", found, as_json=as_json)


def _show_done(what: str, audience: Audience, *, as_json: bool) -> None:
    if as_json:
        show_json(AudienceRow.of(audience)._asdict())
    else:
        show(f"{what} {_named(audience)}.")


def _named(audience: Audience) -> str:
    return f'audience {audience.id} "{text(audience.name)}"'
