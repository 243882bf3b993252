"""Row keys: the keyed digests of source and key by which the ledger identifies rows, however a tap encodes the key."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from target_pinterest_audience.membership.key_forms import (
    FIRST_RULES,
    NEWEST_RULES,
    canonical,
    is_integer_text,
    lower_uuid,
)
from target_pinterest_audience.membership.key_kinds import NUMBER, kinds_of, kinds_of_texts

if TYPE_CHECKING:
    from target_pinterest_audience.settings import Settings

ROW_BYTES: Final = 16
"""The size of a row's digest: too long for two rows to have the same one, by chance or by design."""

_PLACE_BYTES: Final = 4
"""How many bytes of a row's digest decide where it lies in the ledger, if its key begins with an integer."""

_PLACE_DIGITS: Final = 4
"""Keys that differ only in so many last digits lie side by side."""

_MOST_PLACES: Final = 50_000
"""How many places are cached, which takes some 6 MB."""

_SHORT: Final = 64
"""Most keys are shorter than that, in bytes."""


def realm_of(api_url: str, ad_account_id: str) -> str:
    """Return what identifies an ad account among all APIs."""
    return f"{api_url}\n{ad_account_id}"


class Digester:
    """Makes the keyed digests of one ledger and ad account. Without the ledger's secret, no one can test a guess."""

    def __init__(self, secret: bytes, realm: str, *, places_rows: bool = True) -> None:
        """Bind to a ledger.

        Args:
            secret: the secret of the ledger, at most 64 bytes.
            realm: the ad account; see `realm_of`.
            places_rows: whether the ledger keeps rows with neighbouring keys side by side.
        """
        self._secret = secret
        self._realm = realm.encode()
        self._places_rows = places_rows

    def rows(
        self,
        source: str,
        key_properties: Sequence[str],
        formats: Mapping[str, str],
        rules: int = NEWEST_RULES,
        kinds: Mapping[str, Collection[str]] | None = None,
        known_as: Mapping[str, str] | None = None,
    ) -> RowDigester:
        """Return the digester of a source's rows.

        Args:
            source: the source's name.
            key_properties: the columns of the key, in any order.
            formats: key property → the format of its text; see `key_forms.formats_of`.
            rules: the rules of the source; see `key_forms.NEWEST_RULES`.
            kinds: key property → the known kinds of its values; see `key_kinds`.
            known_as: key property → its name in the digests, if that differs.
        """
        names = {name: (known_as or {}).get(name, name) for name in key_properties}
        place = self._begin(b"place", source.encode()) if self._places_rows else None
        columns = [
            _KeyColumn(name, formats.get(name), rules, (kinds or {}).get(name, ()))
            for name in sorted(key_properties, key=names.__getitem__)
        ]
        return RowDigester(self._begin(b"row", source.encode()), place, columns, names)

    def identities(self, source: str) -> Callable[[str, bytes], bytes]:
        """Return the digester of a source without a key: the row of an identity is its type and the identity."""
        begun = self._begin(b"keyless row", source.encode())
        return lambda identity_type, identity: _digest(begun, (identity_type.encode(), identity))

    def shorten(self, identity: bytes) -> bytes:
        """Return a digest of an identity that reveals nothing about the person."""
        return _digest(self._begin(b"identity"), (identity,))

    def configuration(self, settings: Settings) -> str:
        """Return the digest of the settings that choose which rows go to which lists."""
        return self.setting("configuration", settings.choice_of_lists)

    def setting(self, name: str, value: Any) -> str:  # noqa: ANN401 - any JSON value
        """Return a digest of a setting's value, which shows only whether the value changed."""
        encoded = msgspec.json.encode(value, order="sorted")
        return _digest(self._begin(b"setting", name.encode()), (encoded,)).hex()

    def _begin(self, *parts: bytes) -> hashlib.blake2b:
        begun = hashlib.blake2b(key=self._secret, digest_size=ROW_BYTES)
        _update(begun, (self._realm, *parts))
        return begun


class _KeyColumn:
    """A key property: encodes its values and collects their kinds.

    Attributes:
        name: its name.
        known: the known kinds of its values.
        new: further kinds that have come.
    """

    __slots__ = ("_format", "_rules", "known", "name", "new")

    def __init__(self, name: str, text_format: str | None, rules: int, known: Collection[str]) -> None:
        """Begin with the known kinds."""
        self.name = name
        self.known = set(known)
        self.new: set[str] = set()
        self._format = text_format
        self._rules = rules

    def encode(self, values: Sequence[Any]) -> tuple[list[bytes], bool | None]:
        """Return the framed canonical forms of values, and whether they are integers: True, False, or None for some."""
        types = set(map(type, values))
        if types == {int}:
            self._note({NUMBER})
            return _framed_integers(values), True
        if types == {str} and self._format is None:
            return self._encode_texts(values)
        forms = [canonical(value, self._format, self._rules) for value in values]
        self._note(kinds_of(values, forms, self._format, self.known, self._rules))
        return list(map(_framed, forms)), None

    def _encode_texts(self, values: Sequence[str]) -> tuple[list[bytes], bool | None]:
        together = "\n".join(values).encode("utf-8", "surrogatepass")
        texts = together.split(b"\n")
        if len(texts) != len(values):
            texts = [value.encode("utf-8", "surrogatepass") for value in values]
        integers = None
        if self._rules > FIRST_RULES:
            if together != together.lower():
                texts = list(map(lower_uuid, texts))
            # Most columns of text have no integer at all, and these checks are quick.
            if any(map(bytes.isdigit, texts)) or together.startswith(b"-") or b"\n-" in together:
                integers = [is_integer_text(text) is not None for text in texts]
        self._note(kinds_of_texts(texts, integers, self.known, self._rules))
        if integers is None or not any(integers):
            return _framed_all(b"s", texts), False
        if all(integers):
            return _framed_all(b"n", texts), True
        return [
            _framed((b"n" if is_integer else b"s") + text) for text, is_integer in zip(texts, integers, strict=True)
        ], None

    def _note(self, kinds: set[str]) -> None:
        if not kinds <= self.known:
            self.new |= kinds - self.known


