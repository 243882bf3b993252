"""Absorbs a window: looks its rows up in the ledger and writes what they say now, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.membership.events import Kind
from target_pinterest_audience.membership.statements import (
    Stance,
    count_all_statements,
    count_statements,
    statements,
)
from target_pinterest_audience.reconcile.sources.source_run import SourceRun
from target_pinterest_audience.reconcile.windows.changes import IdentityChanges
from target_pinterest_audience.reconcile.windows.decisions import Decisions

if TYPE_CHECKING:
    from target_pinterest_audience.reconcile.windows.window import Stretch, Window


_LASTING: Final = frozenset({Stance.REFUSES, Stance.HOLDS_OUT})
"""What the record of a keyless row says until the end of the run, whatever other records with the same person say."""


class Absorbed(NamedTuple):
    """The result of a window."""

    decisions: Decisions
    all_new: bool
    """Whether the ledger knew none of its rows. Then the rows of the next window are probably new, too."""


class NewRows:
    """The changes of a window, on the assumption that all of its rows are new."""

    def __init__(
        self,
        source: int,
        says: Mapping[bytes, bytes],
        ruled: AbstractSet[bytes],
        changes: IdentityChanges,
        prepared: object,
    ) -> None:
        """Keep what `suppose_new` prepared.

        Args:
            source: the source of the rows.
            says: row → its statements after its event, encoded.
            ruled: the rows that `_ruled_in_this_run` must find again.
            changes: what these statements do to identities.
            prepared: see `Rows.prepare`.
        """
        self._source = source
        self._says = says
        self._ruled = ruled
        self._changes = changes
        self._prepared = prepared

    def write(self, ledger: Ledger, sources: Mapping[int, SourceRun]) -> Decisions | None:
        """Write the rows, within a transaction of the caller.

        Args:
            ledger: the ledger.
            sources: see `absorb`.

        Returns:
            What to send; None if the ledger knows one of the rows, in which case nothing was written.
        """
        source = sources[self._source]
        mark = source.mark if 0 in source.readers else 0
        if not ledger.rows.insert(self._source, mark, self._says, self._prepared):
            return None
        _mark(ledger, source, self._says, self._says.keys(), self._ruled)
        return self._changes.write(ledger)


def suppose_new(ledger: Ledger, window: Window, shorten: Callable[[bytes], bytes]) -> NewRows | None:
    """Prepare to write a window without looking its rows up; return None if they cannot all be new.

    The ledger may be at work on the window before it.

    Args:
        ledger: the ledger.
        window: the events.
        shorten: returns the keyed digest of an identity.
    """
    says = window.only_final_states()
    if says is None:
        return None
    changes = IdentityChanges(window, shorten)
    changes.note_new(range(len(window)))
    changes.prepare(ledger)
    (source,) = window.sources
    return NewRows(source, says, _ruled(window, window.stretches()), changes, ledger.rows.prepare(source, says))


def absorb(
    ledger: Ledger, sources: Mapping[int, SourceRun], shorten: Callable[[bytes], bytes], window: Window
) -> Absorbed:
    """Write what the events of a window change, within a transaction of the caller.

    Args:
        ledger: the ledger.
        sources: the sources of the run, by their numbers. Rows of other sources are not marked as seen.
        shorten: returns the keyed digest of an identity.
        window: the events.

    Returns:
        What to send.
    """
    changes = IdentityChanges(window, shorten, {number for number, source in sources.items() if source.is_first})
    says, others = window.split()
    differing = ledger.rows.differing(says)
    before = differing | ledger.rows.read(others)
    events = dict(others)
    if differing:
        # In most windows of most runs, no row differs.
        events.update((row, [index]) for index, row in enumerate(window.rows) if row in differing)
    _count_unchanged(window, {index for indices in events.values() for index in indices})
    new = [indices[0] for row, indices in events.items() if row not in others and not before[row]]
    changes.note_new(new)
    now = {window.rows[index]: says[window.rows[index]] for index in new}
    rest = {row: indices for row, indices in events.items() if row not in now}
    changes.compare(rest, before, sources)
    lasting = _ruled_in_this_run(ledger, window, rest, before, sources)
    for row, indices in rest.items():
        now[row] = changes.follow(before.get(row, b""), indices, lasting=row in lasting)
    changed = {row: said for row, said in now.items() if said != before.get(row, b"")}
    _write_rows(ledger, sources, window, changed)
    return Absorbed(changes.write(ledger), all_new=len(new) == len(window))


def _ruled_in_this_run(
    ledger: Ledger,
    window: Window,
    events: Mapping[bytes, list[int]],
    before: Mapping[bytes, bytes],
    sources: Mapping[int, SourceRun],
) -> set[bytes]:
    """Return the keyless rows that a record of this run has refused or held out: no other record may lift that.

    `_mark` marked each of them at that record.
    """
    ruled: set[bytes] = set()
    for source in sources.values() if window.has_keyless_rows else ():
        rows = [
            row
            for row, indices in events.items()
            for plan in [window.origin(indices[0]).plan]
            if plan.source == source.source
            and not plan.keyed
            and any(each.stance in _LASTING for each in statements(before.get(row, b"")))
        ]
        if rows:
            # The set of readers may have changed since the rows were marked.
            for reader in sorted({0} | source.readers):
                marks = ledger.rows.marks(rows, reader)
                ruled.update(row for row, mark in marks.items() if mark == source.mark)
    return ruled


def _count_unchanged(window: Window, others: Collection[int]) -> None:
    """Count the statements that rows repeat, except those of the events with the given indices."""
    for index in window.held.difference(others):
        window.tally(index).held_out += count_statements(window.final_states[index] or b"")
    others = window.held.union(others)
    for part in window.stretches():
        final_states = window.final_states[part.start : part.stop]
        if others:
            final_states = [each for index, each in enumerate(final_states, part.start) if index not in others]
        part.tally.unchanged += count_all_statements(cast("list[bytes]", final_states))


def _write_rows(
    ledger: Ledger, sources: Mapping[int, SourceRun], window: Window, changed: Mapping[bytes, bytes]
) -> None:
    """Write the statements of changed rows, and mark rows as seen."""
    for number in window.sources:
        source = sources.get(number) or SourceRun(number)
        parts = [part for part in window.stretches() if part.origin.plan.source == number]
        rows = [row for part in parts for row in window.rows[part.start : part.stop]]
        changed_here = {row: changed[row] for row in rows if row in changed}
        ledger.rows.write(number, source.mark if 0 in source.readers else 0, changed_here)
        _mark(ledger, source, _known(window, parts), changed_here.keys(), _ruled(window, parts))


def _known(window: Window, parts: Iterable[Stretch]) -> list[bytes]:
    """Return the rows of the events of some stretches, except those that say nothing: the ledger does not know them."""
    rows: list[bytes] = []
    for part in parts:
        of_part, states = window.rows[part.start : part.stop], window.final_states[part.start : part.stop]
        if b"" in states:
            of_part = [row for row, state in zip(of_part, states, strict=True) if state != b""]
        rows += of_part
    return rows


def _ruled(window: Window, parts: Iterable[Stretch]) -> set[bytes]:
    """Return the keyless rows among the events of some stretches that are refused or held out."""
    ruled: set[bytes] = set()
    for part in parts:
        if part.origin.kind is Kind.REFUSED and not part.origin.plan.keyed:
            ruled.update(window.rows[part.start : part.stop])
        if part.origin.plan.holdout is not None and not part.origin.plan.keyed:
            ruled.update(window.rows[index] for index in window.held if part.start <= index < part.stop)
    return ruled


def _mark(
    ledger: Ledger, source: SourceRun, rows: Collection[bytes], changed: AbstractSet[bytes], ruled: AbstractSet[bytes]
) -> None:
    """Mark rows of a window as seen by the readers of their source.

    Args:
        ledger: the ledger.
        source: the source.
        rows: its rows in the window that the ledger knows; `overwrite` marks those, too, that did not change.
        changed: the rows that were written, and marked for reader 0 thereby.
        ruled: the rows that `_ruled_in_this_run` must find again.
    """
    noted = set(rows) - ruled if source.overwrites else set[bytes]()
    others = ruled if source.overwrites else ruled | changed
    for reader in sorted(source.readers):
        marked = changed if reader == 0 else set[bytes]()
        ledger.rows.mark_seen(source.mark, others - marked, reader)
        ledger.rows.note_seen(source.source, source.mark, noted - marked, reader)
