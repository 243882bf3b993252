"""The command `pinterest-audience segments`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import click
import msgspec

from target_pinterest_audience.companion.groups import CommandGroup
from target_pinterest_audience.companion.lookup import choose, find_audience, not_found
from target_pinterest_audience.companion.options import (
    config_option,
    confirm,
    json_option,
    refuse_early_options,
    yes_option,
)
from target_pinterest_audience.companion.output import show, show_json, show_table, text, when
from target_pinterest_audience.companion.session import ad_account_for_arguments
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.errors import NotFoundError, UnavailableError
from target_pinterest_audience.pinterest.models import CustomerSegment
from target_pinterest_audience.text.safe_text import safe_json

F = TypeVar("F", bound=Callable[..., Any])

_DELETED = "DELETED"
"""The status of a deleted segment (API description 5.28)."""

_EXAMPLES = """
\b
Examples:
  pinterest-audience segments --config target.json
  pinterest-audience segments create --name "Customers" --audience 2542620905475
  pinterest-audience segments update 3125550001 --add 2542620905476
  pinterest-audience segments delete 3125550001 --yes
"""


class SegmentRow(NamedTuple):
    """A customer segment, as it is printed."""

    id: str
    name: str | None
    status: str | None
    """ACTIVE or DELETED."""
    audience_ids: Sequence[str]
    changed: str | None

    @classmethod
    def of(cls, found: CustomerSegment) -> SegmentRow:
        """Return the row for a segment."""
        ids = found.audience_ids if isinstance(found.audience_ids, list) else []
        return cls(
            found.id, text(found.name), text(found.status), [str(each) for each in ids], when(found.updated_time)
        )

    def cells(self) -> list[object]:
        """Return the values for a table."""
        return [*self._replace(audience_ids=", ".join(self.audience_ids))]


def _audience_option(name: str, description: str, *, required: bool = False) -> Callable[[F], F]:
    return click.option(name, multiple=True, required=required, metavar="ID_OR_NAME", help=description)


@click.group("segments", cls=CommandGroup, invoke_without_command=True, epilog=_EXAMPLES)
@click.option("--search", metavar="TEXT", help="Only the segments that Pinterest finds for this text.")
@click.option(
    "--sizing", is_flag=True, help="Ask Pinterest for estimated sizes; its API description does not define their form."
)
@click.option("--all", "with_deleted", is_flag=True, help="Show deleted segments too.")
@config_option
@json_option
@click.pass_context
def segments(
    context: click.Context,
    search: str | None,
    config: tuple[str, ...],
    *,
    sizing: bool,
    with_deleted: bool,
    as_json: bool,
) -> None:
    """Show the customer segments of the ad account; create, change or delete them.

    A customer segment is a set of audiences whose people Pinterest treats as existing customers in Performance+
    campaigns. Pinterest serves segments only to a person who signed in, not to a token of the app alone.
    """
    refuse_early_options(context)
    if context.invoked_subcommand is not None:
        return
    with ad_account_for_arguments(config) as account:
        found = [
            each for each in account.customer_segments(search, sizing=sizing) if with_deleted or each.status != _DELETED
        ]
    rows = [SegmentRow.of(each) for each in found]
    if as_json:
        sizes = [{"sizing": each.sizing} if sizing else {} for each in found]
        show_json([{**row._asdict(), **size} for row, size in zip(rows, sizes, strict=True)])
        return
    headings, cells = ["id", "name", "status", "audiences", "changed"], [row.cells() for row in rows]
    if sizing:
        headings.append("sizing")
        for row, each in zip(cells, found, strict=True):
            row.append(_compact(each.sizing))
    none = "The ad account has no customer segments." if search is None else "No customer segment matches the text."
    show_table(headings, cells, empty=none)


@segments.command("create", epilog=_EXAMPLES)
@click.option("--name", required=True, help="The name of the segment. It cannot be changed.")
@_audience_option("--audience", "An audience (not its list). Give the option once for each.", required=True)
@config_option
@json_option
def create(name: str, audience: tuple[str, ...], config: tuple[str, ...], *, as_json: bool) -> None:
    """Create a customer segment of audiences.

    Names are not unique at Pinterest, so a name that a segment already has is refused. If no response came, wait a
    minute and run the command again: once Pinterest lists the segment, no second one is created.
    """
    with ad_account_for_arguments(config) as account:
        namesakes = [each.id for each in account.customer_segments() if _is_active(each) and each.name == name]
        if namesakes:
            msg = (
                f"The ad account already has a customer segment with that name (id {', '.join(namesakes)}). Change it "
                "with `pinterest-audience segments update`, or choose another name."
            )
            raise ConfigurationError(msg)
        _show_done("Created", account.create_customer_segment(name, _ids(account, audience)), as_json=as_json)


@segments.command("update", epilog=_EXAMPLES)
@click.argument("which", metavar="ID_OR_NAME")
@_audience_option("--audience", "An audience. The segment then has exactly the audiences that you give.")
@_audience_option("--add", "An audience to add to the segment.")
@_audience_option("--remove", "An audience to remove from the segment. The audience itself stays.")
@config_option
@json_option
@yes_option
def update(
    which: str,
    audience: tuple[str, ...],
    add: tuple[str, ...],
    remove: tuple[str, ...],
    config: tuple[str, ...],
    *,
    as_json: bool,
    yes: bool,
) -> None:
    """Change the audiences of a customer segment. Its name cannot be changed.

    Give either --audience, or --add and --remove. Removing an audience needs a confirmation: campaigns may then show
    ads to its people as if they were new customers.
    """
    if bool(audience) == bool(add or remove):
        msg = "Give the audiences with --audience, or changes with --add and --remove."
        raise click.UsageError(msg)
    with ad_account_for_arguments(config) as account:
        found = _find(account, which)
        before = _audiences_of(found)
        removing = _ids(account, remove, before)
        kept = _ids(account, audience, before) or [each for each in before if each not in removing]
        after = list(dict.fromkeys([*kept, *_ids(account, add, before)]))
        if not after:
            msg = "A customer segment needs an audience. `pinterest-audience segments delete` deletes the segment."
            raise ConfigurationError(msg)
        removed = [each for each in before if each not in after]
        if removed:
            confirm(
                f'Remove audience {", ".join(removed)} from customer segment {found.id} "{found.name}"? Campaigns may '
                "then show ads to its people as new customers.",
                yes=yes,
            )
        if after != before:
            account.update_customer_segment(found.id, after)
        _show_done("Changed" if after != before else "Nothing to change in", found, after, as_json=as_json)


@segments.command("delete", epilog=_EXAMPLES)
@click.argument("which", metavar="ID_OR_NAME")
@config_option
@json_option
@yes_option
def delete(which: str, config: tuple[str, ...], *, as_json: bool, yes: bool) -> None:
    """Delete a customer segment. Its audiences and their lists stay.

    Campaigns may then show ads to its people as if they were new customers.
    """
    with ad_account_for_arguments(config) as account:
        found = _find(account, which)
        confirm(
            f'Delete customer segment {found.id} "{found.name}"? Campaigns may then show ads to its people as new '
            "customers.",
            yes=yes,
        )
        try:
            account.delete_customer_segment(found.id)
        except NotFoundError as missing:
            # An attempt without a response has deleted it.
            if not missing.unanswered:
                raise
        _show_done("Deleted", found, as_json=as_json)


def _find(account: PinterestClient, which: str) -> CustomerSegment:
    """Return a segment by its id or name; Pinterest has no request for a single one.

    Raises:
        ConfigurationError: there is none, it is deleted, or several have that name.
    """
    listed = list(account.customer_segments())
    found = [each for each in listed if _is_active(each)]
    chosen = choose(found, which, "customer segments")
    if chosen is None:
        gone = " any more" if any(each.id == which for each in listed) else ""
        raise not_found(found, which, "customer segment", "segments", gone)
    return chosen


def _is_active(found: CustomerSegment) -> bool:
    """Return whether a segment is not deleted."""
    return bool(found.status != _DELETED)


def _audiences_of(found: CustomerSegment) -> list[str]:
    """Return the ids of a segment's audiences.

    Raises:
        UnavailableError: Pinterest does not return them, so a change could remove one.
    """
    ids = found.audience_ids
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        msg = (
            f"Pinterest did not return the audiences of customer segment {found.id}, so nothing was changed. Try again "
            "later."
        )
        raise UnavailableError(msg)
    return ids


def _ids(account: PinterestClient, given: Iterable[str], known: Collection[str] = ()) -> list[str]:
    """Return the ids of audiences without repetitions. The id of a list, taken for one, would exclude no one.

    Args:
        account: the ad account.
        given: the ids or names of audiences.
        known: ids that need not be checked.

    Raises:
        ConfigurationError: the ad account does not have one of them.
    """
    return list(dict.fromkeys(each if each in known else find_audience(account, each).id for each in given))


def _compact(value: object) -> str | None:
    return safe_json(msgspec.json.encode(value)).decode() if value is not None else None


def _show_done(
    what: str, segment: CustomerSegment, audience_ids: Sequence[str] | None = None, *, as_json: bool
) -> None:
    row = SegmentRow.of(segment)
    if audience_ids is not None:
        row = row._replace(audience_ids=audience_ids)
    if as_json:
        show_json(row._asdict())
    else:
        show(f'{what} customer segment {row.id} "{row.name}"; audiences: {", ".join(row.audience_ids)}.')
