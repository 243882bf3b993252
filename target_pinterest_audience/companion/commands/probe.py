"""The command `pinterest-audience probe`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from target_pinterest_audience.companion.options import (
    config_option,
    confirm,
    dry_run_option,
    json_option,
    yes_option,
)
from target_pinterest_audience.companion.output import show, show_json, show_table
from target_pinterest_audience.companion.probe.own_list import LIST_NAME
from target_pinterest_audience.companion.probe.probe import Choices, Probe
from target_pinterest_audience.companion.probe.report import as_report
from target_pinterest_audience.companion.probe.sign_in_questions import StoredSignIn
from target_pinterest_audience.companion.probe.size_questions import STEPS
from target_pinterest_audience.companion.session import logger, read_settings
from target_pinterest_audience.errors import ConfigurationError, OutputError
from target_pinterest_audience.pinterest.signed_requests import SignedRequests
from target_pinterest_audience.run.wiring import make_credentials, make_transport, sign_in_of, token_store_of
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.system.private_files import replace as replace_file
from target_pinterest_audience.system.signals import obey_signals
from target_pinterest_audience.system.version import program_version, user_agent
from target_pinterest_audience.text.counts import several
from target_pinterest_audience.text.safe_text import safe_json

_MOST_RETRIES = 2
"""A request that is too large may look like an outage; many retries would not answer the question."""

_EXAMPLES = """
\b
Examples:
  pinterest-audience probe --config target.json --dry-run
  pinterest-audience probe --config target.json
