"""The command `pinterest-audience emulator`."""

from __future__ import annotations

import shlex
import signal
import threading
from types import FrameType

import click

from target_pinterest_audience.emulator.server import DEFAULT_HOST, Emulator
from target_pinterest_audience.emulator.settings import Settings

_DEFAULTS = Settings()
_REMEMBERED_CALLS = 1000
"""A limit, because an emulator that runs for days must not keep every request body."""


@click.command(epilog="Example: pinterest-audience emulator --port 0 --latency-ms 200")
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="Loopback address to listen on.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 for any that is free.",
)
@click.option("--access-token", default=_DEFAULTS.access_token, show_default=True, help="The Bearer token that works.")
@click.option("--ad-account-id", default=_DEFAULTS.ad_account_id, show_default=True, help="The ad account that exists.")
@click.option(
    "--latency-ms", default=0.0, show_default=True, type=click.FloatRange(min=0), help="Minimum duration of every call."
)
@click.option(
    "--processing-seconds",
    default=_DEFAULTS.processing_seconds,
    show_default=True,
    type=click.FloatRange(min=0),
    help="How long a list stays PROCESSING after an update.",
)
@click.option(
    "--match-percent",
    default=_DEFAULTS.match_percent,
    show_default=True,
    type=click.FloatRange(0, 100),
    help="Share of a list's members that count as matched.",
)
@click.option(
    "--audience-minimum",
    default=_DEFAULTS.audience_minimum,
    show_default=True,
    type=click.IntRange(min=0),
    help="Refuse an audience on a list with fewer matched members.",
)
@click.option(
    "--ads-write-per-minute",
    default=_DEFAULTS.ads_write_per_minute,
    show_default=True,
    type=click.IntRange(min=0),
    help="Writes per minute before calls get 429.",
)
@click.option(
    "--ads-read-per-minute",
    default=_DEFAULTS.ads_read_per_minute,
    show_default=True,
    type=click.IntRange(min=0),
    help="Reads per minute before calls get 429.",
)
@click.option(
    "--creation-status",
    default=str(_DEFAULTS.creation_status),
    show_default=True,
    type=click.Choice(["200", "201"]),
    help="Status that answers a creation; Pinterest's API description has both.",
)
@click.option("--verbose", is_flag=True, help="Log every request to stderr.")
def emulator(  # noqa: PLR0913 - one argument per option is how click passes them
    *,
    host: str,
    port: int,
    access_token: str,
    ad_account_id: str,
    latency_ms: float,
    processing_seconds: float,
    match_percent: float,
    audience_minimum: int,
    ads_write_per_minute: int,
    ads_read_per_minute: int,
    creation_status: str,
    verbose: bool,
) -> None:
    """Emulate Pinterest's customer lists and audiences on this machine, until Ctrl-C."""
    try:
        running = Emulator(
            host=host,
            port=port,
            verbose=verbose,
            access_token=access_token,
            ad_account_id=ad_account_id,
            latency_ms=latency_ms,
            processing_seconds=processing_seconds,
            match_percent=match_percent,
            audience_minimum=audience_minimum,
            ads_write_per_minute=ads_write_per_minute,
            ads_read_per_minute=ads_read_per_minute,
            creation_status=int(creation_status),
            max_calls=_REMEMBERED_CALLS,
        ).start()
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        message = f"Cannot listen on {host}:{port}: {error.strerror}. Choose another port with --port."
        raise click.ClickException(message) from None
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "werkzeug":
            raise
        message = "The emulator needs the extra `emulator`. In a clone, run: pip install '.[emulator]'"
        raise click.ClickException(message) from None
    stopped = _on_signal()
    try:
        click.echo(_welcome(running.url, access_token, ad_account_id))
        stopped.wait()
    finally:
        running.stop()


def _on_signal() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set."""
    stopped = threading.Event()

    def stop(_signum: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return stopped


def _welcome(url: str, access_token: str, ad_account_id: str) -> str:
    """Return the address of the emulator, and the environment variables that point the target at it."""
    environment = {"API_URL": url, "ACCESS_TOKEN": access_token, "AD_ACCOUNT_ID": ad_account_id}
    lines = [f"export TARGET_PINTEREST_AUDIENCE_{name}={shlex.quote(value)}" for name, value in environment.items()]
    return "\n".join([f"# The emulator listens on {url} until Ctrl-C. To point the target at it:", *lines])
