"""The command `pinterest-audience readmit`."""

from __future__ import annotations

import click

from target_pinterest_audience.companion.commands.common import (
    config_option,
    dry_run_option,
    json_option,
    opened_ledger,
    read_settings,
    show_json,
    yes_option,
)
from target_pinterest_audience.companion.commands.given import (
    ARGUMENTS_UNSEEN,
    all_forms,
    confirm_given,
    given_identities,
    identity_options,
)
from target_pinterest_audience.companion.operations.readmit import readmit as lift_suppressions
from target_pinterest_audience.reconcile.locks import Locks
from target_pinterest_audience.text import counts

_EXAMPLES = """
\b
Examples:
  pinterest-audience readmit --email person@example.com --config target.json
  pinterest-audience readmit --email - --config target.json --yes < addresses.txt
"""


@click.command("readmit", epilog=_EXAMPLES, context_settings=ARGUMENTS_UNSEEN)
@identity_options
@dry_run_option
@config_option
@json_option
@yes_option
@click.pass_context
def readmit(
    context: click.Context,
    /,
    config: tuple[str, ...],
    *,
    dry_run: bool,
    as_json: bool,
    yes: bool,
    **values: tuple[str, ...],
) -> None:
    """Let runs add somebody again whom `forget` has kept out since: they came back, and consent.

    Nothing is sent. A row that names them and was read since is obeyed by the next run; one that was not has to be read
    again. Give what was given to `forget`.
    """
    given = given_identities(context, values)
    identities = all_forms(given)
    settings = read_settings(config, dry_run=dry_run)
    if not settings.dry_run:
        question = (
            f"Let runs add {counts.identities(len(given))} again to lists of ad account {settings.ad_account_id}?"
        )
        confirm_given(question, given, yes=yes)
    with opened_ledger(settings) as ledger:
        lifted = lift_suppressions(ledger, Locks(ledger, settings), identities)
    if as_json:
        show_json({"identities": len(given), "lifted": lifted, "dry_run": settings.dry_run})
        return
    one, many = ("would be", "would be") if settings.dry_run else ("is", "are")
    what = counts.several(lifted, f"digest or id {one}", f"digests and ids {many}")
    known = f"{what} suppressed no longer." if lifted else "None of them was suppressed."
    click.echo(f"{counts.identities(len(given))}: {known}")
