"""The command `pinterest-audience check`: is everything ready for a run?"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import click

from target_pinterest_audience.commands.common import (
    ad_account,
    config_option,
    json_option,
    logger,
    settle,
    show_json,
)
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.route import route_to
from target_pinterest_audience.readiness import Result, look
from target_pinterest_audience.settings import described
from target_pinterest_audience.target import TargetPinterestAudience


@click.command("check")
@config_option
@json_option
def check(config: tuple[str, ...], *, as_json: bool) -> None:
    """Tell whether everything is ready for a run: settings, sign-in, ad account, list, audience, ledger, clock.

    Nothing is changed at Pinterest; only a sign-in by OAuth renews its token, as each run does. The exit code is that
    of the first thing that is not in order.

    Example: pinterest-audience check --config target.json
    """
    results = []
    for result in _results(config):
        results.append(result)
        if not as_json:
            click.echo(f"{'✓' if result.error is None else '✗'} {result.check}: {result.detail}")
    if as_json:
        show_json([{"check": each.check, "ok": each.error is None, "detail": each.detail} for each in results])
    sys.exit(next((each.error.exit_code for each in results if each.error is not None), 0))


def _results(config: tuple[str, ...]) -> Iterator[Result]:
    try:
        sources = TargetPinterestAudience.read_sources(config)
        settings = settle(sources)
    except ConfigurationError as error:
        yield Result("settings", str(error), error)
        return
    yield Result("settings", f"ad account {settings.ad_account_id} at {settings.api_url}; {described(sources)}")
    try:
        route_to(settings.api_url, os.environ)
    except ConfigurationError as error:
        yield Result("network", str(error), error)
        return
    with ad_account(settings) as account:
        yield from look(settings, account, logger)
