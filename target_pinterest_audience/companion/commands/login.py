"""The command `pinterest-audience login`."""

from __future__ import annotations

import secrets
import sys
import threading
import webbrowser
from typing import Final

import click

from target_pinterest_audience.companion.browser_redirect import can_listen, listening, pasted
from target_pinterest_audience.companion.options import config_option, json_option
from target_pinterest_audience.companion.output import number, show, show_json
from target_pinterest_audience.companion.session import logger, read_settings
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
from target_pinterest_audience.text.wrapping import fitted

_REDIRECT_URI: Final = "http://localhost:8085/"
"""The address in Pinterest's own quickstart: many apps have it among their redirect links."""

_STATE_BYTES: Final = 32
_DAY_SECONDS: Final = 86_400

_EXAMPLES = """
\b
Examples:
  pinterest-audience login --config target.json
  pinterest-audience login --no-browser
  pinterest-audience login --redirect-uri http://localhost:9000/ --print
"""


@click.command("login", epilog=_EXAMPLES)
@config_option
@click.option(
    "--redirect-uri",
    default=_REDIRECT_URI,
    show_default=True,
    metavar="ADDRESS",
    help="Where Pinterest redirects the browser after the sign-in: exactly one of the app's redirect links.",
)
@click.option(
    "--no-browser",
    is_flag=True,
    help="The browser is on another machine: show the URL to open, and ask you to paste the URL it is redirected to.",
)
@click.option("--print", "prints", is_flag=True, help="Print the refresh token instead of storing it.")
@click.option(
    "--wait-seconds",
    type=click.IntRange(1, 86_400),
    default=300,
    show_default=True,
    help="How long to wait for you to allow the access.",
)
@json_option
def login(
    config: tuple[str, ...], redirect_uri: str, wait_seconds: int, *, no_browser: bool, prints: bool, as_json: bool
) -> None:
    """Sign in at Pinterest, so that runs can use the ad account.

    You must be its owner, admin or audience manager. Set `client_id` and `client_secret` of your Pinterest app, and add
    the address in --redirect-uri to the app's redirect links. The command opens a browser. After you allow the access
    there, it stores the refresh token in `credentials_file` or in the PostgreSQL ledger, and every run with these
    settings uses it.
    """
    settings = read_settings(config)
    app = _app(settings)
    check_redirect_uri(redirect_uri)
    store = token_store_of(settings)
    if not prints:
        with store.exclusive(), store.room():
            # Raises an error before the person signs in, if the token could not be stored.
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
                show_json({"refresh_token": granted.refresh_token, "valid_days": _days(granted)})
            else:
                click.echo(granted.refresh_token)
        return
    # A run that renews its token meanwhile must not overwrite this one.
    with store.exclusive(), store.room() as keep, termination.shield():
        granted = authorization.exchange(transport, app.client_secret, code)
        keep(granted.refresh_token, app.origin)
    days = _days(granted)
    if as_json:
        show_json({"stored_in": str(store), "valid_days": days})
    else:
        lasting = f", for {several(days, 'day', 'days')} after the last run" if days is not None else ""
        show(f"Signed in{lasting}. The refresh token is stored in {store}.")
    if settings.access_token is not None:
        _prompt(
            "The settings have an `access_token`, which takes precedence. Remove it, so that runs use this sign-in."
        )


def _app(settings: Settings) -> SignIn:
    """Return the app to sign in to.

    Raises:
        ConfigurationError: the settings lack the app's id or its secret.
    """
    app = SignIn.of(settings.client_id, settings.client_secret, settings.refresh_token)
    if app is None:
        missing = [name for name in ("client_id", "client_secret") if getattr(settings, name) is None]
        msg = (
            f"To sign in, set {' and '.join(f'`{name}`' for name in missing)}. The page of your app at Pinterest shows "
            "its app id and its app secret key."
        )
        raise ConfigurationError(msg)
    return app


def _ask(authorization: Authorization, redirect_uri: str, wait_seconds: int, *, no_browser: bool) -> str:
    """Have the person allow the access, and return the address that Pinterest redirected the browser to.

    Raises:
        ConfigurationError: the port of the redirect address cannot be used, or standard input ended.
        NotPermittedError: the person did not allow the access in time.
    """
    address = authorization.address
    if no_browser or not can_listen(redirect_uri):
        _prompt(
            f"Open this address in a browser, and allow the access:\n\n{address}\n\nThe browser is then redirected to "
            f"an address that begins with {redirect_uri}; the page may show an error. Paste that address here:"
        )
        if not no_browser:
            _open(address)
        return pasted(redirect_uri, sys.stdin.fileno(), _prompt, wait_seconds)
    with listening(redirect_uri, authorization.is_answered_by) as wait:
        _prompt(f"Allow the access in the browser that opens. If none opens, open this address:\n\n{address}\n")
        _open(address)
        return wait(wait_seconds)


def _open(address: str) -> None:
    """Open an address in the browser; on a thread, because a browser in the terminal blocks until it is closed."""
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _days(granted: Grant) -> int | None:
    """Return for how many days after the last run the sign-in is valid; None if Pinterest's response lacks it."""
    seconds = number(granted.lifetime)
    return seconds // _DAY_SECONDS if seconds is not None else None


def _prompt(text: str) -> None:
    """Print a text for the person to standard error; standard output is for the token."""
    click.echo(fitted(text, sys.stderr), err=True)
