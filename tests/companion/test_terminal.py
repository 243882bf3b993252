"""What a person reads on a terminal of 80 columns after a typical mistake: whole words, and what to do."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest

from target_pinterest_audience.emulator import Emulator
from tests.support.processes import companion_command, environment

OnTerminal = Callable[..., tuple[int, list[str]]]
LIST = "a list with a rather long name, so that the line has to be broken"


@pytest.fixture
def on_terminal(config: dict[str, Any], tmp_path: Path) -> OnTerminal:
    """The exit code of a command, and the lines that a terminal of 80 columns shows."""

    def run(*arguments: str, stdin: str = "", **settings: Any) -> tuple[int, list[str]]:
        merged = {name: value for name, value in {**config, **settings}.items() if value is not None}
        command = companion_command(merged, tmp_path, *arguments)
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=theirs, stderr=theirs, env=environment(COLUMNS="80", NO_COLOR="1")
        )
        os.close(theirs)
        assert process.stdin is not None
        process.stdin.write(stdin.encode())
        process.stdin.close()
        printed = b""
        # Linux reports an error where other systems report the end.
        with suppress(OSError):
            while part := os.read(ours, 65_536):
                printed += part
        os.close(ours)
        return process.wait(), click.unstyle(printed.decode()).replace("\r\n", "\n").splitlines()

    return run


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "advice"),
    [
        (["lists", "show", "nobody"], {}, 2, "`pinterest-audience lists` shows all lists."),
        (["lists"], {"ad_account_id": "123456789012"}, 2, "Check the ids in the settings, and `api_url`."),
        (["lists"], {"access_token": "wrong-token"}, 3, "Set a new one, or check the OAuth settings."),
        (["lists"], {"access_token": None}, 2, "run `pinterest-audience login` or set `refresh_token`."),
        (["check"], {"ad_account_id": "123456789012"}, 2, "Check `ad_account_id`, and who signed in."),
        (["status"], {}, 2, "Check `ledger_url`, or run the target."),
        (["lists"], {"api_url": "http://127.0.0.1:9/v5", "max_retries": 1}, 4, "Try again later."),
        (["ledger", "expire", "--older-than", "2026-01-01"], {}, 2, "--older-than DAYS takes a whole number from 1 to"),
        (["forget", "--email", "@missing"], {}, 2, "Check the path after @. Nothing was done."),
        (["audiences", "lookalike", "--seed", "1", "--country", "UK", "--percentage", "1"], {}, 2, "United Kingdom"),
        (["probe", "--dry-run"], {}, 0, "This is a dry run: nothing was sent."),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else None,
)
def test_messages_fit_and_say_what_to_do(
    on_terminal: OnTerminal, arguments: list[str], settings: dict[str, Any], code: int, advice: str
) -> None:
    ended, shown = on_terminal(*arguments, **settings)
    assert ended == code, shown
    assert advice in " ".join(map(str.strip, shown))
    # A path that is wider than the terminal has a line of its own.
    assert [line for line in shown if len(line) > 80 and " " in line.strip()] == []


def test_ids_stay_whole(emulator: Emulator, on_terminal: OnTerminal) -> None:
    known = {emulator.backend.create_list(LIST, ["a" * 64]).id for _ in range(6)}
    code, shown = on_terminal("lists", "show", LIST)
    assert code == 2
    assert known <= set(" ".join(shown).replace(",", " ").replace(")", " ").split())


def test_an_input_that_ends_before_the_answer_is_explained() -> None:
    program = (
        "import click; from target_pinterest_audience.companion import main\n"
        "def cli(*_, **__): raise click.Abort\n"
        "main.cli = cli; main.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment()
    )
    assert (done.returncode, done.stderr) == (
        1, "\nThe input ended before a question was answered. Run the command again.\n",
    )  # fmt: skip


def test_elsewhere_an_error_is_one_line(config: dict[str, Any], tmp_path: Path) -> None:
    command = companion_command({**config, "ad_account_id": "123456789012"}, tmp_path, "lists")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
