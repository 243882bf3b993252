"""`python -m docgen.screenshots`: takes screenshots of the page that `report --html` writes, with an invented history.

It needs Chromium and chromedriver. No test compares the screenshots with the page: run it when the page changes.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from docgen.about import PAGES
from target_pinterest_audience.ledger.open import open_ledger
from target_pinterest_audience.reporting.history import read_history
from target_pinterest_audience.reporting.page import render
from tests.support.browser import find_browser, run_browser
from tests.support.ledger_histories import BEGUN, HOUR, invent

_ACCOUNT: Final = "549755885175"
_API: Final = "https://api.pinterest.com/v5"
_RUNS: Final = 30
_SIZES: Final = {"report-page.png": (1200, 1100), "report-page-phone.png": (500, 1100)}
"""File → width and height of the window, in pixels. Chromium allows no width below 500."""


def main() -> None:
    """Write the screenshots into docs/."""
    found = find_browser()
    if found is None:
        message = "Install Chromium and chromedriver first."
        raise SystemExit(message)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        page = folder / "report.html"
        ledger_url = f"sqlite:///{folder}/ledger.db"
        with closing(open_ledger(ledger_url, _API, _ACCOUNT, wait_seconds=1)) as ledger:
            invent(ledger, ["Newsletter readers"], _RUNS, every=24 * HOUR)
            page.write_text(render(read_history(ledger, _RUNS), _ACCOUNT, BEGUN + _RUNS * 24 * HOUR), encoding="utf-8")
        with run_browser(*found, folder / "profile") as browser:
            for name, size in _SIZES.items():
                browser.set_window_size(*size)
                browser.get(page.as_uri())
                browser.save_screenshot(str(PAGES / name))


if __name__ == "__main__":
    main()
