from __future__ import annotations

import hashlib

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from target_pinterest_audience.delivery.pending import PendingIdentities
from target_pinterest_audience.identities.packed import as_records, pack_identity
from target_pinterest_audience.routing.orders import Batch
from target_pinterest_audience.vocabulary import Cause, Operation
from target_pinterest_audience.watermark import Watermark
from tests.support.packing import packed

ADD, REMOVE = Operation.ADD, Operation.REMOVE


Parts = tuple[Operation, tuple[bytes, ...], tuple[int, ...], "int | None"]


def parts(batch: Batch | None) -> Parts | None:
    """What is in a batch, and the line that it holds."""
    return (batch.operation, batch.identities, batch.lines, batch.hold.line) if batch is not None else None


def drain(pending: PendingIdentities) -> list[Batch]:
    batches = []
    while (batch := pending.take_any()) is not None:
        batches.append(batch)
    return batches


def test_a_batch_is_full_at_the_row_limit() -> None:
    pending = PendingIdentities(3, 10_000, Watermark())
    for line, identity in enumerate(packed(*"abc")):
        assert pending.take_full() is None
        assert pending.put(ADD, identity, line) is False
    assert parts(pending.take_full()) == (ADD, packed("a", "b", "c"), (0, 1, 2), 0)
    assert pending.take_full() is None
    assert pending.first_line is None


def test_a_repeated_identity_is_sent_once() -> None:
    pending = PendingIdentities(3, 10_000, Watermark())
    assert [pending.put(ADD, identity, 1) for identity in packed(*"abab")] == [False, False, True, True]
    assert [*map(parts, drain(pending))] == [(ADD, packed("a", "b"), (1, 1), 1)]


def test_the_last_operation_on_an_identity_replaces_the_earlier_one() -> None:
    pending = PendingIdentities(3, 10_000, Watermark())
    pending.put(REMOVE, pack_identity("a"), 5)
    pending.put(ADD, pack_identity("b"), 7)
    assert pending.put(ADD, pack_identity("a"), 50) is True
    assert pending.first_line == 5
    assert [*map(parts, drain(pending))] == [(ADD, packed("b", "a"), (7, 50), 5)]


def test_bytes_are_counted_as_encoded_in_json() -> None:
    pending = PendingIdentities(100, 12, Watermark())
    pending.put(ADD, pack_identity('a"b'), 1)  # 4 bytes in JSON, and a comma
    assert pending.take_full() is None
    pending.put(ADD, pack_identity("é"), 2)
    pending.put(ADD, pack_identity("xyz"), 3)
    full = pending.take_full()
    assert full is not None
    assert parts(full) == (ADD, packed('a"b', "é", "xyz"), (1, 2, 3), 1)
    assert len(msgspec.json.encode(as_records(full.identities))) - 2 <= 12


def test_an_identity_larger_than_a_request_goes_alone() -> None:
    pending = PendingIdentities(100, 10, Watermark())
    pending.put(ADD, pack_identity("a" * 4), 1)
    pending.put(ADD, pack_identity("b" * 50), 2)
    assert parts(pending.take_full()) == (ADD, packed("aaaa"), (1,), 1)
    assert parts(pending.take_full()) == (ADD, packed("b" * 50), (2,), 1)


identities = st.sampled_from([*packed(*"abcdef"), *(hashlib.sha256(each).digest() for each in (b"g", b"h"))])
actions = st.lists(st.tuples(st.sampled_from(list(Operation)), identities, st.booleans()), max_size=60)


@given(actions=actions, rows=st.integers(1, 5), size=st.one_of(st.integers(1, 12), st.integers(60, 200)))
def test_the_last_operation_on_each_identity_is_sent_last_whatever_arrives(
    actions: list[tuple[Operation, bytes, bool]], rows: int, size: int
) -> None:
    pending = PendingIdentities(rows, size, Watermark())
    sent: list[Batch] = []
    wanted: dict[bytes, Operation] = {}
    for line, (operation, identity, flush) in enumerate(actions):
        pending.put(operation, identity, line)
        wanted[identity] = operation
        assert pending.first_line is not None
        assert pending.first_line <= line
        while (batch := pending.take_full()) is not None:
            sent.append(batch)
        if flush:
            sent.extend(drain(pending))
    sent.extend(drain(pending))
    assert pending.first_line is None
    done: dict[bytes, Operation] = {}
    for batch in sent:
        assert len(batch.identities) == len(set(batch.identities)) <= rows
        done.update(dict.fromkeys(batch.identities, batch.operation))
    assert done == wanted


some = st.lists(st.tuples(st.sampled_from(list(Operation)), st.lists(identities, min_size=1, max_size=8)), max_size=12)


@given(some=some, rows=st.integers(1, 9), size=st.one_of(st.integers(1, 40), st.integers(60, 300)))
def test_many_identities_at_once_are_queued_as_if_one_by_one(
    some: list[tuple[Operation, list[bytes]]], rows: int, size: int
) -> None:
    together, one_by_one = PendingIdentities(rows, size, Watermark()), PendingIdentities(rows, size, Watermark())
    sent: list[Batch] = []
    again = 0
    line = 1
    for operation, group in some:
        cause = Cause.DELETE if line % 2 else Cause.CHANGE
        lines = range(line, line + len(group))
        line += len(group)
        taken = 0
        while taken < len(group):
            count, repeated = together.put_many(operation, group[taken:], lines[taken:], cause)
            taken += count
            again += repeated
            while (batch := together.take_full()) is not None:
                sent.append(batch)
        for at, identity in zip(lines, group, strict=True):
            again -= one_by_one.put(operation, identity, at, cause)
            while (batch := one_by_one.take_full()) is not None:
                assert batch == sent.pop(0)
        assert sent == []
        assert len(together) == len(one_by_one)
    assert again == 0
    assert drain(together) == drain(one_by_one)


DIGESTS = [hashlib.sha256(each).digest() for each in (b"a", b"b", b"c")]


def test_an_addition_takes_the_place_of_a_removal_that_waits() -> None:
    pending = PendingIdentities(9, 1000, Watermark())
    pending.put(Operation.REMOVE, DIGESTS[0], 1)
    pending.put(Operation.ADD, DIGESTS[1], 2)
    assert pending.put(Operation.ADD, DIGESTS[0], 3)
    (batch,) = drain(pending)
    assert (batch.operation, batch.identities) == (Operation.ADD, (DIGESTS[1], DIGESTS[0]))


def test_an_identity_of_an_earlier_line_holds_that_line() -> None:
    watermark = Watermark()
    pending = PendingIdentities(9, 1000, watermark)
    for digest, line in zip(DIGESTS, (5, 6, 3), strict=True):
        pending.put(Operation.ADD, digest, line)
    assert (pending.first_line, watermark.floor()) == (3, 3)