class RowDigester:
    """Digests the keys of one source's rows.

    Most tables are read in the order of their keys, and digests would scatter their rows: each would lie on another
    page of a big ledger. So if keys begin with an integer, all keys nearby share the first bytes of their digests.
    """

    def __init__(
        self,
        begun: hashlib.blake2b,
        place: hashlib.blake2b | None,
        columns: Sequence[_KeyColumn],
        names: Mapping[str, str],
    ) -> None:
        """Continue digests that begin with the source; see `Digester.rows`.

        Args:
            begun: the digest of the rows.
            place: the digest of their places; None if rows are scattered.
            columns: the columns of the key, in the order of their names in the digests.
            names: column → its name in the digests.
        """
        self._columns = columns
        self._begun = begun
        self._place = place
        self._places: dict[bytes, bytes] = {}
        _update(begun, (names[each.name].encode() for each in columns))

    def __call__(self, record: Mapping[str, Any]) -> bytes:
        """Return the digest of a row from a record that has all key properties."""
        (digest,) = self.many(lambda name: (record[name],))
        return digest

    def many(self, column: Callable[[str], Sequence[Any]]) -> list[bytes]:
        """Return the digests of consecutive rows.

        Args:
            column: returns the values of a key property, one for each row.
        """
        columns = [each.encode(column(each.name)) for each in self._columns]
        first, are_integers = columns[0]
        rows = first if len(columns) == 1 else list(map(b"".join, zip(*(forms for forms, _ in columns), strict=True)))
        if self._place is None or are_integers is False:
            return list(self._scattered(rows))
        if are_integers:
            return self._placed(first, rows)
        # The digest of a row must not depend on the other rows.
        return [
            self._placed((key,), (row,))[0] if _is_integer(key) else next(self._scattered((row,)))
            for key, row in zip(first, rows, strict=True)
        ]

    def take_new_kinds(self) -> dict[str, set[str]]:
        """Return key property → the new kinds of its values, which count as known from now on."""
        new = {each.name: each.new for each in self._columns if each.new}
        for each in self._columns if new else ():
            each.known |= each.new
            each.new = set()
        return new

    def _scattered(self, rows: Iterable[bytes]) -> Iterator[bytes]:
        begin = self._begun.copy
        for row in rows:
            digest = begin()
            digest.update(row)
            yield digest.digest()

    def _placed(self, first: Iterable[bytes], rows: Iterable[bytes]) -> list[bytes]:
        """Return digests that begin with the places of the rows, so that neighbours lie side by side.

        Args:
            first: the first column of the keys, which holds integers, framed.
            rows: the whole keys, framed.
        """
        begin, places, digests = self._begun.copy, self._places, []
        for key, row in zip(first, rows, strict=True):
            digest = begin()
            digest.update(row)
            nearby = key[:-_PLACE_DIGITS]
            place = places.get(nearby) or self._find_place(nearby)
            digests.append(place + digest.digest()[_PLACE_BYTES:])
        return digests

    def _find_place(self, nearby: bytes) -> bytes:
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        assert self._place is not None  # noqa: S101 - rows without places do not come here
        begun = self._place.copy()
        begun.update(nearby)
        place = self._places[nearby] = begun.digest()[:_PLACE_BYTES]
        return place


_is_integer = re.compile(rb"\d+:n-?\d+").fullmatch
"""Matches framed integers."""


def _framed_integers(values: Sequence[int]) -> list[bytes]:
    """Return the framed canonical forms of integers, in a third of the time that `_framed` takes."""
    try:
        return _framed_all(b"n", repr(list(values))[1:-1].encode().split(b", "))
    except ValueError:
        return [_framed(canonical(value)) for value in values]


def _framed_all(letter: bytes, texts: Sequence[bytes]) -> list[bytes]:
    """Return the framed forms of texts behind a letter, faster if all are short."""
    heads = _HEADS[letter]
    try:
        return [heads[len(text)] + text for text in texts]
    except IndexError:
        return [_framed(letter + text) for text in texts]


def _framed(part: bytes) -> bytes:
    """Return a part with its length, so that different sequences of parts never give the same bytes."""
    return b"%d:%b" % (len(part), part)


_HEADS: Final = {letter: [b"%d:%b" % (1 + size, letter) for size in range(_SHORT)] for letter in (b"n", b"s")}
"""Letter of a canonical form → the beginning of its framed form, by the length of the rest."""


def _digest(begun: hashlib.blake2b, parts: Iterable[bytes]) -> bytes:
    digest = begun.copy()
    _update(digest, parts)
    return digest.digest()


def _update(digest: hashlib.blake2b, parts: Iterable[bytes]) -> None:
    for part in parts:
        digest.update(_framed(part))
