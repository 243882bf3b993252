"""The command `pinterest-audience login`."""

from __future__ import annotations

import secrets
import sys
import threading
import webbrowser
from typing import Final

import click

from target_pinterest_audience.companion.browser_redirect import can_listen, listening, pasted
from target_pinterest_audience.companion.commands.common import (
    config_option,
    json_option,
    logger,
    number,
    read_settings,
    show_json,
)
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.oauth import (
    Authorization,
    Grant,
    check_redirect_uri,
    consent_page,
)
from target_pinterest_audience.pinterest.tokens import SignIn
from target_pinterest_audience.run.wiring import make_transport, token_store_of
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.system.signals import obey_signals
from target_pinterest_audience.system.version import user_agent
from target_pinterest_audience.text.counts import several

_REDIRECT_URI: Final = "http://localhost:8085/"
"""That of Pinterest's own quickstart, so that many apps have it among their redirect links."""

_STATE_BYTES: Final = 32
_DAY_SECONDS: Final = 86_400

_EXAMPLES = """
\b
Examples:
  pinterest-audience login --config target.json
  pinterest-audience login --no-browser
  pinterest-audience login --redirect-uri http://localhost:9000/callback --print
"""


@click.command("login", epilog=_EXAMPLES)
@config_option
@click.option(
    "--redirect-uri",
    default=_REDIRECT_URI,
    show_default=True,
    metavar="ADDRESS",
    help="Where Pinterest sends the browser in the end: exactly one of the app's redirect links.",
)
@click.option(
    "--no-browser",
    is_flag=True,
    help="The browser is on another machine: show the address to open, and take the last one by paste.",
)
@click.option("--print", "prints", is_flag=True, help="Print the refresh token instead of keeping it.")
@click.option(
    "--wait-seconds",
    type=click.IntRange(1, 86_400),
    default=300,
    show_default=True,
    help="How long to wait for the person.",
)
@json_option
def login(
    config: tuple[str, ...], redirect_uri: str, wait_seconds: int, *, no_browser: bool, prints: bool, as_json: bool
) -> None:
    """Sign in at Pinterest, for runs to go on from: as somebody who is owner, admin or audience manager.

    Needs `client_id` and `client_secret` of your Pinterest app, and among the app's redirect links the address that
    --redirect-uri names. A browser opens; once the access is allowed there, the refresh token is kept in
    `credentials_file` or the PostgreSQL ledger, and every run with these settings uses it.
    """
    settings = read_settings(config)
    app = _app(settings)
    check_redirect_uri(redirect_uri)
    store = token_store_of(settings)
    if not prints:
        with store.exclusive(), store.room():
            # Before anybody is asked: a place that cannot be written to is told at once.
            pass
    transport = make_transport(settings, user_agent(), logger)
    termination = obey_signals()
    page = consent_page(settings.api_url)
    authorization = Authorization(page, app.client_id, redirect_uri, secrets.token_urlsafe(_STATE_BYTES))
    code = authorization.code(_ask(authorization, redirect_uri, wait_seconds, no_browser=no_browser))
    if prints:
        with termination.shield():
            granted = authorization.exchange(transport, app.client_secret, code)
            if as_json:
                show_json({"refresh_token": granted.refresh_token, "days": _days(granted)})
            else:
                click.echo(granted.refresh_token)
        return
    # A run that renews its token meanwhile must not keep its own over this one.
    with store.exclusive(), store.room() as keep, termination.shield():
        granted = authorization.exchange(transport, app.client_secret, code)
        keep(granted.refresh_token, app.origin)
    days = _days(granted)
    if as_json:
        show_json({"kept_in": str(store), "days": days})
    else:
        lasting = f", for {several(days, 'day', 'days')} after the last run" if days is not None else ""
        click.echo(f"Signed in{lasting}. The refresh token is kept in {store}.")
    if settings.access_token is not None:
        _tell("The settings have an `access_token`, which runs use first. Remove it, so that they use this sign-in.")


def _app(settings: Settings) -> SignIn:
    """Return what to sign in by.

    Raises:
        ConfigurationError: the settings do not say.
    """
    app = SignIn.of(settings.client_id, settings.client_secret, settings.refresh_token)
    if app is None:
        missing = [name for name in ("client_id", "client_secret") if getattr(settings, name) is None]
        msg = (
            f"To sign in, {' and '.join(f'`{name}`' for name in missing)} must be set: they stand on the page of your "
            "app at Pinterest, as app id and app secret key."
        )
        raise ConfigurationError(msg)
    return app


def _ask(authorization: Authorization, redirect_uri: str, wait_seconds: int, *, no_browser: bool) -> str:
    """Ask the person, and return the address that their browser was sent to.

    Raises:
        ConfigurationError: the browser cannot be received here.
        NotPermittedError: the person did not answer.
    """
    address = authorization.address
    if no_browser or not can_listen(redirect_uri):
        _tell(
            f"Open this address in a browser, and allow the access:\n\n{address}\n\nIn the end the browser shows an "
            f"address that begins with {redirect_uri}, perhaps with an error in its page. Paste that address here:"
        )
        if not no_browser:
            _open(address)
        return pasted(redirect_uri, sys.stdin.fileno(), _tell, wait_seconds)
    with listening(redirect_uri, authorization.is_answered_by) as wait:
        _tell(f"Allow the access in the browser that opens. If none does, open this address:\n\n{address}\n")
        _open(address)
        return wait(wait_seconds)


def _open(address: str) -> None:
    """Open an address in the person's browser; on a thread, since one in the terminal returns only when it is left."""
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _days(granted: Grant) -> int | None:
    """Return for how many days after the last run the sign-in holds; None if Pinterest did not tell."""
    seconds = number(granted.lifetime)
    return seconds // _DAY_SECONDS if seconds is not None else None


def _tell(words: str) -> None:
    """Tell a person something; the standard output is for the token."""
    click.echo(words, err=True)
