"""Lost columns: identity columns that a source no longer has, and whose people stay on its lists until someone acts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.membership.statements import CLAIMS, statements
from target_pinterest_audience.text.near import nearest

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.slots import StreamSlot
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.membership.events import Slot

_PAGE_ROWS: Final = 50_000


def lost_slots(known: Iterable[StreamSlot], before: int) -> frozenset[int]:
    """Return the slots of a source that no stream has had since a run.

    Args:
        known: the slots by which its streams fed a reader's lists.
        before: the mark of the run.
    """
    newest: dict[int, int] = {}
    for each in known:
        newest[each.slot] = max(each.mark, newest.get(each.slot, 0))
    return frozenset(slot for slot, mark in newest.items() if mark < before)


def stranded(former: Collection[int], present: Collection[int], columns: Mapping[int, Slot]) -> list[int]:
    """Return the slots whose identities no record of a stream can replace any more.

    A record replaces what its row said in a column of the same name or of the same type.

    Args:
        former: the slots that the stream had.
        present: the slots that it has.
        columns: slot number → the slot.
    """
    names = {columns[slot].column for slot in present}
    types = {columns[slot].type for slot in present}
    return sorted(
        slot
        for slot in former
        if slot not in present and columns[slot].column not in names and columns[slot].type not in types
    )


def slots_of(said: bytes, lists: Collection[int], stances: Collection[int] = CLAIMS) -> set[int]:
    """Return the slots of a row's statements about some lists.

    Args:
        said: what the row says, encoded.
        lists: the lists.
        stances: what the statements say. By default, that the row contributes, or would if it were not held out.
    """
    return {each.slot for each in statements(said) if each.stance in stances and each.list_number in lists}


def still_used(
    ledger: Ledger, source: int, slots: Collection[int], lists: Collection[int], stances: Collection[int]
) -> set[int]:
    """Return which of some slots any row of a source has statements of; see `slots_of`."""
    missing, found, after = set(slots), set[int](), b""
    while missing and (page := ledger.rows.of_source(source, after, _PAGE_ROWS)):
        for _, said in page:
            found |= slots_of(said, lists, stances) & missing
        missing -= found
        after = page[-1][0]
    return found


def explain(stream: str, lost: Collection[Slot], properties: Iterable[str], *, removes: bool) -> str:
    """Return sentences about the lost columns of a stream, and about columns that they may have been renamed to.

    Args:
        stream: its name.
        lost: the columns that the stream no longer has, or that the settings no longer name.
        properties: the columns in its SCHEMA that are neither identity columns nor a part of the key.
        removes: whether the stream keeps people off its lists.
    """
    names = ", ".join(sorted({each.column for each in lost}))
    did = "kept people off its lists by" if removes else "put people on its lists from"
    what = f"Stream {stream} {did} the columns ({names}), which are no longer identity columns."
    hints = []
    for each in lost:
        # The column that a path leads into is there, and holds no identity itself.
        candidates = [name for name in properties if not each.column.startswith((f"{name}.", f"{name}["))]
        near = each.column if each.column in candidates else nearest(each.column, candidates)
        if near is not None:
            hints.append(f'`identity_columns: {{"{near}": "{each.type}"}}`')
    return f"{what} If a column was renamed, map it: {', '.join(hints)}." if hints else what
