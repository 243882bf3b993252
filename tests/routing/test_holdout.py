"""Who is held out: a choice that anybody can compute who knows the identities."""

from __future__ import annotations

import itertools
import random

import pytest

from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.routing.holdout import HoldOut, deciding_order, first_identities
from tests.support.messages import address, is_held_out, sha256

IDENTITIES = [*(sha256(address(n)) for n in range(400)), "a" * 40, "b" * 32, "XY1", "XY2", "A" * 64, " " * 32]


@pytest.mark.parametrize(("percent", "salt"), [(0, "a"), (1, "a"), (10, ""), (10, "émoi"), (50, "a:b")])
def test_the_first_eight_hex_digits_of_a_salted_digest_decide(percent: int, salt: str) -> None:
    chosen = HoldOut(percent, salt).choose([pack_identity(each) for each in IDENTITIES])
    assert chosen == [at for at, each in enumerate(IDENTITIES) if is_held_out(each, percent, salt)]


def test_a_greater_share_holds_out_those_of_a_smaller_one_too() -> None:
    packed = [pack_identity(each) for each in IDENTITIES]
    shares = [set(HoldOut(percent, "a").choose(packed)) for percent in range(51)]
    assert all(fewer <= more for fewer, more in itertools.pairwise(shares))


def test_rows_without_an_identity_are_not_held_out() -> None:
    assert HoldOut(50, "a").choose([None, None]) == []


def test_addresses_decide_before_phones_and_phones_before_all_others_whatever_the_schema() -> None:
    columns = {name: IDENTITY_TYPES[kind] for name, kind in {
        "z": "EMAIL", "a": "LR_ID", "b": "GAID", "c": "IDFA", "d": "EMAIL"}.items()}  # fmt: skip
    mixed = list(columns.items())
    for _ in range(5):
        random.shuffle(mixed)
        assert deciding_order(dict(mixed)) == ["d", "z", "c", "b", "a"]


def test_of_each_row_the_first_identity_that_it_has_is_found() -> None:
    columns = [[b"a", None, None], [b"b", b"c", None], [b"d", b"e", None]]
    assert first_identities(columns) == [b"a", b"c", None]
    assert first_identities([]) == ()
