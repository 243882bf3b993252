"""Settling: keeps the table `seen_keys` small, at about one key for each row.

If every run left its keys there, the table would grow by 16 bytes a row with each run. So before a run of `overwrite`
marks rows, the keys of older runs are folded: a row that a newer run saw needs no older mark, and the few others, which
have vanished, are marked one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.ledger.marks.seen_keys import END, KeysInOrder, unpack

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger

_STEP_PIECES: Final = 64
"""How many pieces one transaction folds, about."""

_MOST_PARTIAL: Final = 50
"""How many runs that saw less than half of the rows keep their keys, so that there are not very many small pieces."""


def foldable(sizes: Mapping[int, int]) -> list[int]:
    """Return the marks whose keys should be folded, oldest first.

    The newest run that saw most rows keeps its keys, and so do later runs that saw fewer, such as runs that were cut
    short: to fold them would mark many rows one by one, and the next complete run makes them needless. Only if they
    together have more keys than that run, they are folded, too.

    Args:
        sizes: mark → how many keys have it.
    """
    most = max(sizes.values(), default=0)
    kept = max((mark for mark, size in sizes.items() if size * 2 >= most), default=0)
    partial = [mark for mark in sizes if mark > kept]
    if len(partial) > _MOST_PARTIAL or sum(sizes[mark] for mark in partial) > most:
        return sorted(mark for mark in sizes if mark != kept)
    return sorted(mark for mark in sizes if mark < kept)


def settle(ledger: Ledger, source: int) -> None:
    """Fold the keys of older runs, in transactions of its own. It goes on where a process was killed.

    Args:
        ledger: the ledger.
        source: the source, whose lock is held.

    Raises:
        LedgerError: the ledger cannot be written.
    """
    for reader in ledger.rows.seen_keys.readers(source):
        for mark in foldable(ledger.rows.seen_keys.sizes(source, reader)):
            _fold(ledger, source, reader, mark)


def _fold(ledger: Ledger, source: int, reader: int, mark: int) -> None:
    """Give the keys of a mark that have no newer one to their rows, in steps in the order of the keys."""
    seen_keys = ledger.rows.seen_keys

    def passes() -> tuple[KeysInOrder, KeysInOrder]:
        return seen_keys.in_order(source, reader, mark, mark), seen_keys.in_order(source, reader, mark + 1)

    old, newer = passes()

    def begin_again() -> None:
        # Marks only grow, so what earlier steps did may be done once more.
        nonlocal old, newer
        old, newer = passes()

    def step(after: bytes) -> bytes | None:
        behind = seen_keys.first_key_behind(source, reader, mark, after, _STEP_PIECES)
        keys: set[bytes] = set()
        for part in old.up_to(behind or END):
            keys.update(unpack(part))
        for part in newer.up_to(behind or END):
            keys.difference_update(unpack(part))
        if keys:
            ledger.rows.mark_seen(mark, keys, reader)
        seen_keys.drop(source, reader, mark, old.take_finished())
        return behind

    after: bytes | None = b""
    while after is not None:
        after = ledger.transact(partial(step, after), begin_again)


def forget_deleted(ledger: Ledger, source: int) -> None:
    """Delete the keys of rows that the ledger does not know any more, within a transaction of the caller.

    Runs leave such keys until later runs fold them. A command that erases people must not, since no run may follow.

    Args:
        ledger: the ledger.
        source: the source of the rows.
    """
    seen_keys = ledger.rows.seen_keys
    for reader in seen_keys.readers(source):
        for page in seen_keys.pages(source, reader):
            known = ledger.rows.marks({key for piece in page for key in unpack(piece.keys)})
            for piece in page:
                left = b"".join([key for key in unpack(piece.keys) if key in known])
                if len(left) < len(piece.keys):
                    seen_keys.replace(source, reader, piece, left)
