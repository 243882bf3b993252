"""The command `pinterest-audience readmit`."""

from __future__ import annotations

import click

from target_pinterest_audience.companion.audit_trail import audited
from target_pinterest_audience.companion.identity_options import (
    HIDE_ARGUMENTS,
    all_forms,
    confirm_given,
    given_identities,
    identity_options,
)
from target_pinterest_audience.companion.operations.readmit import readmit as lift_suppressions
from target_pinterest_audience.companion.options import (
    config_option,
    dry_run_option,
    json_option,
    reference_option,
    yes_option,
)
from target_pinterest_audience.companion.output import show, show_json
from target_pinterest_audience.companion.session import opened_ledger, read_settings
from target_pinterest_audience.reconcile.locks import Locks
from target_pinterest_audience.text import counts

_EXAMPLES = """
\b
Examples:
  pinterest-audience readmit --email person@example.com --config target.json
  pinterest-audience readmit --email - --yes < emails.txt
"""


@click.command("readmit", epilog=_EXAMPLES, context_settings=HIDE_ARGUMENTS)
@identity_options
@reference_option
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
    reference: str | None,
    dry_run: bool,
    as_json: bool,
    yes: bool,
    **values: tuple[str, ...],
) -> None:
    """Let runs again add people whom `forget` keeps out.

    Use it for people who came back and consent. The command sends nothing to Pinterest. The next run adds them if a row
    that was read since `forget` names them; rows that were not read since must be read again. Give the same values as
    to `forget`.
    """
    given = given_identities(context, values)
    settings = read_settings(config, dry_run=dry_run, needs_sign_in=False)
    identities = all_forms(given, settings.phone_countries)
    if not settings.dry_run:
        question = (
            f"Let runs add {counts.identities(len(given))} again to lists of ad account {settings.ad_account_id}?"
        )
        confirm_given(question, given, yes=yes)
    with opened_ledger(settings) as ledger, audited(ledger, "readmit", reference=reference) as counted:
        lifted = lift_suppressions(ledger, Locks(ledger, settings), identities)
        counted |= {"identities": len(given), "lifted": lifted}
    if as_json:
        show_json({"identities": len(given), "lifted": lifted, "dry_run": settings.dry_run})
        return
    one, many = ("would be", "would be") if settings.dry_run else ("is", "are")
    what = counts.several(lifted, f"digest or id {one}", f"digests and ids {many}")
    known = f"{what} no longer suppressed." if lifted else "None of them was suppressed."
    show(f"{counts.identities(len(given))}: {known}")
