"""The command `pinterest-audience ledger find`."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import click
import msgspec

from target_pinterest_audience.companion.identity_options import (
    HIDE_ARGUMENTS,
    GivenIdentity,
    all_forms,
    given_identities,
    identity_options,
)
from target_pinterest_audience.companion.lookup import did_you_mean
from target_pinterest_audience.companion.operations.find_people import Person, find_person
from target_pinterest_audience.companion.options import config_option, json_option
from target_pinterest_audience.companion.output import show_json, show_table
from target_pinterest_audience.companion.session import opened_ledger, read_settings
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.membership.key_forms import NUMBER_FORMAT
from target_pinterest_audience.membership.key_kinds import BOOLEAN, NUMBER, OTHER
from target_pinterest_audience.membership.row_keys import ROW_BYTES
from target_pinterest_audience.membership.statements import Stance, statements
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.text.counts import several

_FORMATS: Final = (None, "date-time", "time")
"""The formats that the schema of a key property may have; the ledger does not store them."""

_KINDS_WITHOUT_TEXT: Final = frozenset({NUMBER, BOOLEAN, OTHER})
"""The kinds of key values that are not text in JSON."""

_decode_json = msgspec.json.Decoder(float_hook=Decimal).decode
"""Decodes JSON as a run does: long numbers keep all their digits."""

_EXAMPLES = """
\b
Examples:
  pinterest-audience ledger find --source customers --key id=17
  pinterest-audience ledger find --row 5d41402abc4b2a76b9719d911017c592
  pinterest-audience ledger find --email - < emails.txt
"""

_STANCES: Final[Mapping[int, str]] = {
    Stance.CONTRIBUTES: "contributes",
    Stance.REFUSES: "refuses (consent)",
    Stance.EXCLUDES: "refuses (operation: remove)",
    Stance.ASKED: "named when it was deleted",
    Stance.HOLDS_OUT: "holds out",
}


class KnownStatement(NamedTuple):
    """What a row says about one identity on one list."""

    customer_list_id: str | None
    customer_list: str | None
    column: str
    identity_type: str
    statement: str


_STATEMENT_HEADINGS: Final = ("list", "column", "type", "statement")


_PERSON_HEADINGS: Final = ("number", "list", "on_list", "contributing", "refusing", "pending")


@click.command("find", epilog=_EXAMPLES, context_settings=HIDE_ARGUMENTS)
@click.option("--source", help="The source of the row: its stream, or the setting `source_name`.")
@click.option(
    "--key",
    "pairs",
    multiple=True,
    metavar="COLUMN=VALUE",
    help='A column of the key and its value. If the column has both numbers and text, quote text: code=\\"1.0\\".',
)
@click.option("--row", metavar="DIGEST", help="The digest of the row, from the file in `rejects_path`.")
@identity_options
@config_option
@json_option
@click.pass_context
def find(
    context: click.Context,
    /,
    source: str | None,
    pairs: tuple[str, ...],
    row: str | None,
    config: tuple[str, ...],
    *,
    as_json: bool,
    **values: tuple[str, ...],
) -> None:
    """Show what a row says, or where a person is.

    A row: for each list, the table has the columns by which the row contributes, refuses or holds out identities.

    A person (--email, --phone, --idfa and so on): for each list, the table has the number of rows that contribute the
    person, and of those that refuse them or hold them out. With -, the command reads values from standard input, one
    per line, so that they are not in the shell's history. People who were put on a list in another way, or with
    `load_method: append-only`, are not in the ledger.

    The command shows no identities, and asks nothing of Pinterest.
    """
    settings = read_settings(config, needs_sign_in=False)
    if any(values.values()) or context.args:
        if source is not None or pairs or row is not None:
            msg = "Choose a row or people: an option such as --email does not go with --source, --key or --row."
            raise click.UsageError(msg)
        _find_people(settings, given_identities(context, values), as_json=as_json)
        return
    with opened_ledger(settings, read_only=True) as opened:
        if row is not None:
            digests = [_digest(row)]
        elif source is not None and pairs:
            key = dict(map(_pair, pairs))
            if len(key) != len(pairs):
                msg = "Give --key once for each column."
                raise click.UsageError(msg)
            digests = list(_digests(opened, source, key))
        else:
            msg = (
                "Choose the row: give --source and --key, or --row. Or choose people: give --email, --phone and so on."
            )
            raise click.UsageError(msg)
        found = opened.rows.read(digests)
        # A refusal has a statement for each hash algorithm; here they look the same.
        said = list(dict.fromkeys(each for encoded in found.values() for each in _known_statements(opened, encoded)))
    if as_json:
        show_json({"known": bool(found), "statements": [each._asdict() for each in said]})
    else:
        cells = [
            (f"{each.customer_list or ''} ({each.customer_list_id or 'not created yet'})", *each[2:]) for each in said
        ]
        show_table(_STATEMENT_HEADINGS, cells, empty="The ledger knows no such row, or the row says nothing.")


def _find_people(settings: Settings, given: Sequence[GivenIdentity], *, as_json: bool) -> None:
    """Show on which lists people are."""
    forms = [all_forms([each], settings.phone_countries) for each in given]
    with opened_ledger(settings, read_only=True) as opened:
        people = [find_person(opened, each) for each in forms]
    if as_json:
        show_json([_person(number, each) for number, each in enumerate(people, 1)])
        return
    cells = [
        (number, f"{each.entry.name or ''} ({each.entry.customer_list_id or 'not created yet'})", *each[1:])
        for number, person in enumerate(people, 1)
        for each in person.presences
    ]
    show_table(_PERSON_HEADINGS, cells, empty="The ledger knows none of them on any list.")
    suppressed = sum(each.suppressed for each in people)
    if suppressed:
        click.echo(f"\n{several(suppressed, 'of them is', 'of them are')} suppressed by `forget`.")


def _person(number: int, person: Person) -> Mapping[str, object]:
    """Return what the ledger knows about a person, for JSON."""
    return {
        "number": number,
        "known": person.suppressed or bool(person.presences),
        "suppressed": person.suppressed,
        "lists": [
            {
                "customer_list_id": each.entry.customer_list_id,
                "customer_list": each.entry.name,
                "on_list": each.on_list,
                "contributing_rows": each.contributing,
                "refusing_rows": each.refusing,
                "pending": each.pending,
            }
            for each in person.presences
        ],
    }


def _digest(row: str) -> bytes:
    """Return the digest in the value of `--row`.

    Raises:
        UsageError: the value is not a digest of a row.
    """
    with contextlib.suppress(ValueError):
        digest = bytes.fromhex(row)
        if len(digest) == ROW_BYTES:
            return digest
    msg = f"--row takes a digest of {2 * ROW_BYTES} hexadecimal digits, as in the file in `rejects_path`."
    raise click.UsageError(msg)


def _pair(given: str) -> tuple[str, str]:
    """Return the column and the value in a `--key`.

    Raises:
        UsageError: there is no `=`.
    """
    column, equals, value = given.partition("=")
    if not equals:
        msg = "--key takes COLUMN=VALUE."
        raise click.UsageError(msg)
    return column, value


def _value(given: str, kinds: Collection[str]) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a key property: JSON if the text is JSON and the property has such values, else the text.

    Args:
        given: the text on the command line.
        kinds: the kinds of values that the property has had; empty if they are unknown.
    """
    try:
        value = _decode_json(given)
    except (msgspec.DecodeError, ArithmeticError):
        return given
    if isinstance(value, str) or not kinds or not _KINDS_WITHOUT_TEXT.isdisjoint(kinds):
        return value
    return given


