"""A closed standard output and a full disk end the run with exit code 1. They are not bugs of the program."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.errors import OutputError, outcome
from tests.support.processes import command, environment

PROGRAM = "target-pinterest-audience"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EPIPE])
def test_a_full_disk_or_a_closed_pipe_is_not_called_a_bug(number: int) -> None:
    code, message = outcome(OSError(number, "person@example.com"), PROGRAM)
    assert code == 1
    assert "bug" not in message
    assert "person" not in message


def test_an_output_error_keeps_its_own_message() -> None:
    assert outcome(OutputError("Standard output is closed."), PROGRAM) == (1, "Standard output is closed.")


@pytest.mark.parametrize("error", [OSError(errno.EBADF, "person"), ValueError("person"), KeyError("person")])
def test_any_other_error_is_called_a_bug_without_its_message(error: Exception) -> None:
    code, message = outcome(error, PROGRAM)
    assert code == 1
    assert "This is a bug" in message
    assert "person" not in message


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_settings_that_cannot_be_printed_are_reported(config: dict[str, Any], tmp_path: Path, unbuffered: str) -> None:
    about = [*command(config, tmp_path)[:3], "--about", "--format", "markdown"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            about, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60,
            env=environment(PYTHONUNBUFFERED=unbuffered),
        )  # fmt: skip
    assert done.returncode == 1
    assert b"bug" not in done.stderr
    if unbuffered:
        assert b"standard output is closed or full" in done.stderr