"""


@click.command("probe", epilog=_EXAMPLES)
@click.option(
    "--report",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("pinterest-probe.json"),
    show_default=True,
    help="The file for the report.",
)
@click.option(
    "--with-list-type",
    is_flag=True,
    help="Create the list with a list_type. By default the probe adds it only if Pinterest requires it.",
)
@click.option("--keep-audience", is_flag=True, help="Do not delete the audience at the end.")
@click.option(
    "--reuse-refresh-token",
    is_flag=True,
    help="Also try the old refresh token after the refresh. Pinterest may then end the sign-in.",
)
@dry_run_option
@config_option
@json_option
@yes_option
def probe(  # noqa: PLR0913 - one argument per option is how click passes them
    path: Path,
    config: tuple[str, ...],
    *,
    with_list_type: bool,
    keep_audience: bool,
    reuse_refresh_token: bool,
    dry_run: bool,
    as_json: bool,
    yes: bool,
) -> None:
    """Ask a real ad account what Pinterest's API description leaves open.

    You do not need this command to run the target, and no run calls it. It creates one customer list and one audience,
    writes invented identities to the list, prints what Pinterest answered, and writes a report that you can attach to
    an issue: it has no ids, names, tokens or identities. It changes no other list and no other audience.

    Customer lists cannot be deleted. The list of the probe stays, without identities, and a later probe uses it again.

    The probe stops as soon as Pinterest does not permit a request (exit code 3). It stays within the rate limits.
    """
    settings = read_settings(config, dry_run=dry_run)
    for line in _plan(settings, path, keep_audience=keep_audience, reuse=reuse_refresh_token):
        show(line, err=as_json)
    if settings.dry_run:
        show("This is a dry run: nothing was sent.", err=as_json)
        return
    confirm("Start the probe?", yes=yes)
    choices = Choices(with_type_first=with_list_type, reuse=reuse_refresh_token)
    with _probe_of(settings, choices) as asking:
        # Written first, so that nothing is asked whose answer could not be kept.
        _write(path, as_report(asking, program_version(), _today(), settings.api_url, None, has_ended=False))
        try:
            asking.ask()
            _end_audience(asking, keep=keep_audience, yes=yes, err=as_json)
            asking.ask_sign_in()
        finally:
            report = as_report(asking, program_version(), _today(), settings.api_url, sys.exc_info()[1])
            _write(path, report)
            _show(asking, report, path, as_json=as_json)


def _plan(settings: Settings, path: Path, *, keep_audience: bool, reuse: bool) -> list[str]:
    """Return what the probe will do, line by line."""
    most, largest = sum(STEPS.records) + sum(STEPS.rows), max(STEPS.records)
    audience = "It stays." if keep_audience else "At the end it asks whether to delete it; with --yes it deletes it."
    lines = [
        f"The probe asks {urlsplit(settings.api_url).hostname}, with the ad account {settings.ad_account_id}.",
        f'- It creates the customer list "{LIST_NAME}", or uses the one of an earlier probe.',
        "- CUSTOMER LISTS CANNOT BE DELETED: this list stays in the account, without identities.",
        f"- It adds about {most:,} invented identities to the list, up to {largest:,} a request, and removes them.",
        "- The identities are digests of addresses and texts that belong to nobody.",
        f"- It creates an audience of the list. {audience}",
        "- It sends about 20 writes, and reads the listings of lists and audiences. It changes nothing else.",
    ]
    if sign_in_of(settings) is not None:
        lines.append("- It refreshes the sign-in once, and stores the new refresh token as every run does.")
        if reuse:
            lines.append(
                "- It then tries the old refresh token. PINTEREST MAY END THE SIGN-IN: you would have to sign in again."
            )
    return [*lines, f"- It writes a report without ids, names and secrets to {path}."]


@contextmanager
def _probe_of(settings: Settings, choices: Choices) -> Iterator[Probe]:
    """Yield the probe; it has sent no request yet."""
    settings = replace(settings, max_retries=min(settings.max_retries, _MOST_RETRIES))
    shield = obey_signals().shield
    transport = make_transport(settings, user_agent(), logger)
    credentials = make_credentials(settings, transport, logger, shield)
    sign_in = sign_in_of(settings)
    stored = None if sign_in is None else StoredSignIn(transport, token_store_of(settings), sign_in, shield)
    requests = SignedRequests(transport, credentials)
    try:
        yield Probe(requests, f"/ad_accounts/{settings.ad_account_id}", stored, choices)
    finally:
        transport.close()
        credentials.close()


def _end_audience(asking: Probe, *, keep: bool, yes: bool, err: bool) -> None:
    """Delete the audience that the probe created, if the person wants it."""
    audience = asking.audience
    if audience.was_there:
        show("An earlier probe left the audience. It stays; `audiences delete` deletes it.", err=err)
    elif audience.id is not None and not keep and (yes or click.confirm("Delete the audience of the probe?", err=err)):
        audience.delete()
        show("Deleted the audience of the probe.", err=err)


def _show(asking: Probe, report: dict[str, Any], path: Path, *, as_json: bool) -> None:
    """Print what was found out, and what the probe leaves in the ad account."""
    if as_json:
        show_json(report)
    else:
        rows = [(each.question, each.answer, each.sure.value) for each in asking.findings.all()]
        show_table(("question", "answer", "how sure"), rows, empty="")
    if asking.own.exists and not asking.is_emptied:
        show("The list of the probe still has invented identities. The next probe removes them.", err=as_json)
    if asking.audience.id is not None:
        stays = f"The audience of the probe stays. `audiences delete {asking.audience.id}` deletes it."
        show(stays, err=as_json)
    written = several(asking.own.writes, "write", "writes")
    show(f"{written}. The report is in {path}. You can attach it to an issue.", err=as_json)


def _today() -> str:
    return datetime.fromtimestamp(time.time(), timezone.utc).date().isoformat()


def _write(path: Path, report: dict[str, Any]) -> None:
    """Write the report.

    Raises:
        ConfigurationError: nothing was asked yet, and the file cannot be written.
        OutputError: the file cannot be written.
    """
    try:
        replace_file(path, safe_json(msgspec.json.format(msgspec.json.encode(report))) + b"\n")
    except OSError as error:
        msg = f"The report cannot be written to {path} ({error.strerror}). Choose another file with --report."
        raise (OutputError if report["writes"] else ConfigurationError)(msg) from None
