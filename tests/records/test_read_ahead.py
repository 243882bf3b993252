"""What is read ahead comes in order, a little at a time, and failures come where the items are wanted."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_pinterest_audience.errors import StreamError
from target_pinterest_audience.records.input_lines import blocks_of, joined_blocks, read_lines
from target_pinterest_audience.records.read_ahead import ReadAhead
from tests.support.waiting import wait_until


def all_of(ahead: ReadAhead[int]) -> list[int]:
    found = []
    while not ahead.ended:
        item = ahead.get(5)
        if item is not None:
            found.append(item)
    return found


def one_and_a_failure() -> Iterator[int]:
    yield 1
    msg = "no"
    raise OSError(msg)


def is_over(name: str) -> bool:
    return all(thread.name != name for thread in threading.enumerate())


def test_items_arrive_in_order() -> None:
    with ReadAhead(iter(range(1000)), 3, "in-order") as ahead:
        assert all_of(ahead) == list(range(1000))
    wait_until(lambda: is_over("in-order"))


def test_no_more_is_read_than_the_limit() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    with ReadAhead(items(), 3, "bounded") as ahead:
        for taken in range(1, 10):
            assert ahead.get(5) == taken - 1
            assert len(read) <= taken + 3 + 1
        wait_until(lambda: len(read) == 9 + 3 + 1)
    wait_until(lambda: is_over("bounded"))


def test_silence_is_reported_and_does_not_end_the_reading() -> None:
    release = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        release.wait(10)
        yield 2

    with ReadAhead(items(), 3, "silent") as ahead:
        assert ahead.get(5) == 1
        assert ahead.get(0) is None
        assert ahead.get(0.01) is None
        assert not ahead.ended
        release.set()
        assert all_of(ahead) == [2]


def test_a_failure_comes_after_the_items_before_it() -> None:
    with ReadAhead(one_and_a_failure(), 3, "failing") as ahead:
        assert ahead.get(5) == 1
        with pytest.raises(OSError, match="no"):
            ahead.get(5)
        assert ahead.ended


def test_a_failure_does_not_come_before_the_last_item_is_used() -> None:
    with ReadAhead(one_and_a_failure(), 3, "failing later") as ahead:
        assert ahead.get(5) == 1
        wait_until(lambda: is_over("failing later"))
        assert ahead.get_another() is None
        assert ahead.get_another() is None
        assert not ahead.ended
        with pytest.raises(OSError, match="no"):
            ahead.get(0)
        assert ahead.ended


def test_leaving_early_leaves_no_thread_behind() -> None:
    with ReadAhead(iter(range(1000)), 1, "left"):
        pass
    wait_until(lambda: is_over("left"))


@given(lines=st.lists(st.sampled_from([b"", b"a", b"b" * 100, b"c" * 3_000_000]), max_size=9), last=st.booleans())
@settings(deadline=None, max_examples=30)
def test_lines_are_whole_however_long_they_are(lines: list[bytes], *, last: bool) -> None:
    sent = b"".join(line + b"\n" for line in lines)
    with tempfile.TemporaryFile() as file:
        file.write(sent + (b"the last one" if last else b""))
        file.seek(0)
        texts = list(read_lines(file.fileno()))
    whole = texts[:-1] if last else texts
    assert b"".join(texts) == sent + (b"the last one" if last else b"")
    assert all(text.endswith(b"\n") for text in whole)
    assert texts == [] or not last or texts[-1] == b"the last one"


def test_whole_lines_are_passed_on_while_the_rest_of_another_is_awaited() -> None:
    out, into = os.pipe()
    with os.fdopen(out, "rb") as source, os.fdopen(into, "wb", buffering=0) as tap:
        blocks = filter(None, blocks_of(source))
        tap.write(b"one\ntw")
        assert next(blocks) == b"one\n"
        tap.write(b"o")
        tap.write(b"\nthree")
        assert next(blocks) == b"two\n"
        tap.close()
        assert list(blocks) == [b"three"]


def test_lines_before_a_failure_of_the_input_are_passed_on_first() -> None:
    def items() -> Iterator[bytes]:
        yield b"one\n"
        yield b"two\n"
        msg = "no"
        raise StreamError(msg)

    with ReadAhead(items(), 4, "lines") as ahead:
        wait_until(lambda: is_over("lines"))
        assert joined_blocks(ahead) == b"one\ntwo\n"
        with pytest.raises(StreamError):
            joined_blocks(ahead)


def test_data_that_trickles_through_a_pipe_is_passed_on_together() -> None:
    out, into = os.pipe()
    with os.fdopen(out, "rb") as source, os.fdopen(into, "wb", buffering=0) as tap:
        sent = b"".join(b"%d\n" % number for number in range(100_000))

        def write() -> None:
            for start in range(0, len(sent), 1000):
                tap.write(sent[start : start + 1000])
            tap.close()

        threading.Thread(target=write).start()
        blocks = list(filter(None, blocks_of(source)))
    assert b"".join(blocks) == sent
    assert len(blocks) < len(sent) / 1000
