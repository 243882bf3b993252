"""Phone numbers are sent in rows, other identities as one text, and never both in one request."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_pinterest_audience.delivery.halving import Halving, Trial, WireRefusedError
from target_pinterest_audience.delivery.pending import PendingIdentities, cut
from target_pinterest_audience.identities.packed import (
    as_records,
    member_key,
    member_keys,
    pack_identity,
    size_in_records,
    unpack_identity,
    wire_of,
)
from target_pinterest_audience.pinterest.errors import NotPermittedError, RefusedError, RestrictedError
from target_pinterest_audience.routing.orders import Batch, Order
from target_pinterest_audience.routing.plan import ListReference
from target_pinterest_audience.vocabulary import Cause, Operation, WireFormat
from target_pinterest_audience.watermark import Watermark
from tests.support.messages import sha256

ADD, REMOVE = Operation.ADD, Operation.REMOVE


def phone(number: int, digits: int = 64) -> bytes:
    return pack_identity(sha256(f"phone {number}")[:digits], WireFormat.PHONES)


def email(number: int, digits: int = 64) -> bytes:
    return pack_identity(sha256(f"email {number}")[:digits])


opaque = st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text)
digests = st.sampled_from([32, 40, 64]).flatmap(lambda size: st.text("0123456789abcdef", min_size=size, max_size=size))


@given(digest=digests, text=opaque)
def test_an_identity_knows_how_it_is_sent(digest: str, text: str) -> None:
    packed = pack_identity(digest, WireFormat.PHONES)
    assert (wire_of(packed), unpack_identity(packed)) == (WireFormat.PHONES, digest)
    for other in (digest, text):
        assert wire_of(pack_identity(other)) is WireFormat.RECORDS
        assert pack_identity(other) != packed


@given(digest=digests, other=digests, text=opaque)
def test_a_phone_number_is_another_member_than_whatever_has_the_same_digest(digest: str, other: str, text: str) -> None:
    packed = pack_identity(digest, WireFormat.PHONES)
    keys = {member_key(each) for each in (packed, pack_identity(digest), pack_identity(text))}
    assert len(keys) == len({digest, text}) + 1
    assert len(member_key(packed)) == 17
    # Neither a shorter digest nor one under another algorithm is the same member.
    assert (member_key(packed) == member_key(pack_identity(other, WireFormat.PHONES))) == (
        digest[:32] == other[:32] and len(digest) == len(other)
    )
    for many in ([packed] * 3, [packed, pack_identity(digest)], [packed, pack_identity(text)]):
        assert member_keys(many) == list(map(member_key, many))


@pytest.mark.parametrize("digits", [[64], [40], [32], [64, 40, 32]])
def test_a_row_has_one_field_and_its_size_is_known_before(digits: list[int]) -> None:
    packed = [phone(number, size) for number, size in enumerate(digits * 3)]
    rows = as_records(packed)
    assert rows == [{"hashed_phone_number": unpack_identity(each)} for each in packed]
    assert size_in_records(packed) == len(msgspec.json.encode(rows)) - 1 == len(json.dumps(rows).replace(" ", "")) - 1


def test_an_order_is_sent_in_parts_of_one_wire_format_each() -> None:
    reference = ListReference("1")
    identities = [email(1), phone(1), pack_identity("XY1"), phone(2)]
    first, second = Order(reference, REMOVE, identities, [1, 1, 2, 3], Cause.DELETE).by_wire()
    assert first == Order(reference, REMOVE, [email(1), pack_identity("XY1")], [1, 2], Cause.DELETE)
    assert second == Order(reference, REMOVE, [phone(1), phone(2)], [1, 3], Cause.DELETE)
    for alone in ([email(1), email(2)], [phone(1)]):
        order = Order(reference, ADD, alone, range(len(alone)))
        assert list(order.by_wire()) == [order]


def drained(pending: PendingIdentities) -> list[tuple[Operation, tuple[bytes, ...]]]:
    taken = []
    while (batch := pending.take_any()) is not None:
        taken.append((batch.operation, batch.identities))
    return taken


def test_identities_wait_in_batches_of_one_wire_format_removals_first() -> None:
    pending = PendingIdentities(3, 10_000, Watermark())
    pending.put_many(ADD, [phone(1), phone(2)], [1, 2])
    pending.put_many(ADD, [email(1), email(2)], [1, 2])
    assert pending.take_full() is None
    pending.put_many(REMOVE, [phone(3)], [3])
    pending.put(REMOVE, email(3), 4)
    assert len(pending) == 6
    pending.put(ADD, phone(4), 5)
    full = pending.take_full()
    assert full is not None
    assert (full.identities, full.wire) == ((phone(1), phone(2), phone(4)), WireFormat.PHONES)
    assert drained(pending) == [(REMOVE, (email(3),)), (REMOVE, (phone(3),)), (ADD, (email(1), email(2)))]


def test_a_phone_number_waits_for_one_operation_only_whatever_address_has_its_digest() -> None:
    digest = sha256("same")
    number, address = pack_identity(digest, WireFormat.PHONES), pack_identity(digest)
    pending = PendingIdentities(10, 10_000, Watermark())
    pending.put(ADD, number, 1)
    assert not pending.put(REMOVE, address, 2)
    assert pending.put(REMOVE, number, 3)
    assert drained(pending) == [(REMOVE, (address,)), (REMOVE, (number,))]


@given(
    kinds=st.lists(st.booleans(), min_size=1, max_size=60), most=st.integers(1, 20), room=st.integers(100, 2000),
)  # fmt: skip
def test_a_list_of_identities_is_cut_into_batches_that_fit(kinds: list[bool], most: int, room: int) -> None:
    identities = [phone(place) if kind else email(place) for place, kind in enumerate(kinds)]
    batches = list(cut(REMOVE, identities, most, room))
    assert sorted(each for batch in batches for each in batch.identities) == sorted(identities)
    for batch in batches:
        assert {wire_of(each) for each in batch.identities} == {batch.wire}
        assert len(batch.identities) <= most
        assert len(batch.identities) == 1 or len(msgspec.json.encode(as_records(batch.identities))) - 2 <= room


class Pinterest:
    """Refuses batches with some phone numbers."""

    def __init__(
        self, refuses: Callable[[int], bool], error: type[RefusedError | NotPermittedError] = RefusedError
    ) -> None:
        self.calls: list[int] = []
        self.members: set[bytes] = set()
        self._refuses = {phone(number): refuses(number) for number in range(2000)}
        self._error = error

    def send(self, sent: Batch) -> None:
        self.calls.append(len(sent.identities))
        if any(self._refuses[each] for each in sent.identities):
            msg = "no"
            raise self._error(msg, status=400)
        self.members.update(sent.identities)


def batch(numbers: range, line: int = 1) -> Batch:
    identities = tuple(map(phone, numbers))
    return Batch(ADD, identities, (line,) * len(identities), Watermark().hold(1))


def test_a_format_that_is_refused_costs_four_requests() -> None:
    pinterest = Pinterest(lambda _: True)
    with pytest.raises(WireRefusedError):
        Halving(pinterest.send, trial=Trial()).deliver(batch(range(2000)))
    assert pinterest.calls == [2000, 1, 1, 1]


def test_a_restricted_feature_costs_one() -> None:
    pinterest = Pinterest(lambda _: True, RestrictedError)
    with pytest.raises(WireRefusedError):
        Halving(pinterest.send, trial=Trial()).deliver(batch(range(2000)))
    assert pinterest.calls == [2000]
    with pytest.raises(RestrictedError):
        Halving(pinterest.send).deliver(batch(range(2000)))
    with pytest.raises(RestrictedError):
        Halving(pinterest.send, trial=Trial(accepted=True)).deliver(batch(range(2000)))


def test_other_lacks_of_permission_are_not_the_formats() -> None:
    with pytest.raises(NotPermittedError):
        Halving(Pinterest(lambda _: True, NotPermittedError).send, trial=Trial()).deliver(batch(range(5)))


@given(size=st.integers(4, 500), bad=st.sets(st.integers(0, 499), max_size=10))
def test_bad_numbers_are_found_as_in_any_batch_if_one_of_a_few_is_good(size: int, bad: set[int]) -> None:
    bad = {place for place in bad if place < size} - {size - 1}
    pinterest = Pinterest(bad.__contains__)
    trial = Trial()
    assert Halving(pinterest.send, trial=trial).deliver(batch(range(size))) == sorted(bad)
    assert trial.accepted
    assert pinterest.members == {phone(place) for place in range(size) if place not in bad}


def test_few_numbers_that_are_refused_leave_it_open_until_there_are_enough_or_one_is_accepted() -> None:
    pinterest = Pinterest(lambda number: number < 1000)
    trial = Trial()
    halving = Halving(pinterest.send, trial=trial)
    assert halving.deliver(batch(range(1))) == [0]
    assert halving.deliver(batch(range(1))) == [0]
    assert halving.deliver(batch(range(2))) == [0, 1]
    assert not trial.accepted
    assert halving.deliver(batch(range(1000, 1003))) == []
    assert not halving.is_in_doubt
    assert halving.deliver(batch(range(999, 1100))) == [0]
    other = Halving(Pinterest(lambda _: True).send, trial=Trial())
    assert other.deliver(batch(range(2))) == [0, 1]
    with pytest.raises(WireRefusedError):
        other.deliver(batch(range(2, 3)))
