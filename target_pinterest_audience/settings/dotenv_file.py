"""Reads the `.env` file of the working directory. Refuses lines for this target that the library would skip."""

from __future__ import annotations

import io
import re
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

from dotenv.parser import Binding, parse_stream
from dotenv.variables import Variable, parse_variables

from target_pinterest_audience.errors import ConfigurationError


def read_dotenv(path: Path, prefix: str, overridden: Collection[str] = ()) -> dict[str, str | None]:
    """Return the variables in a `.env` file; none if there is no such file.

    A reference such as `${NAME}` gets the value of an earlier line, never a variable of the environment: the file may
    be somebody else's, and would decide to which address that variable is sent.

    Args:
        path: the file.
        prefix: the prefix of this target's variables.
        overridden: the variables that the environment has, so that their lines in the file do not count.

    Raises:
        ConfigurationError: the file cannot be read, or a line for this target would be skipped or refers to a variable
            that the file does not define. The message gives the number of the line, but not its value.
    """
    text = _text(path)
    ours = re.compile(r"[^A-Za-z0-9\r\n]*".join(re.split(r"[^A-Z0-9]+", prefix.rstrip("_"))), re.IGNORECASE)
    defined: dict[str, str | None] = {}
    incomplete: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        _check(binding, ours, path)
        key, value = binding.key, binding.value
        if key is None:
            continue
        atoms = list(parse_variables(value or ""))
        names = [atom.name for atom in atoms if isinstance(atom, Variable)]
        unknown = next((incomplete.get(name, name) for name in names if defined.get(name) is None), None)
        if unknown is None:
            defined[key] = None if value is None else "".join(atom.resolve(defined) for atom in atoms)
            incomplete.pop(key, None)
            continue
        if ours.search(key) and key not in overridden:
            _refuse_reference(binding, path, unknown)
        defined.pop(key, None)
        incomplete[key] = unknown
    return defined


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
    msg = (
        f"Line {_line(binding)} of {path} {what}, so a setting would not be read. Write NAME=VALUE, with quotes if "
        "needed."
    )
    raise ConfigurationError(msg)


def _refuse_reference(binding: Binding, path: Path, name: str) -> NoReturn:
    # Anything else may be a part of a password that happens to contain `${`.
    named = f"the variable {name}" if name.isidentifier() else "a variable"
    msg = (
        f"Line {_line(binding)} of {path} refers to {named}, which no earlier line of the file defines. Variables of "
        "the environment are not inserted into this file, which may not be yours. Set "
        f"{binding.key} in the environment instead."
    )
    raise ConfigurationError(msg)


def _line(binding: Binding) -> int:
    """Return the number of the line on which a statement begins."""
    statement = binding.original.string
    blank = statement[: len(statement) - len(statement.lstrip())]
    return binding.original.line + blank.count("\n")
