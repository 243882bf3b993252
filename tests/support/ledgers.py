"""Ledgers in tests."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.postgres.connection import SCHEMA
from tests.support.account import ACCOUNT
from tests.support.postgres import Database
from tests.support.processes import environment

API = "https://api.example.com/v5"


Opened = Callable[..., Ledger]
"""What the fixture `opened` is."""


def address(database: Database) -> str:
    return f"postgresql://{database.user}:{database.password}@{database.host}:{database.port}/{database.name}"


_PROLOGUE = f"""
import os, sys, time
from target_pinterest_audience.ledger.open import open_ledger
ledger = open_ledger(sys.argv[1], {API!r}, {ACCOUNT!r}, wait_seconds=30.0)
"""


@contextmanager
def another_process(url: str, code: str, *, opens: bool = True) -> Iterator[subprocess.Popen[str]]:
    """Run code in another process, which has `ledger` unless it opens its own; it has ended when the block has."""
    prologue = _PROLOGUE if opens else _PROLOGUE.rpartition("ledger = ")[0]
    command = [sys.executable, "-c", prologue + code, url]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def take_over(path: Path) -> None:
    """Take all locks of a SQLite ledger, as an older version does, which does not know who is alive."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE fences SET number = 1")


def cut_twice(ledger: Ledger) -> None:
    """Let each transaction of a ledger be cut twice before it is committed, as a server does that restarts again."""
    transact = ledger.transact

    def cut(work: Callable[[], Any], undo: Callable[[], object] = bool) -> Any:
        for _ in range(2):
            with suppress(ZeroDivisionError), ledger.transaction():
                work()
                raise ZeroDivisionError
            undo()
        return transact(work, undo)

    ledger.transact = cut  # type: ignore[method-assign]


def select(url: str, question: str) -> list[tuple[Any, ...]]:
    """Look into the tables of a ledger, over a connection of one's own."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            return file.execute(question).fetchall()
    with psycopg.connect(url, options=f"-c search_path={SCHEMA}") as database:
        return database.execute(question).fetchall()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
