"""Outcomes: counts what came of the identities that the rows of a window name."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.membership.events import CONTRIBUTING, Event, Kind
from target_pinterest_audience.membership.statements import Stance, Statement, Statements

if TYPE_CHECKING:
    from target_pinterest_audience.identities.tally import StreamTally
    from target_pinterest_audience.reconcile.windows.decisions import Decisions

_REMOVING: Final = frozenset({Kind.DELETED, Kind.EXCLUDED, Kind.FORGOTTEN})


class Outcomes:
    """Counts the outcomes of the identities of one window in the tallies of their streams.

    The outcome of an identity that a row contributes is known only once it is decided what to send.
    """

    def __init__(self) -> None:
        """Begin without identities."""
        self._contributed: list[tuple[StreamTally, int, bytes]] = []
        """Tally, list and identity of what rows contribute in the end."""
        self._held_out: list[tuple[StreamTally, int]] = []
        """Tally and number of what new rows hold out."""

    def note_contributed(self, tally: StreamTally, number: int, identity: bytes) -> None:
        """Keep an identity that a row contributes to a list until `count`."""
        self._contributed.append((tally, number, identity))

    def note_held_out(self, tally: StreamTally, identities: int) -> None:
        """Keep so many identities of a new row that is held out until `count`: perhaps the row is not new."""
        self._held_out.append((tally, identities))

    def note_event(self, tally: StreamTally, event: Event, says: Statements, *, is_last: bool) -> None:
        """Count the identities in an event, or keep them until `count`.

        Args:
            tally: the tally of its stream.
            event: the event.
            says: the row's statements after all of its events.
            is_last: whether this is its last event.
        """
        if event.kind in _REMOVING:
            tally.named_for_removal += len(event.named)
            return
        if event.kind is Kind.REFUSED:
            tally.refused += len(event.named)
            return
        for number, slot, identity in event.named:
            said = Statement(number, slot, Stance.CONTRIBUTES, identity)
            if said._replace(stance=Stance.HOLDS_OUT) in says:
                tally.held_out += 1
            elif not is_last and said not in says:
                tally.duplicates += 1
            else:
                self.note_contributed(tally, number, identity)

    @staticmethod
    def is_overruled(tally: StreamTally, event: Event, says: Statements) -> bool:
        """Return whether an event of a keyless row has no effect, because another record of the run rules; count it.

        Of two keyless rows with the same person, the one that refuses or is held out wins.

        Args:
            tally: the tally of its stream.
            event: the event.
            says: what a record of this run made the row say.
        """
        stances = {each.stance for each in says}
        if event.kind is Kind.GRANTED and Stance.REFUSES in stances:
            tally.refused += len(event.named)
            return True
        if event.kind in CONTRIBUTING and not event.held and Stance.HOLDS_OUT in stances:
            tally.held_out += len(event.named)
            return True
        return False

    def count(self, decisions: Decisions, refused: Collection[tuple[int, bytes]]) -> None:
        """Count the identities that were kept.

        Args:
            decisions: what to send.
            refused: list and identity of those that a row refuses or holds out.
        """
        for tally, identities in self._held_out:
            tally.held_out += identities
        added: set[tuple[int, bytes]] = set()
        for tally, number, identity in self._contributed:
            if (number, identity) in added:
                tally.duplicates += 1
            elif (number, identity) in refused:
                tally.refused += 1
            elif number in decisions and identity in decisions[number].additions:
                added.add((number, identity))
                tally.added += 1
            else:
                tally.unchanged += 1
