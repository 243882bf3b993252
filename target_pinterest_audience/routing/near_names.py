"""Near names: what a name in the settings was probably meant for, and columns that look like identities. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from target_pinterest_audience.identities.types import IDENTITY_TYPES, IdentityType, default_type, plain_name
from target_pinterest_audience.routing.nested_names import Name, nested_names, undescribed_objects
from target_pinterest_audience.routing.wrong_names import is_meant
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

_TIMES: Final = frozenset({"date", "date-time", "time"})
_NO_IDENTITIES: Final = frozenset({"boolean", "object"})

_VALUE_WORDS: Final = frozenset({"value", "address", "addr"})
"""The names of the field that holds the address in an object that is about one."""
_PHONE_WORDS: Final = frozenset({"value", "number", "no"})
"""The same for a phone number."""

_FEW_OTHERS: Final = 2
"""How many columns a suggestion names besides the nearest."""

_DEVICE_WORDS: Final[Mapping[str, str]] = {"idfa": "IDFA", "gaid": "GAID", "aaid": "GAID", "maid": "MAID"}


def resembles(name: str, stream: str) -> bool:
    """Return whether a name or glob pattern in the settings was probably meant for a stream that it does not match.

    That is so if both are equal without case and separators, or if one is the other with the prefix of a schema, as in
    `public-unsubscribes`. In patterns, separators are replaced and not removed: `*_test` does not mean `latest`.
    """
    plain = _separated if is_pattern(name) else plain_name
    streams = [plain(each) for each in (stream, *_without_schema(stream))]
    if _has_letters(name) and any(fnmatchcase(each, plain(name)) for each in streams):
        return True
    names = [plain(each) for each in _without_schema(name) if _has_letters(each)]
    return any(fnmatchcase(streams[0], each) for each in names)


def nearly_names(name: str, stream: str) -> bool:
    """Return whether the words of a name in the settings are a part of a stream's name, in the singular or plural.

    This finds more than `resembles`. It is for settings that do the contrary if they are not used: a stream that should
    remove people adds them.
    """
    named, came = ("_".join(_singulars(each)) for each in (name, stream))
    return not is_pattern(name) and f"_{named}_" in f"_{came}_"


def _singulars(name: str) -> list[str]:
    return [word.removesuffix("s") for word in re.split(r"[-_.:/\s]+", name.casefold())]


def as_written_for(name: str, stream: str) -> str:
    """Return a name or glob pattern in the form that matches a stream which it resembles.

    A pattern stays a pattern, with the stream's separators and case: the stream's own name would match no other stream.
    """
    if is_pattern(name):
        separators = dict.fromkeys(re.findall(r"[-_.\s]+", stream))
        # What is in brackets stays, since a hyphen there stands for a range.
        parts = re.split(r"(\[.*?\])", name)
        written = [
            "".join(part if part.startswith("[") else re.sub(r"[-_.\s]+", each, part) for part in parts)
            for each in (*separators, "")
        ]
        for each in (form for one in written for form in (one, one.lower(), one.upper())):
            if fnmatchcase(stream, each):
                return each
    return stream


def _has_letters(name: str) -> bool:
    """Return whether a pattern has enough letters to show what it was meant for."""
    return not is_pattern(name) or len(plain_name(re.sub(r"\[.*?\]|[*?\[]", "", name))) >= _FEWEST_LETTERS


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
    """A column or path that looks like it holds identities, but is not used.

    Attributes:
        column: the column, or the text of the path.
        kind: the type that it seems to hold.
        others: further ones, which look less like it.
        holders: the columns and paths with objects of whose fields the SCHEMA says nothing, if nothing else is near.
            The column is then only an example of a path into the first.
    """

    column: str
    kind: IdentityType
    others: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()

    def advice(self, setting: str, stream: str = "") -> str:
        """Return sentences that name the candidate and what to do, without the last full stop.

        Args:
            setting: the end of the last sentence: where to set `identity_columns`, and the setting.
            stream: a clause that names the stream; empty if it is clear.
        """
        if self.holders:
            names = " and ".join(f"`{each}`" for each in self.holders)
            return (
                f"{names}{stream} can hold objects whose contents the SCHEMA does not describe. If identities are in "
                f"them, name the path of each, for example: set `identity_columns` {setting}"
            )
        others = " and ".join(f"`{each}`" for each in self.others)
        told = f"`{self.column}` (then {others})" if others else f"`{self.column}`"
        return f"The nearest is {told}{stream}. If it holds identities, set `identity_columns` {setting}"

    def mapping(self, columns: Mapping[str, IdentityType] | None = None) -> str:
        """Return `identity_columns` as JSON text: the columns that are used already, then this one.

        A name among them that was probably meant for this one is left out.
        """
        used = {name: kind for name, kind in (columns or {}).items() if not is_meant(name, self.column)}
        pairs = [*used.items(), (self.column, self.kind)]
        return json.dumps({column: kind.name for column, kind in pairs}, ensure_ascii=False)

    def setting(self, stream: str, columns: Mapping[str, IdentityType] | None = None) -> str:
        """Return the setting that makes a stream use this column too, and changes no other stream."""
        return (
            f'"streams": {{{json.dumps(stream, ensure_ascii=False)}: {{"identity_columns": {self.mapping(columns)}}}}}'
        )


def suggestion(properties: Mapping[str, Mapping[str, Any]]) -> Candidate | None:
    """Return the nearest column of a stream; or else an example of a path into objects that the SCHEMA leaves open."""
    nearest = nearest_column(properties)
    holders = undescribed_objects(properties) if nearest is None else []
    if nearest is not None or not holders:
        return nearest
    kind = default_type(holders[0].leaf)
    column = f"{holders[0].text}.{'email' if kind is None else 'value'}"
    told = tuple(each.text for each in holders[: _FEW_OTHERS + 1])
    return Candidate(column, kind or IDENTITY_TYPES["EMAIL"], holders=told)


def nearest_column(
    properties: Mapping[str, Mapping[str, Any]], others: Collection[str | None] = (), *, addresses_only: bool = False
) -> Candidate | None:
    """Return the column or path of a stream that looks most like it holds identities; None if none does.

    Args:
        properties: the columns in the stream's schema.
        others: columns that are known to hold something else.
        addresses_only: whether to ignore device ids.
    """
    found: list[tuple[int, int, int, Candidate]] = []
    for index, name in enumerate(nested_names(properties)):
        judged = _judge(name) if name.text not in others else None
        if judged is not None and (not addresses_only or judged[1].name == "EMAIL"):
            found.append((judged[0], name.depth, index, Candidate(name.text, judged[1])))
    found.sort(key=lambda each: each[:3])
    nearest = [each[3] for each in found[: _FEW_OTHERS + 1]]
    return nearest[0]._replace(others=tuple(each.column for each in nearest[1:])) if nearest else None


def _judge(name: Name) -> tuple[int, IdentityType] | None:
    """Return how far a name is from that of an identity column, and the type; None if it is not near."""
    if _is_about_phones(name):
        return 3, IDENTITY_TYPES["PHONE"]
    if not _may_be_text(name.schema):
        return None
    kind = default_type(name.leaf)
    if kind is not None:
        return 0, kind
    if name.schema.get("format") == "email":
        return 1, IDENTITY_TYPES["EMAIL"]
    words = _words(name.leaf)
    if not _FLAG_WORDS.isdisjoint(words):
        return None
    if any(_is_address(word) for word in words):
        return 2, IDENTITY_TYPES["EMAIL"]
    device = next((_DEVICE_WORDS[word] for word in words if word in _DEVICE_WORDS), None)
    if device is not None:
        return 3, IDENTITY_TYPES[device]
    if name.leaf.casefold() in _VALUE_WORDS and any(_is_address(word) for word in _words(name.above)):
        # As in `emails[].value`.
        return 2, IDENTITY_TYPES["EMAIL"]
    return None


def _is_about_phones(name: Name) -> bool:
    """Return whether a name is that of phone numbers, as in `phone_numbers[]`, `phones[].number` and `mobile.value`.

    A column of a default name is none: the target reads it, or it cannot hold a number.
    """
    if not (_may_be_text(name.schema) or "integer" in str(name.schema.get("type"))):
        return False
    leaf, above = (default_type(each.casefold().removesuffix("s")) for each in (name.leaf, name.above))
    if default_type(name.leaf) is None and leaf is IDENTITY_TYPES["PHONE"]:
        return True
    return name.leaf.casefold() in _PHONE_WORDS and above is IDENTITY_TYPES["PHONE"]


def _is_address(word: str) -> bool:
    word = word.rstrip("0123456789")
    return word in _ADDRESS_WORDS or word.endswith("email") or word.startswith("emailad")


def _words(column: str) -> list[str]:
    """Return the words of a name: `contactEMail__c` has contact, email and c."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", re.sub(r"E[- ]?Mail", "email", column)).casefold()
    return re.findall(r"[^\W_]+", re.sub(r"(?<![^\W_])e[-_ ]mail", "email", parts))


def _may_be_text(schema: Mapping[str, Any]) -> bool:
    """Return whether a JSON schema allows text other than dates and times; one without a type allows everything."""
    if schema.get("format") in _TIMES:
        return False
    kinds = schema.get("type")
    options: Iterable[Any] = next((schema[key] for key in ("anyOf", "oneOf") if isinstance(schema.get(key), list)), ())
    nested = [each for each in options if isinstance(each, dict)]
    if kinds is None:
        return not nested or any(_may_be_text(each) for each in nested if each.get("type") != "null")
    return "string" in ([kinds] if isinstance(kinds, str) else kinds)


def cannot_hold_identities(schema: object) -> bool:
    """Return whether a JSON schema allows nothing that could be an identity: only true and false, objects or times."""
    if not isinstance(schema, Mapping):
        return False
    kinds = schema.get("type")
    kinds = {kinds} if isinstance(kinds, str) else set(kinds or ())
    is_time = schema.get("format") in _TIMES and kinds <= {"string", "null"}
    return is_time or bool(kinds & _NO_IDENTITIES and kinds <= {*_NO_IDENTITIES, "null"})
