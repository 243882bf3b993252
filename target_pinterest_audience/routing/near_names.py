"""Near names: what a name in the settings was probably meant for, and columns that look like identities. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from target_pinterest_audience.identities.types import DEFAULT_COLUMNS, IDENTITY_TYPES, IdentityType
from target_pinterest_audience.settings.patterns import is_pattern

_SCHEMAS: Final = ("public_", "dbo_")
"""Schemas that some taps prefix to a table's name with an underscore. Other prefixes need not be schemas."""

_FEWEST_LETTERS: Final = 3
"""How many letters a pattern must have besides its wildcards to resemble a name."""

_ADDRESS_WORDS: Final = frozenset({"mail", "mails", "email", "emails", "courriel", "correo", "epost", "emailadresse"})
_FLAG_WORDS: Final = frozenset(
    {
        "allowed", "at", "bounce", "bounced", "campaign", "click", "clicked", "clicks", "confirmed", "consent",
        "count", "created", "date", "domain", "has", "in", "is", "language", "opened", "opens", "opt", "optin",
        "optout", "out", "permission", "preference", "preferences", "provider", "reason", "sent", "status", "subject",
        "subscribed", "template", "time", "type", "unsubscribed", "updated", "valid", "validated", "verified",
        "voicemail",
    }
)  # fmt: skip
"""Words in the names of columns that are about e-mail and hold no address."""

_DEVICE_WORDS: Final[Mapping[str, str]] = {"idfa": "IDFA", "gaid": "GAID", "aaid": "GAID", "maid": "MAID"}


def resembles(name: str, stream: str) -> bool:
    """Return whether a name or glob pattern in the settings was probably meant for a stream that it does not match.

    That is so if both are equal without case and separators, or if one is the other with the prefix of a schema, as in
    `public-unsubscribes`. In patterns, separators are replaced and not removed: `*_test` does not mean `latest`.
    """
    plain = _separated if is_pattern(name) else _letters
    streams = [plain(each) for each in (stream, *_without_schema(stream))]
    if _has_letters(name) and any(fnmatchcase(each, plain(name)) for each in streams):
        return True
    names = [plain(each) for each in _without_schema(name) if _has_letters(each)]
    return any(fnmatchcase(streams[0], each) for each in names)


def _has_letters(name: str) -> bool:
    """Return whether a pattern has enough letters to show what it was meant for."""
    return not is_pattern(name) or len(_letters(re.sub(r"\[.*?\]|[*?\[]", "", name))) >= _FEWEST_LETTERS


def _letters(name: str) -> str:
    """Return a name without case and separators."""
    return re.sub(r"[-_.\s]", "", name.casefold())


def _separated(name: str) -> str:
    """Return a name without case, and with one kind of separator."""
    return re.sub(r"[-_.\s]+", "_", name.casefold())


def _without_schema(name: str) -> Iterator[str]:
    """Yield a name without prefixes that may be the names of a database and a schema."""
    for separator in re.finditer(r"[-.]", name):
        yield name[separator.end() :]
    for schema in _SCHEMAS:
        if name.casefold().startswith(schema):
            yield name[len(schema) :]


def told_columns(columns: Collection[str]) -> str:
    """Return a sentence that names the columns of a stream."""
    return f"It has the columns {', '.join(columns)}." if columns else "Its SCHEMA declares no columns."


class Candidate(NamedTuple):
    """A column that looks like an identity column but has none of the known names."""

    column: str
    kind: IdentityType

    def mapping(self, columns: Mapping[str, IdentityType] | None = None) -> str:
        """Return `identity_columns` as JSON text: the columns that are used already, then this one."""
        pairs = [*(columns or {}).items(), (self.column, self.kind)]
        return "{" + ", ".join(f'"{column}": "{kind.name}"' for column, kind in pairs) + "}"

    def setting(self, stream: str, columns: Mapping[str, IdentityType] | None = None) -> str:
        """Return the setting that makes a stream use this column too, and changes no other stream."""
        return f'"streams": {{"{stream}": {{"identity_columns": {self.mapping(columns)}}}}}'


def nearest_column(
    properties: Mapping[str, Mapping[str, Any]], others: Collection[str | None] = (), *, addresses_only: bool = False
) -> Candidate | None:
    """Return the column of a stream that looks most like an identity column; None if none does.

    Args:
        properties: the columns in the stream's schema.
        others: columns that are known to hold something else.
        addresses_only: whether to ignore device ids.
    """
    found: list[tuple[int, int, Candidate]] = []
    for index, (column, schema) in enumerate(properties.items()):
        judged = _judge(column, schema) if column not in others else None
        if judged is not None and (not addresses_only or judged[1].name == "EMAIL"):
            found.append((judged[0], index, Candidate(column, judged[1])))
    return min(found)[2] if found else None


_BY_LETTERS: Final[Mapping[str, IdentityType]] = {_letters(name): kind for name, kind in DEFAULT_COLUMNS.items()}


def _judge(column: str, schema: Mapping[str, Any]) -> tuple[int, IdentityType] | None:
    """Return how far a column's name is from that of an identity column, and the type; None if it is not near."""
    if not _may_be_text(schema):
        return None
    if _letters(column) in _BY_LETTERS:
        return 0, _BY_LETTERS[_letters(column)]
    if schema.get("format") == "email":
        return 1, IDENTITY_TYPES["EMAIL"]
    words = _words(column)
    if not _FLAG_WORDS.isdisjoint(words):
        return None
    if any(_is_address(word) for word in words):
        return 2, IDENTITY_TYPES["EMAIL"]
    device = next((_DEVICE_WORDS[word] for word in words if word in _DEVICE_WORDS), None)
    return (3, IDENTITY_TYPES[device]) if device is not None else None


def _is_address(word: str) -> bool:
    word = word.rstrip("0123456789")
    return word in _ADDRESS_WORDS or word.endswith("email") or word.startswith("emailad")


def _words(column: str) -> list[str]:
    """Return the words of a name: `contactEMail__c` has contact, email and c."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", re.sub(r"E[- ]?Mail", "email", column)).casefold()
    return re.findall(r"[^\W_]+", re.sub(r"(?<![^\W_])e[-_ ]mail", "email", parts))


def _may_be_text(schema: Mapping[str, Any]) -> bool:
    """Return whether a JSON schema allows text other than dates and times; one without a type allows everything."""
    if schema.get("format") in {"date", "date-time", "time"}:
        return False
    kinds = schema.get("type")
    options: Iterable[Any] = next((schema[key] for key in ("anyOf", "oneOf") if isinstance(schema.get(key), list)), ())
    nested = [each for each in options if isinstance(each, dict)]
    if kinds is None:
        return not nested or any(_may_be_text(each) for each in nested if each.get("type") != "null")
    return "string" in ([kinds] if isinstance(kinds, str) else kinds)
