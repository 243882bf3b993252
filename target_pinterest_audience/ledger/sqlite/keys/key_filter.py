"""A filter that tells which keys are surely not in the layers of a table, without reading them.

It is a blocked Bloom filter: each key sets three bits in each of four words of 64 bits. About one key in 45,000 passes
a full segment by mistake, which costs a read in every layer; for most new keys, an access to memory shows that they are
new.
Nearly all keys are digests already, so they are not hashed again.

Most of the time goes to waiting for memory, since the words of a key lie anywhere. NumPy has many of these accesses at
work at once, and needs a fifth of the time that a loop in Python takes.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Places = NDArray[np.intp]

_BITS_PER_KEY: Final = 24
_WORD_BYTES: Final = 8
_FIRST_WORDS: Final = 1 << 21
_MOST_WORDS: Final = 1 << 23
_GROWTH: Final = 2
"""The share of all words that the next segment has at most is one in so many: the fewer, the fewer segments there are,
and the more memory has no keys yet. Each has a power of two, from `_FIRST_WORDS` to `_MOST_WORDS`."""
_ODD: Final = 0x9E3779B1
"""Spreads the numbers of lists and sources over 32 bits."""

_PATTERN_DIGITS: Final = 12
_WORDS_OF_A_KEY: Final = 4
_BITS_IN_A_WORD: Final = 3
_PATTERNS: Final[Words] = np.array(
    [
        sum(1 << bit for bit in chosen.sample(range(64), _BITS_IN_A_WORD))
        for chosen in [random.Random(0)]  # noqa: S311 - any patterns do, as long as they differ
        for _ in range(1 << _PATTERN_DIGITS)
    ],
    np.uint64,
)

_PAIR: Final = struct.Struct("<II")
_BEGIN: Final = {16: 4, 17: 1}
"""Size of a key → where its two random numbers begin: after the first bytes, which rows with neighbouring keys share,
or after the tag of a member key."""


class _Bits:
    """The bits of keys: where they are in a segment of any length."""

    def __init__(self, keys: Sequence[bytes], owner: int) -> None:
        """Find them.

        Args:
            keys: the keys.
            owner: their source or list.
        """
        one, step = _numbers(keys)
        first = one ^ np.uint32(owner * _ODD & 0xFFFFFFFF)
        numbers = [first + np.uint32(word) * step for word in range(_WORDS_OF_A_KEY)]
        # A word and its pattern are of different numbers, or the keys of a word would have much the same pattern.
        patterns = [_PATTERNS[number >> (32 - _PATTERN_DIGITS)] for number in (*numbers[1:], first)]
        self._words = list(zip(numbers, patterns, strict=True))

    def held(self, segment: Words) -> Places:
        """Return the places of the keys whose bits are all set."""
        mask = np.uint32(len(segment) - 1)
        places: Places = np.arange(len(self._words[0][0]))
        for numbers, patterns in self._words:
            bits = patterns[places]
            places = places[segment[numbers[places] & mask] & bits == bits]
        return places

    def add(self, segment: Words) -> None:
        """Set the bits of all keys."""
        mask = np.uint32(len(segment) - 1)
        for numbers, patterns in self._words:
            np.bitwise_or.at(segment, numbers & mask, patterns)


class KeyFilter:
    """Takes keys, and tells which it has surely not taken. It grows with their number, up to a limit."""

    def __init__(self, most_bytes: int) -> None:
        """Begin without keys.

        Args:
            most_bytes: how much memory to take at most. Beyond it, more and more keys pass by mistake.
        """
        self._left = most_bytes // _WORD_BYTES
        """How many more words it may take."""
        self._segments: list[Words] = []
        """Keys are added to the last one."""
        self._room = 0
        """How many more keys fit into it."""

    def take(self, keys: Sequence[bytes], owner: int) -> list[int]:
        """Add keys, and return the places of those that it may have taken before.

        Args:
            keys: keys without duplicates.
            owner: their source or list: equal keys of others are different keys.
        """
        bits = _Bits(keys, owner)
        held = self._held(bits)
        if self._room < len(keys):
            self._grow()
        self._room -= len(keys)
        bits.add(self._segments[-1])
        return held

    def possible(self, keys: Sequence[bytes], owner: int) -> list[int]:
        """Return the places of the keys that it may have taken; see `take`."""
        return self._held(_Bits(keys, owner))

    def _held(self, bits: _Bits) -> list[int]:
        return sorted({place for segment in self._segments for place in bits.held(segment).tolist()})

    def _grow(self) -> None:
        words = _MOST_WORDS
        while words > max(sum(map(len, self._segments)) // _GROWTH, _FIRST_WORDS):
            words //= 2
        while words > max(self._left, _FIRST_WORDS):
            words //= 2
        if words > self._left and self._segments:
            return
        self._left -= words
        self._segments.append(np.zeros(words, np.uint64))
        self._room = words * _WORD_BYTES * 8 // _BITS_PER_KEY


def _numbers(keys: Sequence[bytes]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return two random numbers for each key."""
    sizes = set(map(len, keys))
    if len(sizes) == 1 and sizes <= _BEGIN.keys():
        (size,) = sizes
        numbers = np.ndarray((len(keys), 2), "<u4", b"".join(keys), _BEGIN[size], strides=(size, 4))
        return numbers[:, 0], numbers[:, 1]
    numbers = np.array([*map(_pair, keys)], np.uint32).reshape(-1, 2)
    return numbers[:, 0], numbers[:, 1]


def _pair(key: bytes) -> tuple[int, ...]:
    if len(key) in _BEGIN:
        return _PAIR.unpack_from(key, _BEGIN[len(key)])
    return _PAIR.unpack(blake2b(key, digest_size=_PAIR.size).digest())