def _digests(opened: Ledger, source: str, given: Mapping[str, str]) -> Iterator[bytes]:
    """Yield every digest under which the ledger may know a row.

    Raises:
        ConfigurationError: the source is unknown, or has another key.
    """
    catalogue = opened.catalogue
    number = catalogue.sources.find(source)
    if number is None:
        near = did_you_mean(source, (each.name for each in catalogue.sources.all()))
        msg = f"{opened.where} knows no source of that name.{near} `ledger show` shows all sources."
        raise ConfigurationError(msg)
    properties = catalogue.sources.key_properties(number) or []
    if sorted(given) != sorted(properties):
        msg = f"The key of that source is ({', '.join(properties) or 'none'}). Give --key for each of its columns."
        raise ConfigurationError(msg)
    rules, kinds = catalogue.sources.key_rules(number), catalogue.sources.key_kinds(number)
    key = {name: _value(value, kinds.get(name, ())) for name, value in given.items()}
    possible = [(*_FORMATS, NUMBER_FORMAT) if NUMBER in kinds.get(name, {NUMBER}) else _FORMATS for name in properties]
    for formats in itertools.product(*possible):
        known = {name: each for name, each in zip(properties, formats, strict=True) if each is not None}
        yield opened.digester.rows(source, properties, known, rules)(key)


def _known_statements(opened: Ledger, encoded: bytes) -> Iterator[KnownStatement]:
    slots = opened.catalogue.slots.all()
    for each in statements(encoded):
        entry = opened.catalogue.lists.entry(each.list_number)
        column, kind = slots[each.slot]
        yield KnownStatement(entry.customer_list_id, entry.name, column, kind, _STANCES[each.stance])
