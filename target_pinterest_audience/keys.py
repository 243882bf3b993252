"""How the ledger knows a row: by a keyed digest of its source and its key, the same from whatever form it came in."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from target_pinterest_audience.ledger import Ledger
    from target_pinterest_audience.settings import Settings

if sys.version_info < (3, 11):
    from backports.datetime_fromisoformat import datetime_fromisoformat, time_fromisoformat
else:
    datetime_fromisoformat, time_fromisoformat = datetime.fromisoformat, time.fromisoformat

ROW_BYTES: Final = 16
"""The size of a row's digest: too long for two rows to share one, by chance or by design."""

_MOST_DIGITS: Final = 4300
"""How long an integer Python turns into text."""

_PLACE_BYTES: Final = 4
"""How much of a row's digest tells where it lies, if its key begins with an integer."""

_PLACE_DIGITS: Final = 4
"""Keys that differ in so many last digits at most lie side by side."""

_MOST_PLACES: Final = 50_000
"""How many places are kept in mind, some 6 MB."""

_FEW_DIGITS: Final = 24
"""Fewer than that has every integer of 64 bits."""

_FINER_THAN_MICROSECONDS: Final = re.compile(r"[.,]\d{6}0*[1-9]").search
"""Finds what a moment would lose, so that it would be another row's."""

_READERS: Final[Mapping[str, Callable[[str], datetime | time]]] = {
    "date-time": datetime_fromisoformat,
    "date": datetime_fromisoformat,
    "time": time_fromisoformat,
}


def canonical(value: object, text_format: str | None = None) -> bytes:
    """Return one form for a key value, however it was encoded.

    Numbers are equal if they have the same value (`1` in a RECORD, `1.0` as a decimal, `1` in a Parquet file), and
    moments if they are the same moment, whether they come as text or not. A number and its digits as text differ.

    Args:
        value: what the record holds; any JSON value, or what a Parquet file holds.
        text_format: the `format` of the column's JSON schema, which says whether text is a moment.
    """
    if type(value) is int:
        return b"n%d" % value
    if isinstance(value, str):
        moment = _moment(value, text_format)
        return b"s" + value.encode("utf-8", "surrogatepass") if moment is None else b"t" + moment.encode()
    if isinstance(value, bool):
        return b"b1" if value else b"b0"
    if isinstance(value, (Decimal, float)):
        return _canonical_number(value if isinstance(value, Decimal) else Decimal(repr(value)))
    if isinstance(value, (date, time)):
        return b"t" + _utc(value).encode()
    if isinstance(value, bytes):
        return b"s" + value
    return b"j" + json.dumps(value, sort_keys=True, default=str).encode()


def _canonical_number(value: Decimal) -> bytes:
    if not value.is_finite():
        return b"n" + str(value).encode()
    if not value:
        return b"n0"
    if abs(value.adjusted()) < _MOST_DIGITS and value == value.to_integral_value():
        return b"n%d" % int(value)
    # Not `normalize`, which rounds: two long keys would become one.
    sign, digits, exponent = value.as_tuple()
    significant = "".join(map(str, digits)).rstrip("0")
    return b"n" + f"{'-' * sign}{significant}e{int(exponent) + len(digits) - len(significant)}".encode()


def _moment(text: str, text_format: str | None) -> str | None:
    reader = _READERS.get(text_format or "")
    if reader is None or _FINER_THAN_MICROSECONDS(text):
        return None
    try:
        return _utc(reader(text))
    except ValueError:
        return None


def _utc(value: date | time) -> str:
    if isinstance(value, time):
        return value.isoformat()
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    if value.tzinfo is None:
        value = value.replace(tzinfo=timezone.utc)
    # A day at the very edge of the calendar has no equal in another time zone.
    with contextlib.suppress(OverflowError):
        value = value.astimezone(timezone.utc)
    return value.isoformat()


def realm_of(api_url: str, ad_account_id: str) -> str:
    """Return what tells an ad account of one API from all others."""
    return f"{api_url}\n{ad_account_id}"


