"""Replaces the member keys of an older ledger, as part of its migration.

Older versions kept 16 bytes of every digest, so that an MD5 digest and a SHA-256 digest that begins with it counted as
one member. What rows say holds the whole digests, so the counts can be separated again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.identities.packed import KEY_TAGS, member_key
from target_pinterest_audience.ledger.notes import Notes
from target_pinterest_audience.membership.counts import NOBODY, Count, change_of
from target_pinterest_audience.membership.statements import Stance, Statement, statements

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query

_PAGE_ROWS: Final = 50_000
_OLD_KEY_BYTES: Final = 16


class _Member(NamedTuple):
    list_number: int
    identity: bytes


def rekey(query: Query) -> None:
    """Give members and suppressions the keys of this version.

    Args:
        query: runs statements; called within the transaction of the migration, when the tables are of this version.
    """
    for page in _pages(query):
        changes: defaultdict[_Member, Count] = defaultdict(lambda: NOBODY)
        for statement in page:
            if len(statement.identity) in KEY_TAGS:
                member, change = _Member(statement.list_number, statement.identity), change_of(statement)
                before = changes[member]
                changes[member] = Count(before.contributors + change.contributors, before.refusers + change.refusers)
        for member, count in changes.items():
            _move(query, member, count)
    query("DELETE FROM members WHERE contributors = 0 AND refusers = 0")
    _resend(query)
    _tag_suppressions(query)


def _pages(query: Query) -> Iterator[list[Statement]]:
    """Yield what rows say about identities that can be sent, page by page."""
    after = b""
    while found := query(
        "SELECT row_key, says FROM row_says WHERE row_key > ? ORDER BY row_key LIMIT ?", after, _PAGE_ROWS
    ):
        yield [each for _, said in found for each in statements(bytes(said)) if each.stance != Stance.ASKED]
        after = bytes(found[-1][0])


def _move(query: Query, member: _Member, count: Count) -> None:
    """Move the counts of a member from its old key to its new one."""
    number, identity = member
    query(
        "UPDATE members SET contributors = contributors - ?, refusers = refusers - ? WHERE list = ? AND identity = ?",
        *count, number, identity[:_OLD_KEY_BYTES],
    )  # fmt: skip
    query(
        "INSERT INTO members (list, identity, contributors, refusers) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (list, identity) DO UPDATE SET contributors = members.contributors + excluded.contributors, "
        "refusers = members.refusers + excluded.refusers",
        number, member_key(identity), *count,
    )  # fmt: skip


def _resend(query: Query) -> None:
    """Note identities that were counted as one member, so that they are sent again: only one of them was."""
    found = query(
        "SELECT tagged.list, tagged.identity FROM members AS tagged JOIN members AS plain ON plain.list = tagged.list "
        "AND plain.identity = substr(tagged.identity, 2) "
        "WHERE length(tagged.identity) = ? AND tagged.contributors > 0 AND plain.contributors > 0",
        _OLD_KEY_BYTES + 1,
    )
    keys = {(number, bytes(key)) for number, key in found}
    keys |= {(number, key[1:]) for number, key in keys}
    both: set[_Member] = set()
    for page in _pages(query) if keys else ():
        both.update(
            _Member(each.list_number, each.identity)
            for each in page
            if (each.list_number, member_key(each.identity)) in keys
        )
    notes = Notes(query)
    for number in sorted({each.list_number for each in both}):
        notes.add(number, sorted(each.identity for each in both if each.list_number == number))


def _tag_suppressions(query: Query) -> None:
    """Suppress forgotten people under every algorithm, because 16 bytes do not show which one was used."""
    found = query("SELECT realm, identity, since FROM suppressions")
    for realm, key, since in [(realm, bytes(key), since) for realm, key, since in found]:
        for tag in KEY_TAGS.values() if len(key) == _OLD_KEY_BYTES else ():
            query(
                "INSERT INTO suppressions (realm, identity, since) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                realm, tag + key, since,
            )  # fmt: skip
            query(
                "INSERT INTO members (list, identity, contributors, refusers) SELECT list, ?, 0, 1 FROM lists "
                "WHERE realm = ? ON CONFLICT (list, identity) DO UPDATE SET refusers = members.refusers + 1",
                tag + key, realm,
            )  # fmt: skip
