"""The command `pinterest-audience check`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import click

from target_pinterest_audience.companion.options import config_option, json_option
from target_pinterest_audience.companion.output import show, show_json
from target_pinterest_audience.companion.session import logger, settings_from
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.route import route_to
from target_pinterest_audience.run.readiness import Result, connect, run_checks
from target_pinterest_audience.settings import described
from target_pinterest_audience.settings.load import read_sources
from target_pinterest_audience.system.signals import obey_signals
from target_pinterest_audience.system.version import user_agent

_MARKS: Final = {"ok": "✓", "warning": "!", "failed": "✗"}


@click.command("check")
@config_option
@json_option
def check(config: tuple[str, ...], *, as_json: bool) -> None:
    """Check whether everything is ready for a run.

    It checks the settings, the sign-in, the ad account, lists, audiences, the ledger and the clock. A line with ✗ would
    make a run fail; the exit code is that of the first one. A line with ! is a warning; it does not change the exit
    code.

    The check changes nothing at Pinterest. With OAuth it renews the access token, as each run does.

    Example: pinterest-audience check --config target.json
    """
    results = []
    for result in _results(config):
        results.append(result)
        if not as_json:
            show(f"{_MARKS[_state(result)]} {result.check}: {result.detail}")
    if as_json:
        show_json(
            [
                {"check": each.check, "ok": each.error is None, "state": _state(each), "detail": each.detail}
                for each in results
            ]
        )
    sys.exit(next((each.error.exit_code for each in results if each.error is not None), 0))


def _results(config: tuple[str, ...]) -> Iterator[Result]:
    try:
        sources = read_sources(config)
        settings = settings_from(sources)
    except ConfigurationError as error:
        yield Result("settings", str(error), error)
        return
    yield Result("settings", f"ad account {settings.ad_account_id} at {settings.api_url}; {described(sources)}")
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
