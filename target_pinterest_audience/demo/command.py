"""The command `pinterest-audience demo`: two runs of the target, explained step by step."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

import click

from target_pinterest_audience.demo import customers
from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.text.wrapping import fitted, wrapped

_ACCOUNT: Final = "549755885175"
_TOKEN: Final = "demo-token"  # noqa: S105 - opens nothing but the emulator
_PROCESSING_SECONDS: Final = 0.5
_SHOWN_SETTINGS: Final = ("ad_account_id", "batch_size_rows")
_SAMPLE_LINES: Final = (2, 3, 14, 18, 28, 43)
_PAGE_WIDTH: Final = 105


@click.command()
def demo() -> None:
    """Watch 2,000 invented customers become a Pinterest customer list.

    The demo starts the emulator of Pinterest on this machine, pipes a Singer stream through the real target, and shows
    the result. Nothing leaves this machine. Example: pinterest-audience demo
    """
    if importlib.util.find_spec("werkzeug") is None:
        msg = "The demo needs the extra `emulator`. In a clone, run: pip install '.[emulator]'"
        raise click.ClickException(msg)
    with tempfile.TemporaryDirectory(prefix="pinterest-audience-demo-") as folder:
        today, tomorrow = Path(folder) / "customers.singer", Path(folder) / "next-day.singer"
        today.write_text("\n".join(customers.messages()) + "\n", encoding="utf-8")
        tomorrow.write_text("\n".join(customers.messages(next_day=True)) + "\n", encoding="utf-8")
        _show_stream(today)
        emulator = Emulator(access_token=_TOKEN, ad_account_id=_ACCOUNT, processing_seconds=_PROCESSING_SECONDS)
        with emulator:
            config = _configure(Path(folder), emulator.url)
            _run_target(config, today)
            _show_requests(emulator)
            _show_next_day(emulator, config, tomorrow)
            _show_pinterest(emulator)


def _title(number: int, text: str) -> None:
    click.echo()
    click.secho(fitted(f"{number}. {text}", sys.stdout), bold=True)


def _line(text: str) -> None:
    """Print a line, which a terminal may break between words."""
    click.echo(fitted(text, sys.stdout))


def _paragraph(text: str) -> None:
    """Print several sentences, in lines that a person can read elsewhere, too."""
    click.echo(fitted(text, sys.stdout) if sys.stdout.isatty() else wrapped(text, _PAGE_WIDTH))


def _show_stream(stream: Path) -> None:
    _paragraph(
        "target-pinterest-audience keeps a Pinterest customer list in step with a table of yours. It works with "
        "Singer: a tap (there are hundreds: PostgreSQL, BigQuery, ...) prints each row of the table as a line of JSON, "
        "and a target, such as this program, reads the lines. In this demo the rows are invented."
    )
    _title(1, f"The table: {customers.CUSTOMERS:,} customers, as messy as real data")
    lines = stream.read_text(encoding="utf-8").splitlines()
    for number in _SAMPLE_LINES:
        record = json.loads(lines[number - 1])["record"]
        shown = {key: record[key] for key in ("email", "idfa", "gaid", "phone")}
        _line(f"   line {number:>2}: {json.dumps(shown, ensure_ascii=False)}")
    _line("   ...")
    _paragraph(
        "   There are addresses with blanks and capitals (18, 28), addresses that are hashed already (14), ids of "
        "iPhones (idfa) and Android devices (gaid), phone numbers in several forms, and invalid values, such as an id "
        "without dashes (43)."
    )
    _line("   Ten rows are marked as deleted, so the target removes their values instead of adding them.")


def _configure(folder: Path, url: str) -> Path:
    config = {
        "ad_account_id": _ACCOUNT,
        "access_token": _TOKEN,
        "api_url": url,
        "batch_size_rows": 1_000,
        "initial_backoff_ms": 10,
        "ledger_url": f"sqlite:///{folder / 'ledger.db'}",
    }
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    _title(2, "The first run: target-pinterest-audience --config config.json < customers.singer")
    _line(f"   config.json: {json.dumps({key: config[key] for key in _SHOWN_SETTINGS})[:-1]}, ...}}")
    return path


def _run_target(config: Path, stream: Path, *, only: tuple[str, ...] = ("",)) -> None:
    """Run the target in a process of its own, as a pipeline does, and show its log.

    Args:
        config: its configuration file.
        stream: the file with the Singer messages.
        only: show only log lines that begin with one of these.

    Raises:
        ClickException: the target failed.
    """
    command = [sys.executable, "-m", "target_pinterest_audience", "--config", str(config)]
    environment = {key: value for key, value in os.environ.items() if not key.endswith("LOGLEVEL")}
    started = time.monotonic()
    with stream.open("rb") as source:
        done = subprocess.run(  # noqa: S603 - our own program
            command, stdin=source, capture_output=True, text=True, encoding="utf-8", check=False, env=environment
        )
    seconds = time.monotonic() - started
    for line in done.stderr.splitlines():
        parts = [part.strip() for part in line.split("|", 3)]
        logger, message = (parts[2], parts[3]) if len(parts) > 3 else ("", line)  # noqa: PLR2004 - time, level, logger
        shown = message.startswith(only) and not message.startswith(("Reader", "The run took"))
        if done.returncode or (logger == "target-pinterest-audience" and shown):
            _line(f"   {message}")
    if done.returncode:
        msg = f"The target ended with exit code {done.returncode}."
        raise click.ClickException(msg)
    _line(f"   Exit code 0, after {seconds:.1f} s. The last STATE, the bookmark at which the next run continues:")
    _line(f"   {done.stdout.splitlines()[-1]}")


def _show_requests(emulator: Emulator) -> None:
    backend = emulator.backend
    _title(3, "What Pinterest received (POST creates a list or an audience, PATCH adds members or removes them)")
    for (method, path), count in Counter((call.method, call.path) for call in backend.calls).items():
        _line(f"   {count} x {method} {path}")
    writes = backend.writes()
    records = str((writes[0].request or {}).get("records"))
    _line(f'   The records of the first request: "{records[:90]}..."')
    rows = next(each for call in writes if (each := (call.request or {}).get("records_v2")))
    _line(f"   Phone numbers are sent in requests of their own, which begin like this: {json.dumps(rows)[:60]}...")
    plain = sum("@" in json.dumps(call.request) for call in backend.calls)
    _line(f"   Requests that contain a plain address: {plain}")


def _show_next_day(emulator: Emulator, config: Path, stream: Path) -> None:
    _title(4, "The next day: the tap sends all rows again, two of them changed")
    _line(f'   Customer {customers.MOVED} has a new address: {{"email": "{customers.NEW_ADDRESS}", ...}}')
    _line(f'   Customer {customers.GONE} was deleted; the row has only its key: {{"id": {customers.GONE}, ...}}')
    before = len(emulator.backend.writes())
    _run_target(config, stream, only=("customers: 2,000", "customer list"))
    _line("   Pinterest received only the changes, because the ledger remembers each row (as digests):")
    for call in emulator.backend.writes()[before:]:
        request = call.request or {}
        rows = request.get("records_v2")
        count = len(rows) if isinstance(rows, list) else len(str(request.get("records")).split(","))
        what = " phone" if isinstance(rows, list) else ""
        _line(f"   {call.method}: {request.get('operation_type')} {count}{what}")


def _show_pinterest(emulator: Emulator) -> None:
    backend = emulator.backend
    _title(5, "The result: a customer list, which holds the members, and an audience, which campaigns target")
    deadline = time.monotonic() + 10
    busy = {"INITIALIZING", "PROCESSING"}
    while time.monotonic() < deadline and busy & {
        *(each.status for each in backend.audiences()),
        *(each.status for each in backend.customer_lists()),
    }:
        time.sleep(0.05)
    for each in backend.customer_lists():
        members = len(backend.members(each.id))
        _line(f'   customer list "{each.name}", id {each.id}: {members:,} members, {each.status}')
    for audience in backend.audiences():
        _line(f'   audience "{audience.name}", id {audience.id}: {audience.status}')
    click.echo()
    _line("Pinterest was emulated by `pinterest-audience emulator`; nothing left this machine.")
    _line("Next: connect a tap of your own, as the README shows.")
