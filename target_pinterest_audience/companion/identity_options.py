"""The options that name identities: one for each type, one for digests, each also from a file or standard input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import click

from target_pinterest_audience.companion.options import confirm, is_terminal
from target_pinterest_audience.identities.forms import digest_of, forms_of
from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.text.safe_text import one_line
from target_pinterest_audience.text.wrapping import fitted
from target_pinterest_audience.vocabulary import WireFormat

F = TypeVar("F", bound=Callable[..., Any])

_STDIN: Final = "-"
_FILE: Final = "@"
"""What begins the name of a file with values. No identity begins with it."""

_STANDARD_INPUT: Final = "standard input"
_DIGEST: Final = "digest"
_TYPES: Final = {name.lower(): kind for name, kind in IDENTITY_TYPES.items()}

HIDE_ARGUMENTS: Final = {"allow_extra_args": True}
"""The context settings of a command whose usage errors must not repeat a value that was given without an option."""


class GivenIdentity(NamedTuple):
    """An identity as it was given on the command line, in a file or on standard input."""

    option: str
    value: str
    place: str | None = None
    """The name of the file, or that of standard input; None if the value was given on the command line."""
    line: int = 0
    """The line of it."""


def identity_options(command: F) -> F:
    """Add an option for each type of identity and one for digests; their values are the arguments `values`."""
    command = click.option(
        f"--{_DIGEST}",
        multiple=True,
        metavar="HEX",
        help="A digest (SHA-256, SHA-1 or MD5) of any identity: only this one; or @FILE or -, as above.",
    )(command)
    for name, kind in reversed(_TYPES.items()):
        command = click.option(
            f"--{name.replace('_', '-')}",
            name,
            multiple=True,
            metavar="VALUE",
            help=f"An identity of type {kind.name}; or @FILE or - to read a file or standard input, a value per line.",
        )(command)
    return command


def given_identities(context: click.Context, values: Mapping[str, tuple[str, ...]]) -> list[GivenIdentity]:
    """Return the identities from the command line, from files and from standard input.

    Args:
        context: the context of a command with `HIDE_ARGUMENTS`.
        values: the arguments that `identity_options` adds.

    Raises:
        UsageError: there are none, or a file or standard input cannot be read.
    """
    if context.args:
        msg = "Give each value with the option of its type: --email, --idfa, --gaid and so on. See --help."
        raise click.UsageError(msg)
    from_stdin = [option for option, each in values.items() for value in each if value == _STDIN]
    if len(from_stdin) > 1:
        msg = "Standard input can be read for one option only."
        raise click.UsageError(msg)
    given: list[GivenIdentity] = []
    for option, each in values.items():
        for value in each:
            if value.startswith(_FILE):
                given += _of_lines(option, _read_file(value.removeprefix(_FILE)), value.removeprefix(_FILE))
            elif value != _STDIN:
                given.append(GivenIdentity(option, value))
    if from_stdin:
        if is_terminal():
            asked = "Standard input is a terminal: enter the values, one per line. Ctrl-D ends them."
            click.echo(fitted(asked, sys.stderr), err=True)
        given += _of_lines(from_stdin[0], sys.stdin.buffer.read(), _STANDARD_INPUT)
    if not given:
        msg = "Give at least one identity: --email, --idfa, --gaid and so on. See --help."
        raise click.UsageError(msg)
    return given


def _read_file(path: str) -> bytes:
    """Return the content of a file with values.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    # ValueError: the path has a null character.
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no file has such a name"
        msg = f"The file {one_line(path)} cannot be read: {why}. Check the path after {_FILE}. Nothing was done."
        raise click.UsageError(msg) from None


def _of_lines(option: str, content: bytes, place: str) -> list[GivenIdentity]:
    """Return the identities in a file or on standard input: one on each line that is not blank.

    Raises:
        UsageError: it is not UTF-8.
    """
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        msg = f"The text in {one_line(place)} is not UTF-8. Nothing was done."
        raise click.UsageError(msg) from None
    return [GivenIdentity(option, line, place, number) for number, line in enumerate(lines, 1) if line.strip()]


def all_forms(given: Sequence[GivenIdentity], countries: Collection[str]) -> tuple[bytes, ...]:
    """Return every form in which a list may contain the identities, packed, without duplicates.

    Args:
        given: the identities.
        countries: the countries in the settings, for national phone numbers.

    Raises:
        UsageError: a value is not an identity of its type. The message does not repeat the value.
    """
    found: set[bytes] = set()
    for each in given:
        is_digest = each.option == _DIGEST
        forms = digest_of(each.value) if is_digest else forms_of(each.value, _TYPES[each.option], countries)
        if isinstance(forms, Remark):
            place = f"line {each.line} of {one_line(each.place)}" if each.place is not None else "a value"
            reason = (
                forms.value
                if forms is not Remark.UUID_WITHOUT_DASHES
                else "32 hex digits: give a device id with its dashes, and a digest with --digest"
            )
            msg = f"--{each.option.replace('_', '-')}: {place} is {reason}. Nothing was done."
            raise click.UsageError(msg)
        # A digest may be anybody's: of an address, a device id or a phone number.
        wires = list(WireFormat) if is_digest else [_TYPES[each.option].wire]
        found |= {pack_identity(form, wire) for form in forms for wire in wires}
    return tuple(sorted(found))


def confirm_given(question: str, given: Sequence[GivenIdentity], *, yes: bool) -> None:
    """Ask for confirmation, unless `--yes` was given.

    Raises:
        UsageError: the answer is no, or standard input is not a terminal, or has the values.
    """
    if not yes and any(each.place == _STANDARD_INPUT for each in given):
        msg = "Standard input has the values, so it cannot be used to confirm: pass --yes."
        raise click.UsageError(msg)
    confirm(question, yes=yes)
