"""A batch that Pinterest refuses: the bad rows stand alone in the end, in few requests, and the others arrive."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_pinterest_audience.delivery.halving import Halving
from target_pinterest_audience.pinterest.errors import RefusedError, UnavailableError
from target_pinterest_audience.routing.orders import Batch
from target_pinterest_audience.vocabulary import Operation
from target_pinterest_audience.watermark import Watermark


def batch(size: int) -> Batch:
    return Batch(Operation.ADD, tuple(b"%d" % n for n in range(size)), tuple(range(1, size + 1)), Watermark().hold(1))


class Pinterest:
    """Takes batches unless they hold somebody bad, or too many."""

    def __init__(self, refuses: Callable[[Batch], bool]) -> None:
        self.calls = 0
        self.members: list[bytes] = []
        self._refuses = refuses

    def send(self, sent: Batch) -> None:
        self.calls += 1
        if self._refuses(sent):
            msg = "no"
            raise RefusedError(msg, status=400)
        self.members += sent.identities


@given(size=st.integers(1, 3000), bad=st.sets(st.integers(0, 2999), max_size=10))
def test_good_identities_are_sent_once_and_bad_ones_are_found(size: int, bad: set[int]) -> None:
    bad = {place for place in bad if place < size and size > len(bad)}
    pinterest = Pinterest(lambda sent: any(int(identity) in bad for identity in sent.identities))
    assert Halving(pinterest.send).deliver(batch(size)) == sorted(bad)
    assert sorted(map(int, pinterest.members)) == sorted(set(range(size)) - bad)
    assert pinterest.calls <= 1 + len(bad) * 2 * math.ceil(math.log2(size) if size > 1 else 0)


def test_too_many_bad_rows_fail_the_whole_batch() -> None:
    pinterest = Pinterest(lambda _: True)
    with pytest.raises(RefusedError):
        Halving(pinterest.send).deliver(batch(10_000))
    assert pinterest.calls < 100


def test_a_batch_of_which_every_identity_is_refused_fails_as_a_whole() -> None:
    pinterest = Pinterest(lambda _: True)
    with pytest.raises(RefusedError):
        Halving(pinterest.send).deliver(batch(2))
    assert Halving(pinterest.send).deliver(batch(1)) == [0]


def test_a_request_that_is_too_big_shows_which_size_fits() -> None:
    pinterest = Pinterest(lambda sent: len(sent.identities) > 1900)
    halving = Halving(pinterest.send)
    assert halving.deliver(batch(10_000)) == []
    assert halving.fits == 1250
    before = pinterest.calls
    assert halving.deliver(batch(10_000)) == []
    assert pinterest.calls - before == 8
    assert len(pinterest.members) == 20_000


def test_a_batch_can_be_too_big_and_have_bad_rows() -> None:
    pinterest = Pinterest(lambda sent: len(sent.identities) > 300 or b"77" in sent.identities)
    halving = Halving(pinterest.send)
    for _ in range(2):
        assert halving.deliver(batch(1000)) == [77]
    assert len(pinterest.members) == 2 * 999


def test_the_size_shrinks_only_after_refusals() -> None:
    pinterest = Pinterest(lambda sent: len(sent.identities) > 600)
    halving = Halving(pinterest.send)
    for size in (1000, 750, 1000, 251, 130, 90, 60, 40, 30):
        assert halving.deliver(batch(size)) == []
    assert halving.fits == 500


class TestRefusedBefore:
    """Identities that Pinterest refused by themselves in earlier runs."""

    @staticmethod
    def halving(pinterest: Pinterest, count: int) -> Halving:
        return Halving(pinterest.send, refused_before={b"%d" % n for n in range(count)})

    def test_they_do_not_count_against_the_whole_batch(self) -> None:
        pinterest = Pinterest(lambda sent: any(int(identity) < 12 for identity in sent.identities))
        assert sorted(self.halving(pinterest, 12).deliver(batch(12))) == list(range(12))
        assert sorted(self.halving(pinterest, 12).deliver(batch(1000))) == list(range(12))
        with pytest.raises(RefusedError):
            self.halving(Pinterest(lambda _: True), 12).deliver(batch(14))

    def test_leftovers_that_pinterest_never_refused_alone_do(self) -> None:
        left = batch(60)
        left = Batch(left.operation, left.identities, (0,) * 60, left.hold)
        pinterest = Pinterest(lambda _: True)
        with pytest.raises(RefusedError):
            Halving(pinterest.send).deliver(left)
        assert pinterest.calls < 40

    def test_requests_for_them_are_limited_and_the_next_run_goes_on_where_this_one_ended(self) -> None:
        pinterest = Pinterest(lambda sent: any(int(identity) < 490 for identity in sent.identities))
        halving = self.halving(pinterest, 500)
        refused = halving.deliver(batch(500))
        assert sorted(refused) == list(range(500))
        assert refused[-10:] == list(range(10))
        assert pinterest.calls < 50
        # The other batches of the run get one request each.
        before = pinterest.calls
        assert len(halving.deliver(batch(500))) == 500
        assert pinterest.calls == before + 1

    def test_they_are_delivered_once_pinterest_accepts_them(self) -> None:
        pinterest = Pinterest(lambda _: False)
        assert self.halving(pinterest, 30).deliver(batch(50)) == []
        assert pinterest.calls == 2
        assert len(pinterest.members) == 50


def test_other_errors_do_not_halve_the_batch() -> None:
    def send(_: Batch) -> None:
        msg = "later"
        raise UnavailableError(msg)

    with pytest.raises(UnavailableError):
        Halving(send).deliver(batch(100))
