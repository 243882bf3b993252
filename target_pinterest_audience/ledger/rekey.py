"""Brings the member keys of an older ledger up to date, as part of its migration.

Older versions kept 16 bytes of every digest, so that an MD5 digest and a SHA-256 digest that begins with it were one
member. What rows say holds the whole digests, so the counts can be told apart again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.membership import Stance, Statement, change_of, statements
from target_pinterest_audience.packed import KEY_TAGS, LONGEST_DIGEST, member_key

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.ledger.query import Query

_PAGE_ROWS: Final = 50_000
_OLD_KEY_BYTES: Final = 16


class _Member(NamedTuple):
    list_number: int
    identity: bytes


def rekey(ledger: Ledger, query: Query) -> None:
    """Give members and suppressions the keys of this version, within the transaction of the migration.

    Args:
        ledger: the ledger, whose tables are those of this version.
        query: runs statements in it.
    """
    contributors: Counter[_Member] = Counter()
    refusers: Counter[_Member] = Counter()
    for statement in _statements(query):
        if len(statement.identity) in KEY_TAGS:
            member, change = _Member(statement.list_number, statement.identity), change_of(statement)
            contributors[member] += change.contributors
            refusers[member] += change.refusers
    shared = [member for member in sorted(contributors) if _move(query, member, contributors[member], refusers[member])]
    query("DELETE FROM members WHERE contributors = 0 AND refusers = 0")
    _resend(ledger, query, shared)
    _tag_suppressions(query)


def _statements(query: Query) -> Iterator[Statement]:
    """Yield all that rows say of identities as they are sent."""
    after = b""
    while found := query(
        "SELECT row_key, says FROM row_says WHERE row_key > ? ORDER BY row_key LIMIT ?", after, _PAGE_ROWS
    ):
        for _, said in found:
            yield from (each for each in statements(bytes(said)) if each.stance != Stance.ASKED)
        after = bytes(found[-1][0])


def _move(query: Query, member: _Member, contributors: int, refusers: int) -> bool:
    """Count a member under its new key; return whether somebody else was counted under its old one."""
    number, identity = member
    old = identity[:_OLD_KEY_BYTES]
    query(
        "UPDATE members SET contributors = contributors - ?, refusers = refusers - ? WHERE list = ? AND identity = ?",
        contributors, refusers, number, old,
    )  # fmt: skip
    query(
        "INSERT INTO members (list, identity, contributors, refusers) VALUES (?, ?, ?, ?)",
        number, member_key(identity), contributors, refusers,
    )  # fmt: skip
    return bool(query("SELECT 1 FROM members WHERE list = ? AND identity = ? AND contributors > 0", number, old))


def _resend(ledger: Ledger, query: Query, shared: list[_Member]) -> None:
    """Have those sent again who were counted as one with somebody else: only one of them was."""
    if not shared:
        return
    old = {_Member(number, identity[:_OLD_KEY_BYTES]) for number, identity in shared}
    both = set(shared)
    for statement in _statements(query):
        number, identity = statement.list_number, statement.identity
        if len(identity) == LONGEST_DIGEST and (number, identity[:_OLD_KEY_BYTES]) in old:
            both.add(_Member(number, identity))
    for number in sorted({each.list_number for each in both}):
        ledger.note_unsettled(number, sorted(each.identity for each in both if each.list_number == number))


def _tag_suppressions(query: Query) -> None:
    """Keep whoever was forgotten out under every algorithm: a suppression of 16 bytes does not say which it was."""
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