class Digester:
    """Makes the keyed digests of one ledger and ad account; nobody without the ledger's secret can test a guess."""

    def __init__(self, secret: bytes, realm: str, *, places_rows: bool = True) -> None:
        """Bind to a ledger.

        Args:
            secret: the ledger's, at most 64 bytes.
            realm: what tells its ad accounts apart.
            places_rows: whether the ledger has rows with neighbouring keys side by side.
        """
        self._secret = secret
        self._realm = realm.encode()
        self._places_rows = places_rows

    @classmethod
    def of(cls, ledger: Ledger, settings: Settings) -> Digester:
        """Return what makes the digests of a ledger for the ad account of the settings."""
        realm = realm_of(settings.api_url, settings.ad_account_id)
        return cls(ledger.secret, realm, places_rows=ledger.places_rows)

    def rows(self, source: str, key_properties: Sequence[str], formats: Mapping[str, str]) -> RowDigester:
        """Return what digests the keys of a source's rows.

        Args:
            source: the source's name.
            key_properties: the columns of the key, in any order.
            formats: key property → the `format` in its JSON schema, where it has one.
        """
        place = self._begin(b"place", source.encode()) if self._places_rows else None
        return RowDigester(self._begin(b"row", source.encode()), place, key_properties, formats)

    def identities(self, source: str) -> Callable[[str, bytes], bytes]:
        """Return what digests the rows of a source without a key, where each identity, of its type, is its own row."""
        begun = self._begin(b"keyless row", source.encode())
        return lambda identity_type, identity: _digest(begun, (identity_type.encode(), identity))

    def shorten(self, identity: bytes) -> bytes:
        """Return a digest of an identity that tells nobody who it is."""
        return _digest(self._begin(b"identity"), (identity,))

    def configuration(self, settings: Settings) -> str:
        """Return what tells settings from others that say which rows go to which lists."""
        return self.setting("configuration", settings.choice_of_lists)

    def setting(self, name: str, value: Any) -> str:  # noqa: ANN401 - any JSON value
        """Return a digest by which a changed setting is known, whatever it holds."""
        encoded = msgspec.json.encode(value, order="sorted")
        return _digest(self._begin(b"setting", name.encode()), (encoded,)).hex()

    def _begin(self, *parts: bytes) -> hashlib.blake2b:
        begun = hashlib.blake2b(key=self._secret, digest_size=ROW_BYTES)
        _update(begun, (self._realm, *parts))
        return begun


class RowDigester:
    """Digests the keys of one source's rows.

    A table is mostly read in the order of its key, and a digest scatters what was in order: each row of a stream would
    lie on another page of a big ledger. So where keys begin with an integer, the first bytes of the digest are those of
    all keys nearby.
    """

    def __init__(
        self,
        begun: hashlib.blake2b,
        place: hashlib.blake2b | None,
        key_properties: Sequence[str],
        formats: Mapping[str, str],
    ) -> None:
        """Take over digests that have begun with the source; see `Digester.rows`.

        Args:
            begun: for the rows.
            place: for where they lie; None if they are scattered.
            key_properties: the columns of the key.
            formats: key property → the `format` in its JSON schema, where it has one.
        """
        self._columns = [(name, formats.get(name)) for name in sorted(key_properties)]
        self._begun = begun
        self._place = place
        self._places: dict[bytes, bytes] = {}
        _update(begun, (name.encode() for name, _ in self._columns))

    def __call__(self, record: Mapping[str, Any]) -> bytes:
        """Return the digest of a row, which has a value for every key property."""
        (digest,) = self.many(lambda name: (record[name],))
        return digest

    def many(self, column: Callable[[str], Sequence[Any]]) -> list[bytes]:
        """Return the digests of rows that follow each other.

        Args:
            column: returns the values of a key property, one for each row.
        """
        columns, integers = [], []
        for name, text_format in self._columns:
            values = column(name)
            integers.append(set(map(type, values)) == {int})
            if integers[-1]:
                columns.append(_framed_integers(values))
            else:
                columns.append([_framed(canonical(value, text_format)) for value in values])
        first = columns[0]
        rows = first if len(columns) == 1 else list(map(b"".join, zip(*columns, strict=True)))
        if self._place is None:
            return list(self._scattered(rows))
        if integers[0]:
            return self._placed(first, rows)
        # The same row must not depend on how the others came.
        return [
            self._placed((key,), (row,))[0] if _is_integer(key) else next(self._scattered((row,)))
            for key, row in zip(first, rows, strict=True)
        ]

    def _scattered(self, rows: Iterable[bytes]) -> Iterator[bytes]:
        begin = self._begun.copy
        for row in rows:
            digest = begin()
            digest.update(row)
            yield digest.digest()

    def _placed(self, first: Iterable[bytes], rows: Iterable[bytes]) -> list[bytes]:
        """Return the digests of rows so that they lie beside their neighbours; the rest of each still tells it apart.

        Args:
            first: the first column of their keys, which are integers, framed.
            rows: their whole keys.
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
        assert self._place is not None  # noqa: S101 - only then is a place asked for
        begun = self._place.copy()
        begun.update(nearby)
        place = self._places[nearby] = begun.digest()[:_PLACE_BYTES]
        return place


_is_integer = re.compile(rb"\d+:n-?\d+").fullmatch
"""Finds framed integers."""


def _framed_integers(values: Sequence[int]) -> list[bytes]:
    """Return `_framed` of the canonical form of integers, in a third of the time."""
    heads = [b"%d:n" % (1 + size) for size in range(_FEW_DIGITS)]
    try:
        return [heads[len(digits)] + digits for digits in repr(list(values))[1:-1].encode().split(b", ")]
    except (IndexError, ValueError):
        return [_framed(canonical(value)) for value in values]


def _framed(part: bytes) -> bytes:
    """Return a part so that no two sequences of parts are fed alike."""
    return b"%d:%b" % (len(part), part)


def _digest(begun: hashlib.blake2b, parts: Iterable[bytes]) -> bytes:
    digest = begun.copy()
    _update(digest, parts)
    return digest.digest()


def _update(digest: hashlib.blake2b, parts: Iterable[bytes]) -> None:
    for part in parts:
        digest.update(_framed(part))
