"""The hold-out: a stable share of people who are kept off the lists, to measure what the ads achieve. Pure.

The choice depends only on an identity as it is sent, and on a salt. So it is the same in every run, on every machine,
and in a query of a warehouse.
"""

from __future__ import annotations

import hashlib
from binascii import hexlify
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from target_pinterest_audience.identities.packed import LONGEST_DIGEST, unpack_identity
from target_pinterest_audience.identities.types import IDENTITY_TYPES, IdentityType

_RANKS: Final[Mapping[str, int]] = {
    name: rank for rank, name in enumerate(dict.fromkeys(("EMAIL", "PHONE", *IDENTITY_TYPES)))
}
"""Type of identity → its place in the order in which a row's identities decide."""

_BYTES: Final = 4
"""How many bytes of the digest become the number: the first eight hex digits, a number that every database can take."""
_HUNDRED: Final = 100


@dataclass(frozen=True, slots=True)
class HoldOut:
    """The hold-out of a stream.

    A person is held out if the first eight hex digits of SHA-256(`salt:identity`), taken as a number, leave a remainder
    below the percentage when divided by 100. So everyone who is held out at 10 % is held out at 20 %, too.

    Attributes:
        percent: the share of people who are held out.
        salt: the salt. Another salt chooses other people.
    """

    percent: int
    salt: str
    _prefix: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare what comes before each identity."""
        object.__setattr__(self, "_prefix", f"{self.salt}:".encode())

    def chooses(self, identity: bytes) -> bool:
        """Return whether the person with a packed identity is held out."""
        return bool(self.choose([identity]))

    def choose(self, identities: Sequence[bytes | None]) -> list[int]:
        """Return the indices of the packed identities whose person is held out, in ascending order."""
        prefix, percent, sha256, number = self._prefix, self.percent, hashlib.sha256, int.from_bytes
        return [
            index
            for index, identity in enumerate(identities)
            if identity is not None
            and number(sha256(prefix + _text(identity)).digest()[:_BYTES], "big") % _HUNDRED < percent
        ]


def _text(identity: bytes) -> bytes:
    return hexlify(identity) if len(identity) == LONGEST_DIGEST else unpack_identity(identity).encode()


def deciding_rank(kind: str, column: str) -> tuple[int, str]:
    """Return the place of a column in the order in which a row's identities decide whether its person is held out.

    E-mail addresses come first, then phone numbers, then the other types in the order of the table of types. Columns of
    one type come in the order of their names, which does not depend on the order of a schema.

    Args:
        kind: the name of the column's type.
        column: the column.
    """
    return _RANKS.get(kind, len(_RANKS)), column


def deciding_order(columns: Mapping[str, IdentityType]) -> list[str]:
    """Return identity columns in the order in which they decide.

    Args:
        columns: identity column → its type.
    """
    return sorted(columns, key=lambda column: deciding_rank(columns[column].name, column))


def first_identities(columns: Iterable[Sequence[bytes | None]]) -> Sequence[bytes | None]:
    """Return the first identity of each row, None for rows without any.

    Args:
        columns: the packed identities in each column, in the order in which the columns decide.
    """
    firsts: Sequence[bytes | None] = ()
    for at, column in enumerate(columns):
        if not at:
            firsts = column
        elif None in firsts:
            firsts = [other if first is None else first for first, other in zip(firsts, column, strict=True)]
    return firsts
