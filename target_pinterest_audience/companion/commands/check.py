"""The command `pinterest-audience check`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import click

from target_pinterest_audience.companion.estimate import Question, show_estimate
from target_pinterest_audience.companion.options import config_option, json_option
from target_pinterest_audience.companion.output import show_json, show_marked
from target_pinterest_audience.companion.session import logger, read_settings, settings_from
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.run.readiness import Result, connect, run_checks
from target_pinterest_audience.settings import described
from target_pinterest_audience.settings.load import read_sources
from target_pinterest_audience.system.signals import obey_signals
from target_pinterest_audience.system.version import user_agent

_MARKS: Final = {"ok": "✓", "warning": "!", "failed": "✗"}


@click.command("check")
@click.option(
    "--rows",
    "rows",
    multiple=True,
    metavar="[STREAM=]NUMBER",
    help="Estimate what a first load of so many rows takes, instead of checking. Asks nothing of Pinterest. With "
    "settings for several streams, give the option once for each, such as customers=20000000.",
)
@click.option(
    "--identity",
    "types",
    multiple=True,
    type=click.Choice(tuple(IDENTITY_TYPES), case_sensitive=False),
    help="With --rows: a type of identity that each row holds, once for each, if the settings have no "
    "`identity_columns`.",
)
@click.option(
    "--lists",
    type=click.IntRange(1, 1_000_000),
    metavar="NUMBER",
    help="With --rows and `list_name_column`: how many lists the rows name.",
)
@config_option
@json_option
def check(
    config: tuple[str, ...], rows: tuple[str, ...], types: tuple[str, ...], lists: int | None, *, as_json: bool
) -> None:
    """Check whether everything is ready for a run.

    It checks the settings, the sign-in, the ad account, lists, audiences, the ledger and the clock. A line with ✗ would
    make a run fail; the exit code is that of the first one. A line with ! is a warning; it does not change the exit
    code.

    The check changes nothing at Pinterest. With OAuth it renews the access token, as each run does.

    With --rows it estimates a first load instead, from the settings and from figures that were measured: requests,
    time with Standard and with Trial access, room for the ledger, and memory. A line with ! needs something to be done
    before the load.

    Example: pinterest-audience check --config target.json

    Example: pinterest-audience check --config target.json --rows 20000000
    """
    if rows:
        show_estimate(read_settings(config), Question(rows, types, lists), as_json=as_json)
        return
    if types or lists is not None:
        msg = "--identity and --lists belong to an estimate: give --rows, too."
        raise click.UsageError(msg)
    results = []
    for result in _results(config):
        results.append(result)
        if not as_json:
            show_marked(_MARKS[_state(result)], f" {result.check}: {result.detail}")
    if as_json:
        show_json([{"name": each.check, "state": _state(each), "detail": each.detail} for each in results])
    sys.exit(next((each.error.exit_code for each in results if each.error is not None), 0))


def _results(config: tuple[str, ...]) -> Iterator[Result]:
    try:
        sources = read_sources(config)
        settings = settings_from(sources)
    except ConfigurationError as error:
        yield Result("settings", str(error), error)
        return
    yield Result("settings", f"ad account {settings.ad_account_id} at {settings.api_url}; {described(sources)}")
    from target_pinterest_audience.pinterest.route import route_to  # noqa: PLC0415 - an estimate sends nothing

    try:
        route_to(settings.api_url, os.environ)
    except ConfigurationError as error:
        yield Result("network", str(error), error)
        return
    account = connect(settings, user_agent(), logger, obey_signals().shield)
    with closing(account):
        yield from run_checks(settings, account)


def _state(result: Result) -> str:
    if result.error is not None:
        return "failed"
    return "warning" if result.warning else "ok"
