"""Finds a person in the ledger: on which lists, by how many rows, and whether `forget` keeps them out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from target_pinterest_audience.identities.packed import member_key
from target_pinterest_audience.membership.counts import NOBODY

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.lists import ListEntry
    from target_pinterest_audience.ledger.ledger import Ledger


class Presence(NamedTuple):
    """What the ledger knows about a person on one list."""

    entry: ListEntry
    on_list: bool
    """Whether the person belongs on the list."""
    contributing: int
    """How many rows contribute the person."""
    refusing: int
    """How many rows refuse the person or hold them out."""
    pending: int
    """How many of the person's identities a run has noted, and Pinterest has not accepted yet."""


class Person(NamedTuple):
    """What the ledger knows about a person."""

    suppressed: bool
    """Whether `forget` keeps the person out."""
    presences: tuple[Presence, ...]
    """The lists for which the ledger knows the person."""


def find_person(ledger: Ledger, forms: Collection[bytes]) -> Person:
    """Find a person in the ledger, by the indexes of it alone.

    Args:
        ledger: the ledger.
        forms: all forms in which a list may contain the person, packed.
    """
    keys = frozenset(map(member_key, forms))
    suppressed = ledger.catalogue.suppressions.among(keys)
    return Person(bool(suppressed), tuple(_presences(ledger, frozenset(forms), keys, suppressed)))


def count_people(ledger: Ledger, people: Sequence[Collection[bytes]]) -> dict[int, int]:
    """Return list → how many of some people are on it, or may be, according to the ledger. Others are left out.

    Args:
        ledger: the ledger.
        people: all forms in which a list may contain each person, packed.
    """
    keys_of = [frozenset(map(member_key, forms)) for forms in people]
    keys = frozenset[bytes]().union(*keys_of)
    found: dict[int, int] = {}
    for entry in ledger.catalogue.lists.all():
        there = {key for key, count in ledger.members.read(entry.number, keys).items() if count.on_list}
        for _, named in ledger.notes.unsettled(entry.number):
            there |= keys.intersection(map(member_key, named))
        count = sum(not there.isdisjoint(each) for each in keys_of)
        if count:
            found[entry.number] = count
    return found


def _presences(
    ledger: Ledger, forms: frozenset[bytes], keys: frozenset[bytes], suppressed: frozenset[bytes]
) -> Iterator[Presence]:
    for entry in ledger.catalogue.lists.all():
        counts = ledger.members.read(entry.number, keys)
        contributing = sum(count.contributors for count in counts.values())
        # A refusal counts once under each hash algorithm, and a suppression counts as one more.
        refusing = max((counts.get(key, NOBODY).refusers - (key in suppressed) for key in keys), default=0)
        pending = len({each for _, named in ledger.notes.unsettled(entry.number) for each in forms.intersection(named)})
        if contributing or refusing > 0 or pending:
            on_list = any(count.on_list for count in counts.values())
            yield Presence(entry, on_list, contributing, max(refusing, 0), pending)
