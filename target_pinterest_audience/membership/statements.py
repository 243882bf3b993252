"""Statements: what a row says about identities, and the one form in which the ledger stores that. Pure."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from operator import itemgetter
from typing import Final, NamedTuple, cast

import msgspec

from target_pinterest_audience.identities.packed import LONGEST_DIGEST


class Stance(IntEnum):
    """What a row says about an identity. The ledger stores the numbers."""

    CONTRIBUTES = 1
    """The identity belongs on the list, unless a row refuses it."""
    REFUSES = 2
    """Consent was withdrawn. Only the same row can lift this, by a record that has the column and grants consent."""
    EXCLUDES = 3
    """A stream with `operation: remove` names the identity. Deleting the row lifts this."""
    ASKED = 4
    """A deleted row named the identity and its removal was requested. Stored as a keyed digest, so that a repeated
    delete does not request the removal again."""
    HOLDS_OUT = 5
    """The row names the identity, and the hold-out of its stream keeps the row's people off the list."""


REFUSALS: Final = frozenset({Stance.REFUSES, Stance.EXCLUDES})
"""The stances by which a person decided that an identity stays off a list."""

CLAIMS: Final = frozenset({Stance.CONTRIBUTES, Stance.HOLDS_OUT})
"""The stances about the people that a row names now. A row has one of the two for all of them; see `Event.apply`."""

_CONTRIBUTES: Final = int(Stance.CONTRIBUTES)
_SHORT_LIST: Final = 0x9


class Statement(NamedTuple):
    """What a row says about one identity on one list."""

    list_number: int
    slot: int
    """The ledger's number for the column and type that the identity comes from."""
    stance: int
    identity: bytes


Statements = frozenset[Statement]
"""Everything that a row says."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Statement]).decode


def encode_statements(said: Collection[Statement]) -> bytes:
    """Encode different statements so that equal sets have equal bytes; return no bytes for a row that says nothing."""
    if len(said) > 1:
        said = sorted(said)
    return _encode(tuple(said)) if said else b""


def encode_contributions(
    slots: Sequence[tuple[int, int]], columns: Sequence[Sequence[bytes | None]], stance: Stance = Stance.CONTRIBUTES
) -> list[bytes]:
    """Encode the statements of rows that only contribute, or whose people are all held out.

    Args:
        slots: list and slot of each layer of identities, in ascending order.
        columns: the packed identities in each layer; None where a row has none. Those of one row and slot are in order.
        stance: what the rows say about all of their identities.

    Returns:
        For each row what `encode_statements` would return.
    """
    packed_columns = [
        [packed or b"" for packed in column] if None in column else cast("Sequence[bytes]", column)
        for column in columns
    ]
    if len(slots) == 1:
        sizes = set(map(len, packed_columns[0]))
        if len(sizes) == 1 and 0 not in sizes:
            before = _head_of_list(1) + _head(slots[0], sizes.pop(), stance)
            return list(map(before.__add__, packed_columns[0]))
    said = [
        [_head(slot, len(packed), stance) + packed if packed else b"" for packed in column]
        for slot, column in zip(slots, packed_columns, strict=True)
    ]
    if len(said) == 1:
        return [_head_of_list(1) + only if only else b"" for only in said[0]]
    return [_head_of_list(sum(map(bool, row))) + b"".join(row) for row in zip(*said, strict=True)]


class ContributionEncoder:
    """Encodes the statements of single rows that contribute to the same lists, or whose people are held out.

    It does for a row what `encode_contributions` does for many: where each row names its list, hardly two rows of a
    block share one.
    """

    def __init__(self, slots: Mapping[str, tuple[int, int]], stance: Stance = Stance.CONTRIBUTES) -> None:
        """Prepare it.

        Args:
            slots: identity column → list and slot; none if the rows belong on no list.
            stance: what the rows say about all of their identities.
        """
        self._slots = sorted((slot, column) for column, slot in slots.items())
        self._stance = stance
        self._only = _head_of_list(1) + _head(self._slots[0][0], LONGEST_DIGEST, stance) if len(slots) == 1 else None

    def encode(self, columns: Mapping[str, Sequence[Sequence[bytes | None]]], index: int) -> bytes:
        """Return what `encode_statements` would return for a row.

        Args:
            columns: identity column → its layers, as in a block of rows.
            index: the index of the row.
        """
        if self._only is not None:
            layers = columns[self._slots[0][1]]
            only = layers[0][index] if len(layers) == 1 else None
            if only is not None and len(only) == LONGEST_DIGEST:
                return self._only + only
        named = [(slot, each) for slot, column in self._slots for layer in columns[column] if (each := layer[index])]
        said = [_head(slot, len(each), self._stance) + each for slot, each in named]
        return _head_of_list(len(said)) + b"".join(said)


@functools.lru_cache(maxsize=1 << 16)
def _head(slot: tuple[int, int], size: int, stance: Stance) -> bytes:
    """Return what stands before an identity of this size in a statement about it."""
    return _encode((*slot, int(stance), bytes(size)))[:-size]


@functools.cache
def _head_of_list(count: int) -> bytes:
    """Return what stands before so many statements; nothing before none."""
    # A list of zeros is as long as its own head and a byte for each.
    return _encode([0] * count)[:-count] if count else b""


def statements(encoded: bytes) -> list[Statement]:
    """Decode the statements of a row, in their order."""
    return _decode(encoded) if encoded else []


def statement_set(encoded: bytes) -> Statements:
    """Decode the statements of a row, as a set."""
    return frozenset(statements(encoded))


def contributed_lists(said: Iterable[Statement]) -> set[int]:
    """Return the lists to which a row contributes at least one identity."""
    return {each.list_number for each in said if each.stance == _CONTRIBUTES}


def holds_out(encoded: bytes) -> bool:
    """Return whether a row is held out, given its encoded statements."""
    return any(each.stance == Stance.HOLDS_OUT for each in statements(encoded))


def count_statements(encoded: bytes) -> int:
    """Return the number of statements of a row."""
    # The first byte of a short list holds its length (MessagePack, "fixarray").
    if encoded and encoded[0] >> 4 == _SHORT_LIST:
        return encoded[0] & 0x0F
    return len(statements(encoded))


def count_all_statements(encoded: Sequence[bytes]) -> int:
    """Return the number of statements of several rows together."""
    heads = Counter(map(itemgetter(slice(1)), encoded))
    if all(not head or head[0] >> 4 == _SHORT_LIST for head in heads):
        return sum(count_statements(head) * rows for head, rows in heads.items())
    return sum(map(count_statements, encoded))


class Contributions(NamedTuple):
    """The identities that rows contribute to one list, one identity a row."""

    list_number: int
    identities: list[bytes]


def sole_contributions(encoded: Sequence[bytes]) -> Contributions | None:
    """Return the contributions of rows if each has one identity, all of one size and for one list; None otherwise.

    Args:
        encoded: the encoded statements of each row.
    """
    first = statements(encoded[0]) if encoded else []
    if len(first) != 1 or first[0].stance != _CONTRIBUTES:
        return None
    size = len(first[0].identity)
    # Encoded statements of equal length with equal beginnings differ only at the end, which is the identity.
    if len({said[:-size] for said in encoded}) != 1 or len(set(map(len, encoded))) != 1:
        return None
    return Contributions(first[0].list_number, [said[-size:] for said in encoded])
