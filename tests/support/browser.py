"""A real browser without a window, driven by Selenium, and a person at the emulator's consent page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

Browser: TypeAlias = webdriver.Chrome

_SECONDS: Final = 30
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS: Final = (
    "--headless",
    "--no-sandbox",  # it refuses to run as root with one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a page or the browser itself asks for, nothing leaves this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


def find_browser() -> tuple[str, str] | None:
    """Return the browser and its driver; None if one of them is not installed."""
    browser = next(filter(None, map(shutil.which, _NAMES)), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def run_browser(browser: str, driver: str, folder: Path) -> Iterator[Browser]:
    """Run a browser with an empty profile; it has ended when the block has."""
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in (*_OPTIONS, f"--user-data-dir={folder}"):
        options.add_argument(option)
    # Named, so that Selenium does not look for one to download.
    running = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        yield running
    finally:
        running.quit()


def answer(browser: Browser, address: str, button: str) -> None:
    """Open the consent page, press a button, and wait until the browser has left it."""
    browser.get(address)
    page = browser.title
    browser.find_element(By.XPATH, f"//button[.='{button}']").click()
    WebDriverWait(browser, _SECONDS).until(lambda at: at.title not in {page, ""})
