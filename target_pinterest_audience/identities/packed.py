"""The packed form of identities, in memory and in the ledger. Pure.

It takes half the space of the text that Pinterest gets, and is faster to create and compare.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from target_pinterest_audience.vocabulary import WireFormat

_DIGEST_BYTES: Final = frozenset({16, 20, 32})
_DIGEST_DIGITS: Final = frozenset(2 * size for size in _DIGEST_BYTES)
_KEY_BYTES: Final = min(_DIGEST_BYTES)
LONGEST_DIGEST: Final = max(_DIGEST_BYTES)
"""The size of a SHA-256 digest in bytes. Nearly all identities are SHA-256 digests."""
DIGEST_IN_RECORDS: Final = 2 * LONGEST_DIGEST + 1
"""The size of such a digest in the body of a request, with a separator after it."""
_FILL: Final = b"\0"
_PHONE: Final = b"\x01"
"""The first byte of a packed phone number: its digest alone could be that of an address, which is sent differently."""
_PHONE_BYTES: Final = frozenset(len(_PHONE) + size for size in _DIGEST_BYTES)

KEY_TAGS: Final[Mapping[int, bytes]] = MappingProxyType({20: b"\x01", 16: b"\x02"})
"""Size of a digest in bytes → the first byte of its member key: an MD5 digest that equals the first half of a SHA-256
digest is a different identity. Keys of SHA-256 digests have no tag, so nearly all keys are one byte shorter."""
PHONE_KEY_TAGS: Final[Mapping[int, bytes]] = MappingProxyType({33: b"\x03", 21: b"\x04", 17: b"\x05"})
"""Size of a packed phone number in bytes → the first byte of its member key."""

_PHONE_FIELD: Final = "hashed_phone_number"
"""The field of a row in `records_v2` (API description 5.28)."""
_PHONE_ROW_BYTES: Final = len(msgspec.json.encode({_PHONE_FIELD: ""})) + 1
"""The size of a row without its digest, with a separator after it."""

Records = str | list[dict[str, str]]
"""Identities in the body of a request; the type tells the wire format."""


def pack_identity(identity: str, wire: WireFormat = WireFormat.RECORDS) -> bytes:
    """Return the packed form of an identity.

    That is the bytes of a digest, or a NUL and the text of an opaque id. The digest of a phone number follows a byte
    that tells it from other digests, so that whoever has an identity knows how to send it.

    Args:
        identity: the identity as Pinterest gets it. Only digests are sent as phone numbers.
        wire: how its type is sent.
    """
    if wire is WireFormat.PHONES:
        return pack_phone(bytes.fromhex(identity))
    if len(identity) in _DIGEST_DIGITS:
        try:
            packed = bytes.fromhex(identity)
        except ValueError:
            packed = b""
        # Upper case and blanks would be lost.
        if packed.hex() == identity:
            return packed
    packed = _FILL + identity.encode()
    return packed + _FILL if len(packed) in _DIGEST_BYTES else packed


def pack_phone(digest: bytes) -> bytes:
    """Return the packed form of a phone number.

    Args:
        digest: the bytes of its digest.
    """
    return _PHONE + digest


def unpack_identity(packed: bytes) -> str:
    """Return the text of an identity, as Pinterest gets it."""
    if len(packed) in _DIGEST_BYTES:
        return packed.hex()
    return packed[len(_PHONE) :].hex() if _is_phone(packed) else packed.strip(_FILL).decode()


def wire_of(packed: bytes) -> WireFormat:
    """Return how an identity is sent."""
    return WireFormat.PHONES if _is_phone(packed) else WireFormat.RECORDS


def split_by_wire(packed: Sequence[bytes]) -> dict[WireFormat, Sequence[int]]:
    """Return wire format → the indices of the identities that are sent in it, in ascending order."""
    if _DIGEST_BYTES.issuperset(map(len, packed)):
        return {WireFormat.RECORDS: range(len(packed))} if packed else {}
    indices: dict[WireFormat, Sequence[int]] = {
        WireFormat.RECORDS: [index for index, each in enumerate(packed) if not _is_phone(each)],
        WireFormat.PHONES: [index for index, each in enumerate(packed) if _is_phone(each)],
    }
    return {wire: some for wire, some in indices.items() if some}


def as_records(packed: Collection[bytes]) -> Records:
    """Return identities of one wire format as Pinterest gets them in a request.

    Returns:
        One text with commas between them (API description 5.23); or a row for each phone number (API description 5.28).
    """
    if _are_long_digests(packed):
        return b"".join(packed).hex(",", LONGEST_DIGEST)
    if _are_phones(packed):
        return [{_PHONE_FIELD: each[1:].hex()} for each in packed]
    return ",".join(map(unpack_identity, packed))


def size_in_records(packed: Collection[bytes]) -> int:
    """Return the size of identities of one wire format in the body of a request, in bytes, with a separator each."""
    if _are_long_digests(packed):
        return len(packed) * DIGEST_IN_RECORDS
    if _are_phones(packed):
        return len(packed) * (_PHONE_ROW_BYTES - 2 * len(_PHONE)) + 2 * sum(map(len, packed))
    return len(msgspec.json.encode(as_records(packed))) - 1


def member_key(packed: bytes) -> bytes:
    """Return the key of an identity as a member of a list: 16 bytes of a digest, after a tag unless it is a SHA-256.

    Keys of different algorithms differ, and so do the keys of a digest and of a truncated one, and those of a phone
    number and of another identity with the same digest.
    """
    size = len(packed)
    if size == LONGEST_DIGEST:
        return packed[:_KEY_BYTES]
    if _is_phone(packed):
        return PHONE_KEY_TAGS[size] + packed[len(_PHONE) : len(_PHONE) + _KEY_BYTES]
    return KEY_TAGS[size] + packed[:_KEY_BYTES] if size in KEY_TAGS else packed


def member_keys(packed: Collection[bytes]) -> list[bytes]:
    """Return the member keys of many identities."""
    if _are_long_digests(packed):
        return [identity[:_KEY_BYTES] for identity in packed]
    return list(map(member_key, packed))


def _is_phone(packed: bytes) -> bool:
    # An opaque id of the same size begins with another byte.
    return len(packed) in _PHONE_BYTES and packed.startswith(_PHONE)


def _are_phones(packed: Collection[bytes]) -> bool:
    """Return whether identities of one wire format are phone numbers."""
    return _is_phone(next(iter(packed), b""))


def _are_long_digests(packed: Collection[bytes]) -> bool:
    return {LONGEST_DIGEST} == set(map(len, packed))
