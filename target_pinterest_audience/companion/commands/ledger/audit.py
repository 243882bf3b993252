"""The command `pinterest-audience ledger audit`."""

from __future__ import annotations

from typing import Final

import click

from target_pinterest_audience.companion.options import config_option, json_option
from target_pinterest_audience.companion.output import show_json, show_table, when
from target_pinterest_audience.companion.session import opened_ledger, read_settings
from target_pinterest_audience.ledger.catalogue.audit import Act
from target_pinterest_audience.system.operator import Operator

_HEADINGS: Final = ("started", "command", "by", "reference", "list", "counts", "outcome")
_SPARE: Final = ("list", "counts", "reference")
"""The columns that a narrow terminal may leave out."""

_EXAMPLES = """
\b
Examples:
  pinterest-audience ledger audit --config target.json
  pinterest-audience ledger audit --last 1000 --json
"""


@click.command("audit", epilog=_EXAMPLES)
@click.option(
    "--last", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="How many commands to show."
)
@config_option
@json_option
def audit(last: int, config: tuple[str, ...], *, as_json: bool) -> None:
    """Show who ran the commands that change who is on lists.

    These are `clear`, `forget`, `prune`, `readmit`, `ledger expire` and `ledger reset`, newest first: when each began,
    the user and the machine, --reference, and what it counted. A command is recorded before it acts, so one that was
    killed is there, too. The record contains no identities, and no command deletes it.
    """
    with opened_ledger(read_settings(config, needs_sign_in=False), read_only=True) as ledger:
        acts = ledger.audit.acts(last)
        lists = {each.number: each for each in ledger.catalogue.lists.all()}
    entries = [(each, lists.get(each.list_number or 0)) for each in acts]
    if as_json:
        show_json(
            [
                {
                    "command": act.command,
                    "started": when(act.started),
                    "ended": when(act.ended),
                    "exit_code": act.exit_code,
                    "user": act.user,
                    "host": act.host,
                    "reference": act.reference,
                    "customer_list_id": entry.customer_list_id if entry is not None else None,
                    "customer_list": entry.name if entry is not None else None,
                    "counts": act.counts,
                }
                for act, entry in entries
            ]
        )
        return
    rows = [
        (
            when(act.started),
            act.command,
            str(Operator(act.user, act.host)),
            act.reference,
            entry.name if entry is not None else None,
            ", ".join(f"{name}: {count:,}" for name, count in act.counts.items()) or None,
            _outcome(act),
        )
        for act, entry in entries
    ]
    show_table(_HEADINGS, rows, empty="No command has changed who is on lists.", spare=_SPARE)


def _outcome(act: Act) -> str:
    """Return how a command ended, in words."""
    if act.exit_code is None:
        return "not ended"
    return "done" if not act.exit_code else f"failed ({act.exit_code})"
