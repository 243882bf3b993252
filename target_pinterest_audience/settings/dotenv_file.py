"""Reads the `.env` file of the working directory. Refuses lines for this target that the library would skip."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import NoReturn

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from target_pinterest_audience.errors import ConfigurationError


def read_dotenv(path: Path, prefix: str) -> dict[str, str | None]:
    """Return the variables in a `.env` file; none if there is no such file.

    Args:
        path: the file.
        prefix: the prefix of this target's variables.

    Raises:
        ConfigurationError: the file cannot be read, or a line for this target would be skipped. The message gives the
            number of the line, but not its content.
    """
    text = _text(path)
    ours = re.compile(r"[^A-Za-z0-9\r\n]*".join(re.split(r"[^A-Z0-9]+", prefix.rstrip("_"))), re.IGNORECASE)
    for binding in parse_stream(io.StringIO(text)):
        _check(binding, ours, path)
    return dotenv_values(stream=io.StringIO(text))


def names_in_dotenv(path: Path) -> list[str]:
    """Return the names of the variables in a `.env` file that is not in use; none if the file cannot be read."""
    try:
        # A pipe can be read only once, and may never end.
        text = _text(path) if path.is_file() else ""
    # OSError: the folder cannot be entered.
    except (ConfigurationError, OSError):
        return []
    return [binding.key for binding in parse_stream(io.StringIO(text)) if binding.key is not None]


def _text(path: Path) -> str:
    """Return the text of the file; an empty one if it does not exist, or is a folder such as a virtual environment.

    Raises:
        ConfigurationError: the file cannot be read, or is not UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError):
        text = "\0"
    if "\0" in text:
        msg = f"{path} cannot be read, or is not UTF-8 text."
        raise ConfigurationError(msg)
    return text


def _check(binding: Binding, ours: re.Pattern[str], path: Path) -> None:
    """Check a statement of the file.

    Raises:
        ConfigurationError: the library would skip the statement although it is for this target, or the statement's
            value swallows later lines for this target.
    """
    if binding.error:
        if ours.search(binding.original.string):
            _refuse(binding, path, "is not NAME=VALUE, or a quote is not closed")
        return
    key, value = binding.key, binding.value
    if key is not None and ours.search(key):
        if value is None:
            _refuse(binding, path, "has no `=`")
        if re.search(r"\W", key):
            _refuse(binding, path, "has a character in its name that variables cannot have")
    later_lines = (value or "").partition("\n")[2]
    if re.search(rf"^\s*(?:export\s+)?['\"]?{ours.pattern}", later_lines, re.IGNORECASE | re.MULTILINE):
        _refuse(binding, path, "opens a quote that closes only after other lines for this target")


def _refuse(binding: Binding, path: Path, what: str) -> NoReturn:
    statement = binding.original.string
    blank = statement[: len(statement) - len(statement.lstrip())]
    line = binding.original.line + blank.count("\n")
    msg = f"Line {line} of {path} {what}, so a setting would not be read. Write NAME=VALUE, with quotes if needed."
    raise ConfigurationError(msg)
