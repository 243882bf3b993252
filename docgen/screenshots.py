"""`python -m docgen.screenshots`: takes screenshots of the page that `report --html` writes, with an invented history.

It needs Chromium and chromedriver. No test compares the screenshots with the page: run it when the page changes.
"""

from __future__ import annotations

import base64
import random
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from docgen.about import PAGES
from target_pinterest_audience.ledger.history import Ending, ListFigures, RemovalEntry
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.open import open_ledger
from target_pinterest_audience.reporting.alerts.rules import Thresholds
from target_pinterest_audience.reporting.history import read_history
from target_pinterest_audience.reporting.page import render
from tests.support.browser import find_browser, run_browser
from tests.support.ledger_histories import BEGUN, HOUR, begin_run, end_run

_ACCOUNT: Final = "549755885175"
_API: Final = "https://api.pinterest.com/v5"
_LIMITS: Final = Thresholds(rejected_percent=5, size_change_percent=30, stale_hours=26, match_drop_percent=20)
_DAYS: Final = 40
_SIZES: Final = {"report-page.png": (1280, 1500), "report-page-phone.png": (390, 1500)}
"""File → width and height of the window, in pixels."""


class _List(NamedTuple):
    """An invented list: its first size, the share that Pinterest recognises, and the errors of its runs by day."""

    name: str
    size: int
    matched: float
    errors: dict[int, tuple[int, str]]


_NOT_AUTHORISED: Final = (
    'Pinterest does not accept the access token (HTTP 401 code 2: "Authentication failed.", request id '
    "4469980719646669). Set a new one, or check the OAuth settings."
)
_CEILING: Final = (
    '12,960 of the 40,432 members of customer list "Newsletter readers" (id 2542620000001) would be removed because '
    "their rows changed or are missing from the stream: more than 20 % (`max_removal_percent`). If this is intended, "
    "raise the setting for one run."
)
_UNAVAILABLE: Final = "Pinterest is not available. Try again later."
_LISTS: Final = (
    _List("Buyers of the last 90 days", 18_400, 0.71, {12: (4, _UNAVAILABLE)}),
    _List("Newsletter readers", 39_200, 0.62, {20: (4, _UNAVAILABLE), 39: (6, _CEILING)}),
    _List("Store visitors", 8_150, 0.55, dict.fromkeys(range(37, 40), (3, _NOT_AUTHORISED))),
    _List("Trade partners", 140, 0.44, {}),
)


def write_page(path: Path) -> None:
    """Write the page with an invented history to a file."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(open_ledger(f"sqlite:///{folder}/ledger.db", _API, _ACCOUNT, wait_seconds=1)) as ledger,
    ):
        _invent(ledger)
        page = render(read_history(ledger, 1_000), _ACCOUNT, BEGUN + (_DAYS - 1) * 24 * HOUR + HOUR, _LIMITS)
    path.write_text(page, encoding="utf-8")


def _invent(ledger: Ledger) -> None:
    chance = random.Random(1)  # noqa: S311 - not a secret
    with ledger.transaction():
        numbers = [
            ledger.catalogue.lists.add(f"2542620{place:06}", each.name).number for place, each in enumerate(_LISTS)
        ]
        members = dict.fromkeys(numbers, 0)
        for day in range(_DAYS):
            for number, each in zip(numbers, _LISTS, strict=True):
                at = BEGUN + day * 24 * HOUR + number * 60
                entry = begin_run(ledger, each.name, at)
                code, error = each.errors.get(day, (0, None))
                figures = []
                if code == 0:
                    added = each.size if not day else chance.randrange(each.size // 150 + 2)
                    causes = {
                        cause: count
                        for cause in ("delete", "change", "refusal")
                        if day and (count := chance.randrange(each.size // 600 + 1))
                    }
                    members[number] += added - sum(causes.values())
                    ledger.catalogue.lists.change_members(number, added - sum(causes.values()))
                    rows = members[number] * 9 // 10
                    known = ledger.catalogue.lists.entry(number).contributing_rows
                    ledger.catalogue.lists.change_contributing_rows(number, rows - known)
                    matched = round(rows * each.matched) if day > 1 else None
                    bad = {"NOT_AN_EMAIL": max(0, each.size // 400 - day // 2), "UUID_WITHOUT_DASHES": each.size // 900}
                    rejected = {reason: count for reason, count in bad.items() if count}
                    removed = sum(causes.values())
                    figures.append(ListFigures(number, members[number], matched, added, removed, 0, rejected, rows))
                    if causes:
                        ledger.history.note_removal(RemovalEntry(entry, number, at + 5, causes, str(10**15 + entry)))
                end_run(ledger, entry, Ending(at + 30, code, 4, 0.0, error=error), figures, [number])


def main() -> None:
    """Write the screenshots into docs/."""
    found = find_browser()
    if found is None:
        message = "Install Chromium and chromedriver first."
        raise SystemExit(message)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        page = folder / "report.html"
        write_page(page)
        with run_browser(*found, folder / "profile") as browser:
            for name, (width, height) in _SIZES.items():
                # A window cannot be narrower than 500 pixels; an emulated screen can.
                metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
                browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
                browser.get(page.as_uri())
                shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
                (PAGES / name).write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    main()
