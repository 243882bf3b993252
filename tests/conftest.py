"""What many tests share: the emulator as a fixture, and the target as a process of its own."""

from __future__ import annotations

import functools
import gc
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import ACCOUNT, TOKEN, Write
from tests.support.browser import Browser, find_browser, run_browser
from tests.support.contract import assert_contract
from tests.support.json_output import assert_valid
from tests.support.lengths import IS_LONG
from tests.support.memory import MEMORY
from tests.support.postgres import Database, PostgresServer, find_binaries, run_server_if_installed
from tests.support.processes import Companion, Run, command, companion_command, environment
from tests.support.waiting import Clock
from tests.support.zygote import Zygote, shared_zygote

MARKERS = {
    "process": ("zygote", "the target or its companion runs as a process of its own"),
    "postgres": ("postgres_server", "a real PostgreSQL"),
    "meltano": ("installed_project", "a real Meltano, with its plugins installed"),
    "tap": ("tap_postgres", "a real tap-postgres"),
    "airflow": ("airflow", "a real Airflow, 2 or 3"),
    "dagster": ("dagster", "a real Dagster"),
    "browser": ("browser", "a real browser"),
}
"""Marker → the fixture of the tests that have it, and what these need."""

_SLOW = ("meltano", "tap", "airflow", "dagster")
"""The markers of tests that are left to `make test-all` because of what they need."""

_MARKED_BY_HAND = {
    "slow": "left to `make test-all`",
    "random": "tries random histories, more of them if TEST_LENGTH is long",
}


def pytest_configure(config: pytest.Config) -> None:
    # A shell lets its background jobs ignore SIGINT, and so would all processes that the tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Without a deadline for an example, which a busy machine misses.
    hypothesis.settings.register_profile("long", deadline=None)
    hypothesis.settings.register_profile("few", max_examples=40, deadline=None)
    hypothesis.settings.load_profile("long" if IS_LONG else "few")
    # A ledger waits for its disk at each commit, and a test has no power cut to fear.
    if MEMORY is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)
    descriptions = {name: needs for name, (_, needs) in MARKERS.items()}
    for name, description in {**descriptions, **_MARKED_BY_HAND}.items():
        config.addinivalue_line("markers", f"{name}: {description}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        for name, (fixture, _) in MARKERS.items():
            if fixture in fixtures or (name == "postgres" and "database" in fixtures):
                item.add_marker(name)
        if any(item.get_closest_marker(name) for name in _SLOW):
            item.add_marker("slow")
        if item.get_closest_marker("random"):
            # Many histories are one test, and on a shared core each takes several times as long.
            item.add_marker(pytest.mark.timeout(1800))


def pytest_collection_finish() -> None:
    # Thousands of tests live to the end: without this, each collection of garbage looks through all of them.
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="take a skipped test for a failed one")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.getoption("--no-skips") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and collector.config.getoption("--no-skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def zygote() -> Zygote:
    """What forks the processes of a test run."""
    return shared_zygote()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A fresh Pinterest whose every answer, and every request to it, is held against the contract at the end."""
    with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT) as server:
        yield server
        assert_contract(server.backend.calls)


@pytest.fixture
def config(emulator: Emulator, tmp_path: Path) -> dict[str, Any]:
    """Settings that reach the emulator and lose no time in retries."""
    return {
        "ad_account_id": ACCOUNT,
        "access_token": TOKEN,
        "api_url": emulator.url,
        "load_method": "append-only",
        "initial_backoff_ms": 1,
        "max_backoff_ms": 1000,
        "ledger_url": f"sqlite:///{tmp_path}/ledger.db",
    }


@pytest.fixture
def run_target(zygote: Zygote, config: dict[str, Any], tmp_path: Path) -> Callable[..., Run]:
    """Run the target as a process, over a stream given as messages, as text or as bytes."""

    def run(stream: list[dict[str, Any]] | str | bytes, *, log_level: str = "INFO", **settings: Any) -> Run:
        if isinstance(stream, list):
            stream = "".join(json.dumps(message) + "\n" for message in stream)
        if isinstance(stream, str):
            stream = stream.encode()
        merged = {name: value for name, value in {**config, **settings}.items() if value is not None}
        arguments = command(merged, tmp_path)[3:]
        code, out, err = zygote.run("target-pinterest-audience", arguments, stream, environment(LOGLEVEL=log_level))
        return Run(code, out.decode(), err.decode())

    return run


@pytest.fixture
def run_companion(zygote: Zygote, config: dict[str, Any], tmp_path: Path) -> Callable[..., Run]:
    """Run a command of `pinterest-audience` that needs settings, as a process."""

    def run(*arguments: str, stdin: bytes = b"", **settings: Any) -> Run:
        argv = companion_command({**config, **settings}, tmp_path, *arguments)
        code, out, err = zygote.run("pinterest-audience", argv[3:], stdin, environment())
        if "--json" in arguments and out:
            assert_valid(arguments, out)
        return Run(code, out.decode(), err.decode())

    return run


@pytest.fixture
def kill_companion(config: dict[str, Any], emulator: Emulator, tmp_path: Path) -> Callable[..., None]:
    """Run a command until its first change of a list is due, keep that from Pinterest, and kill the process."""

    def kill(*arguments: str, **settings: Any) -> None:
        emulator.backend.inject(Fault(method="PATCH", times=None, status=503))
        before = len(emulator.backend.calls)
        slow = {"initial_backoff_ms": 60_000, "max_backoff_ms": 60_000}
        argv = companion_command({**config, **settings, **slow}, tmp_path, *arguments)
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
        ) as process:
            deadline = time.monotonic() + 60
            while not any(call.status == 503 for call in emulator.backend.calls[before:]):
                assert time.monotonic() < deadline, "it did not come so far"
                assert process.poll() is None, "it ended by itself"
                time.sleep(0.02)
            process.kill()
        emulator.backend.clear_faults()

    return kill


@pytest.fixture
def run_prune(run_companion: Companion) -> Callable[..., Run]:
    """Run `pinterest-audience prune` as a process."""
    return functools.partial(run_companion, "prune")


@pytest.fixture
def sent(emulator: Emulator) -> Callable[[], list[Write]]:
    """Return what was written to customer lists since the last call of this, or since the beginning."""
    told: list[int] = [0]

    def since() -> list[Write]:
        writes = emulator.backend.writes()[told[0] :]
        told[0] += len(writes)
        requests = [call.request or {} for call in writes]
        return [
            Write(str(each.get("operation_type", "ADD")), frozenset(str(each["records"]).split(",")))
            for each in requests
        ]

    return since


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real browser for all tests of a module."""
    found = find_browser()
    if found is None:
        pytest.skip("there is no browser to drive: apt-get install chromium chromium-driver")
    with run_browser(*found, tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def written() -> list[Any]:
    return []


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests."""
    with run_server_if_installed(
        find_binaries(), "PostgreSQL's server is not installed: apt-get install postgresql"
    ) as server:
        yield server


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    """An empty database."""
    with postgres_server.database() as database:
        yield database
