"""The filter of new keys: it misses no key that it took, and few others pass."""

from __future__ import annotations

import random

import pytest

from target_pinterest_audience.ledger.sqlite.keys import key_filter
from target_pinterest_audience.ledger.sqlite.keys.key_filter import KeyFilter


@pytest.mark.parametrize("size", [16, 17, 11])
def test_a_filter_never_misses_a_key_and_lets_few_others_pass(size: int) -> None:
    chance = random.Random(2)
    known = KeyFilter(1 << 30)
    taken = [chance.randbytes(size) for _ in range(50_000)]
    passed = sum(len(known.take(taken[start : start + 5_000], 7)) for start in range(0, len(taken), 5_000))
    assert passed < 500
    assert known.take(taken[:100], 7) == [*range(100)]
    mixed = [*taken[100:200], *(chance.randbytes(size) for _ in range(20_000)), b"of another size", taken[300]]
    places = known.possible(mixed, 7)
    assert {*range(100), len(mixed) - 1} <= {*places}
    assert len(places) < 350


def test_a_full_filter_lets_few_keys_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each costs a read in every layer: with 50 of them, one key in 6,000 took a third of the time of a first load.
    words = 1 << 14
    monkeypatch.setattr(key_filter, "_FIRST_WORDS", words)
    chance = random.Random(4)
    known = KeyFilter(words * 8)
    known.take([chance.randbytes(16) for _ in range(words * 64 // key_filter._BITS_PER_KEY)], 7)
    others = [chance.randbytes(16) for _ in range(400_000)]
    assert len(known.possible(others, 7)) < len(others) // 20_000


def test_a_filter_that_may_not_grow_still_misses_no_key() -> None:
    chance = random.Random(3)
    known = KeyFilter(1 << 10)
    taken = [chance.randbytes(16) for _ in range(3_000_000 // 16)]
    for start in range(0, len(taken), 50_000):
        known.take(taken[start : start + 50_000], 7)
    assert known.possible(taken[:1000], 7) == [*range(1000)]
