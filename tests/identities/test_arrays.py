"""Arrays of identities: a block is read like its rows, one by one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from target_pinterest_audience.identities.extract import IdentityExtractor
from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.records.block import ColumnarRecords
from target_pinterest_audience.records.position import Place
from tests.support.messages import address, sha256

ELEMENTS = [*map(address, range(5)), address(1).upper(), sha256(address(2)), "bad", "", None, 7, ["x"]]
elements = st.sampled_from(ELEMENTS)
columns = st.lists(st.one_of(elements, st.lists(elements, max_size=8)), min_size=1, max_size=8)


def extractor() -> IdentityExtractor:
    tally = StreamTally("s")
    types = {"email": IDENTITY_TYPES["EMAIL"]}
    return IdentityExtractor(types, (), (), (), Hashing.AUTO, HashAlgorithm.SHA256, tally)


def block(values: list[Any]) -> ColumnarRecords:
    return ColumnarRecords({"email": values}, len(values), Place(1))


def counts(tally: StreamTally) -> tuple[Any, ...]:
    return tally.received, tally.rejected, tally.duplicates, tally.remarks, tally.first_places


@given(columns)
def test_the_layers_of_a_block_hold_what_its_rows_hold(values: list[Any]) -> None:
    together, one_by_one = extractor(), extractor()
    layers = together.identity_layers("email", block(values))
    for index, value in enumerate(values):
        found = one_by_one.identities({"email": value}, Place(1 + index)).get("email", ())
        # In order, so that the ledger stores equal arrays as equal bytes.
        assert [layer[index] for layer in layers if layer[index] is not None] == sorted(found) == list(found)
    assert counts(together.tally) == counts(one_by_one.tally)


@given(columns)
def test_the_other_forms_of_a_block_are_those_of_its_rows(values: list[Any]) -> None:
    forms = extractor().forms_in(block(values))
    for index, value in enumerate(values):
        assert forms.get(index, {}) == extractor().forms({"email": value}, ["email"])


def test_rows_with_long_arrays_are_read_one_by_one() -> None:
    values = [address(1), [address(2)], [address(3)] * 8, [address(4)] * 9, None]
    assert extractor().odd_rows(block(values), None, None) == [3]
