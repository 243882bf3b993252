"""The receipt of `forget`: what was done about a request for erasure, for the records. It contains no identities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import click

from target_pinterest_audience.companion.operations.forget import Receipt
from target_pinterest_audience.companion.output import show, show_table, when
from target_pinterest_audience.system.operator import Operator
from target_pinterest_audience.text import counts

_HEADINGS: Final = ("at", "list", "name", "people", "outcome", "request_ids")

_ON_LIST: Final = "on the list"
_PRECAUTION: Final = "precaution"


@dataclass(frozen=True, slots=True)
class Order:
    """What `forget` was told to do, and by whom.

    Attributes:
        people: how many values were given; each counts as a person.
        suppress: whether to keep runs from adding them again.
        reference: the number of the request; None if none was given.
        operator: who runs the command.
    """

    people: int
    suppress: bool
    reference: str | None
    operator: Operator


@dataclass(frozen=True, slots=True)
class AccountReceipt:
    """What was done on the lists of one ad account.

    Attributes:
        ad_account_id: the ad account.
        dry_run: whether nothing was changed.
        at: the Unix time of the receipt.
        lists: what was done on each list.
    """

    ad_account_id: str
    dry_run: bool
    at: float
    lists: list[Receipt] = field(default_factory=list)


def as_json(order: Order, receipt: AccountReceipt) -> dict[str, object]:
    """Return a receipt in the form that `--json` prints."""
    return {
        "at": when(receipt.at),
        "ad_account_id": receipt.ad_account_id,
        "identities": order.people,
        "suppressed": order.suppress,
        "dry_run": receipt.dry_run,
        "reference": order.reference,
        "user": order.operator.user,
        "host": order.operator.host,
        "lists": [
            {
                "accepted": when(each.at),
                "customer_list_id": each.target.id,
                "customer_list": each.target.name,
                "people": each.target.people,
                "reason": _ON_LIST if each.target.people else _PRECAUTION,
                "outcome": each.outcome,
                "request_ids": each.request_ids,
            }
            for each in receipt.lists
        ],
    }


def show_receipt(order: Order, receipt: AccountReceipt) -> None:
    """Print a receipt as a table and sentences."""
    rows = [
        (when(each.at), each.target.id, each.target.name, each.target.people, each.outcome, ", ".join(each.request_ids))
        for each in receipt.lists
    ]
    show_table(_HEADINGS, rows, empty="The ad account has no customer lists.", spare=("name",))
    verb = "would be" if receipt.dry_run else "is" if order.people == 1 else "are"
    what = "suppressed: no run with this ledger adds them to any list"
    click.echo(f"\n{counts.identities(order.people)} {verb} {what if order.suppress else 'not suppressed'}.")
    for line in _reasons(receipt.lists):
        show(line)
    reference = f", reference {order.reference}" if order.reference is not None else ""
    show(f"{when(receipt.at)}, by {order.operator}{reference}.")


def _reasons(receipts: Sequence[Receipt]) -> list[str]:
    """Return sentences on the lists that had the people, and on those that were asked as a precaution."""
    had = [f'"{each.target.name or ""}" ({each.target.people:,})' for each in receipts if each.target.people]
    others = len(receipts) - len(had)
    lines = [f"According to the ledger, they were on {', '.join(had)}."] if had else []
    if others:
        lines.append(
            f"As a precaution: {counts.several(others, 'list', 'lists')} on which the ledger knows none of them."
        )
    return lines
