"""A filter that tells which keys are surely not in the layers of a table, without reading them.

It is a blocked Bloom filter: each key sets three bits in each of two words of 32 bits. About one key in 1,500 passes by
mistake, which costs a look into every layer; for most new keys, one access to memory shows that they are new. Nearly
all keys are digests already, so they are not hashed again.
"""

from __future__ import annotations

import random
import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

_PATTERN_COUNT: Final = 4096
_BITS_PER_KEY: Final = 20
_WORD_BYTES: Final = 4
_FIRST_WORDS: Final = 1 << 22
_ODD: Final = 0x9E3779B1
"""Spreads the numbers of lists and sources over 32 bits."""
_GROWTH: Final = 4
"""How much longer the next segment is: the more, the fewer there are to look into."""

_PATTERNS: Final = tuple(
    sum(1 << bit for bit in chosen.sample(range(32), 3))
    for chosen in [random.Random(0)]  # noqa: S311 - any patterns do, as long as they differ
    for _ in range(_PATTERN_COUNT)
)
_WORDS: Final = struct.Struct("<II")
_PARTS: Final = {16: (struct.Struct("<4xII4x"), 4), 17: (struct.Struct("<xII8x"), 1)}
"""Size of a key → its two random parts, and where they begin: after the first bytes, which rows with neighbouring keys
share, or after the tag of a member key."""


class KeyFilter:
    """Takes keys, and tells which it has surely not taken. It grows with their number, up to a limit."""

    def __init__(self, most_bytes: int) -> None:
        """Begin without keys.

        Args:
            most_bytes: how much memory to take at most. Beyond it, more and more keys pass by mistake.
        """
        self._most_words = most_bytes // _WORD_BYTES
        self._segments: list[array[int]] = []
        """Keys are added to the last one."""
        self._room = 0
        """How many more keys fit into it."""
        self._grow(_FIRST_WORDS)

    def take(self, keys: Sequence[bytes], owner: int) -> list[int]:
        """Add keys, and return the places of those that it may have taken before.

        Args:
            keys: keys without duplicates.
            owner: their source or list: equal keys of others are different keys.
        """
        if self._room < len(keys):
            self._grow(len(self._segments[-1]) * _GROWTH)
        self._room -= len(keys)
        salt = _salt(owner)
        held = [place for segment in self._segments[:-1] for place in _held(segment, keys, salt)]
        added = _add(self._segments[-1], keys, salt)
        return sorted({*held, *added}) if held else added

    def possible(self, keys: Sequence[bytes], owner: int) -> list[int]:
        """Return the places of the keys that it may have taken; see `take`."""
        return sorted({place for segment in self._segments for place in _held(segment, keys, _salt(owner))})

    def _grow(self, words: int) -> None:
        left = self._most_words - sum(map(len, self._segments))
        while words > left and words > _FIRST_WORDS:
            words //= 2
        if words > left and self._segments:
            self._room = sys.maxsize
            return
        self._segments.append(array("I", [0]) * words)
        self._room = words * _WORD_BYTES * 8 // _BITS_PER_KEY


def _salt(owner: int) -> int:
    return owner * _ODD & 0xFFFFFFFF


def _held(segment: array[int], keys: Sequence[bytes], salt: int) -> list[int]:
    """Return the places of the keys whose bits are all set."""
    mask, patterns = len(segment) - 1, _PATTERNS
    return [
        place
        for place, (one, other) in enumerate(_pairs(keys))
        for pattern in [patterns[other >> 20]]
        if segment[(one ^ salt) & mask] & pattern == pattern
        for pattern in [patterns[one >> 20]]
        if segment[(other ^ salt) & mask] & pattern == pattern
    ]


def _add(segment: array[int], keys: Sequence[bytes], salt: int) -> list[int]:
    """Set the bits of keys, and return the places of those whose bits were all set before."""
    mask, patterns = len(segment) - 1, _PATTERNS
    held = []
    for place, (one, other) in enumerate(_pairs(keys)):
        pattern, where = patterns[other >> 20], (one ^ salt) & mask
        second_pattern, second = patterns[one >> 20], (other ^ salt) & mask
        word, second_word = segment[where], segment[second]
        if word & pattern == pattern and second_word & second_pattern == second_pattern:
            held.append(place)
        else:
            segment[where] |= pattern
            segment[second] |= second_pattern
    return held


def _pairs(keys: Sequence[bytes]) -> Iterable[tuple[int, ...]]:
    """Return two random numbers of 32 bits for each key."""
    sizes = set(map(len, keys))
    if len(sizes) == 1 and sizes <= _PARTS.keys():
        return _PARTS[sizes.pop()][0].iter_unpack(b"".join(keys))
    return map(_pair, keys)


def _pair(key: bytes) -> tuple[int, ...]:
    if len(key) in _PARTS:
        return _WORDS.unpack_from(key, _PARTS[len(key)][1])
    return _WORDS.unpack(blake2b(key, digest_size=8).digest())
