"""Somebody as a person names them to a command: by options for each type of identity, or on standard input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import click

from target_pinterest_audience.companion.commands.common import confirm
from target_pinterest_audience.identities.forms import digest_of, forms_of
from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.types import IDENTITY_TYPES, Remark

F = TypeVar("F", bound=Callable[..., Any])

_STDIN: Final = "-"
_DIGEST: Final = "digest"
_KINDS: Final = {name.lower(): kind for name, kind in IDENTITY_TYPES.items()}

ARGUMENTS_UNSEEN: Final = {"allow_extra_args": True}
"""Settings of a command whose usage errors must not repeat what somebody gave without an option."""


class GivenIdentity(NamedTuple):
    """An identity as a person gave it."""

    option: str
    value: str
    line: int | None
    """Of standard input, if it came from there."""


def identity_options(command: F) -> F:
    """Add an option for each type of identity, and one for digests, as the arguments of `given_identities`."""
    command = click.option(
        f"--{_DIGEST}",
        multiple=True,
        metavar="HEX",
        help="A digest (SHA-256, SHA-1 or MD5), of whatever: this one alone; or - for standard input.",
    )(command)
    for name, kind in reversed(_KINDS.items()):
        command = click.option(
            f"--{name.replace('_', '-')}",
            name,
            multiple=True,
            metavar="VALUE",
            help=f"A value of type {kind.name}, or - to read them from standard input.",
        )(command)
    return command


def given_identities(context: click.Context, values: Mapping[str, tuple[str, ...]]) -> list[GivenIdentity]:
    """Return what was given, on the command line and on standard input.

    Args:
        context: of a command with `ARGUMENTS_UNSEEN`.
        values: the arguments that `identity_options` adds.

    Raises:
        UsageError: nothing was, or standard input cannot be read.
    """
    if context.args:
        msg = "Say what each value is: --email, --idfa, --gaid and so on, see --help."
        raise click.UsageError(msg)
    from_stdin = [option for option, each in values.items() for value in each if value == _STDIN]
    if len(from_stdin) > 1:
        msg = "Standard input can be read for one option only."
        raise click.UsageError(msg)
    given = [GivenIdentity(option, value, None) for option, each in values.items() for value in each if value != _STDIN]
    if from_stdin:
        if sys.stdin.isatty():
            click.echo("Standard input is a terminal: give the values, one per line. Ctrl-D ends them.", err=True)
        try:
            lines = sys.stdin.buffer.read().decode().splitlines()
        except UnicodeDecodeError:
            msg = "Standard input is not UTF-8."
            raise click.UsageError(msg) from None
        given += [GivenIdentity(from_stdin[0], line, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not given:
        msg = "Say who is meant: --email, --idfa, --gaid and so on, see --help."
        raise click.UsageError(msg)
    return given


def all_forms(given: Sequence[GivenIdentity]) -> tuple[bytes, ...]:
    """Return all forms in which lists may hold what was given, packed, each once.

    Raises:
        UsageError: something is no identity. The message does not repeat it.
    """
    found: set[str] = set()
    for each in given:
        forms = digest_of(each.value) if each.option == _DIGEST else forms_of(each.value, _KINDS[each.option])
        if isinstance(forms, Remark):
            place = f"line {each.line} of standard input" if each.line is not None else "a value"
            told = (
                forms.value
                if forms is not Remark.UUID_WITHOUT_DASHES
                else ("32 hex digits: give a device id with its dashes, and a digest with --digest")
            )
            msg = f"--{each.option.replace('_', '-')}: {place} is {told}. Nothing was done."
            raise click.UsageError(msg)
        found |= forms
    return tuple(sorted(map(pack_identity, found)))


def confirm_given(question: str, given: Sequence[GivenIdentity], *, yes: bool) -> None:
    """Have a person say that it is meant.

    Raises:
        UsageError: nobody does.
    """
    if not yes and any(each.line is not None for each in given):
        msg = "Standard input holds the values, so that nobody can be asked: say with --yes that it is meant."
        raise click.UsageError(msg)
    confirm(question, yes=yes)
