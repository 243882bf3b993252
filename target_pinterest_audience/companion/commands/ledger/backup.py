"""The command `pinterest-audience ledger backup`."""

from __future__ import annotations

from pathlib import Path

import click

from target_pinterest_audience.companion.options import config_option, json_option
from target_pinterest_audience.companion.output import show, show_json
from target_pinterest_audience.companion.session import logger, opened_ledger, read_settings
from target_pinterest_audience.ledger.open import back_up
from target_pinterest_audience.text.counts import several

_EXAMPLES = """
\b
Examples:
  pinterest-audience ledger backup /backup/ledger-$(date +%F).db --config target.json
"""


@click.command("backup", epilog=_EXAMPLES)
@click.argument("copy", metavar="FILE", type=click.Path(path_type=Path))
@config_option
@json_option
def backup(copy: Path, config: tuple[str, ...], *, as_json: bool) -> None:
    """Copy a SQLite ledger to a new file.

    The copy is whole even while a run is active, and only you can read it: protect it like the ledger itself. The
    command does not replace a file.

    Make the backup after each run. The command warns if an interrupted run left something to send: after a restoration,
    the next run would send it, even if the people have left by then.
    """
    settings = read_settings(config, needs_sign_in=False)
    with opened_ledger(settings, read_only=True) as ledger:
        pending = sum(ledger.notes.count_unsettled(each.number) for each in ledger.catalogue.lists.all())
        back_up(settings.ledger_url or "", copy)
        where = ledger.where
    if as_json:
        show_json({"ledger": where, "file": str(copy), "pending": pending})
    else:
        show(f"{where} is backed up in {copy}.")
    if pending:
        logger.warning(
            "An interrupted run left %s that Pinterest has not accepted yet. After a restoration of this backup, the "
            "next run sends them. Better make another one after the next run.",
            several(pending, "identity", "identities"),
        )
