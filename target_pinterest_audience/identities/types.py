"""The table of identity types: how each is found, normalised, checked and hashed. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from target_pinterest_audience.identities.emails import normalise_email, note_email, refuse_email
from target_pinterest_audience.identities.hashing import MD5_DIGITS, is_digest, is_hex
from target_pinterest_audience.identities.phones import read_phone
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.vocabulary import ListType, WireFormat

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch

_MOST_CHARACTERS: Final = 4096
"""A longer value cannot become short enough when it is normalised, and may be huge."""


class HashRule(Enum):
    """In which form a value of a type is sent."""

    HASH = "its digest; a value that is a digest already is sent unchanged"
    DIGEST_ONLY = "the digest that it must already be"
    OPAQUE = "itself: an id that only Pinterest and its issuer can interpret"


def _nothing_to_note(value: str) -> Remark | None:  # noqa: ARG001 - the other functions in its place use the value
    return None


@dataclass(frozen=True, slots=True)
class IdentityType:
    """One row of the table: how values of a type are found, normalised, checked and hashed."""

    name: str
    list_type: ListType
    default_columns: tuple[str, ...]
    """Names that hold this type and the row's own person. See `plain_name` for how names are compared."""
    normalise: Callable[[str], str]
    """Turns a trimmed value into the form that is hashed. Not used if there is `read`."""
    refuse: Callable[[str], Remark | None]
    """Returns what is wrong with a normalised value; None if it is valid."""
    hash_rule: HashRule
    md5_is_ambiguous: bool = False
    """Whether 32 hex digits could be a plain value of this type, so that only `hashing: prehashed` accepts them."""
    takes_integers: bool = False
    note: Callable[[str], Remark | None] = _nothing_to_note
    """Returns what is worth counting about a normalised value that the target hashes."""
    wire: WireFormat = WireFormat.RECORDS
    """How its identities are sent."""
    read: Callable[[str, str | None], str | Remark] | None = None
    """Turns a trimmed value and the country of its row into the form that is hashed, or returns what is wrong with it;
    for types whose values depend on a country. Then it replaces `normalise` and `refuse`."""

    def prepare(self, value: str, country: str | None) -> str | Remark:
        """Return a trimmed value in the form that is hashed; or what is wrong with it.

        Args:
            value: the value, which is no digest.
            country: the country of its row, as an ISO 3166 code; None if it is not known.
        """
        if self.read is not None:
            return self.read(value, country)
        normalised = self.normalise(value) if len(value) <= _MOST_CHARACTERS else value
        return self.refuse(normalised) or normalised


def _unchanged(value: str) -> str:
    return value


def _lower_unless_all_upper(value: str) -> str:
    return value if value.isupper() else value.lower()


def _note_mobile_id(value: str) -> Remark | None:
    return Remark.LOOKS_LIKE_IDFA if value.isupper() else None


def _refuse_device_id(value: str) -> Remark | None:
    if _UUID(value):
        return None
    return Remark.UUID_WITHOUT_DASHES if len(value) == MD5_DIGITS and is_hex(value) else Remark.NOT_A_UUID


def _refuse_opaque_id(value: str) -> Remark | None:
    # isprintable() is false for every character of Unicode category C or Z but the ASCII space.
    good = value.isprintable() and not any(c in value for c in ", @") and not _UUID(value)
    return None if good else Remark.NOT_AN_OPAQUE_ID


def _refuse_undigested(value: str) -> Remark | None:
    return None if is_digest(value) else Remark.NOT_A_DIGEST


_ROWS: Final = (
    IdentityType(
        "EMAIL", ListType.EMAIL,
        (
            "email", "email_address", "email_addr", "mail", "mail_address",
            "customer_email", "customer_email_address", "user_email", "user_email_address", "contact_email",
            "contact_email_address", "primary_email", "primary_email_address", "person_email", "personal_email",
            "client_email", "subscriber_email", "member_email", "shopper_email", "buyer_email",
            "hashed_email", "hashed_email_address", "email_hash", "email_hashed", "email_sha256", "sha256_email",
            "sha256_email_address", "email_address_sha256", "email_address_hash", "email_sha1", "sha1_email",
            "email_md5", "md5_email",
        ),
        normalise_email, refuse_email, HashRule.HASH, note=note_email,
    ),
    # Pinterest's help pages: IDFAs must be upper-case, Android ids lower-case, before they are hashed.
    IdentityType(
        "IDFA", ListType.IDFA,
        ("idfa", "ios_idfa", "apple_idfa", "ios_advertising_id", "hashed_idfa", "idfa_sha256", "sha256_idfa"),
        str.upper, _refuse_device_id, HashRule.HASH, md5_is_ambiguous=True,
    ),
    IdentityType(
        # `android_id` is another id, and `gps_adid` is what Adjust calls this one.
        "GAID", ListType.MAID,
        (
            "gaid", "aaid", "google_advertising_id", "google_ad_id", "android_advertising_id", "gps_adid",
            "hashed_gaid", "gaid_sha256", "sha256_gaid",
        ),
        str.lower, _refuse_device_id, HashRule.HASH, md5_is_ambiguous=True,
    ),
    IdentityType(
        "MAID", ListType.MAID,
        (
            "maid", "mobile_ad_id", "mobile_advertising_id", "mobile_advertiser_id", "device_advertising_id",
            "advertising_id", "hashed_maid", "maid_sha256", "sha256_maid",
        ),
        _lower_unless_all_upper, _refuse_device_id, HashRule.HASH, md5_is_ambiguous=True, note=_note_mobile_id,
    ),
    IdentityType(
        "PHONE", ListType.PHONE,
        (
            "phone", "phone_number", "phone_no", "mobile", "mobile_phone", "mobile_number", "mobile_phone_number",
            "cell", "cell_phone", "cellphone", "telephone", "telephone_number", "tel",
            "hashed_phone", "hashed_phone_number", "phone_hash", "phone_number_hash", "phone_sha256",
            "phone_number_sha256", "sha256_phone", "sha256_phone_number",
        ),
        _unchanged, _nothing_to_note, HashRule.HASH,
        takes_integers=True, wire=WireFormat.PHONES, read=read_phone,
    ),
    IdentityType(
        "LR_ID", ListType.LR_ID, ("lr_id", "liveramp_id", "ramp_id"),
        _unchanged, _refuse_opaque_id, HashRule.OPAQUE, takes_integers=True,
    ),
    IdentityType(
        "DLX_ID", ListType.DLX_ID, ("dlx_id",),
        _unchanged, _refuse_opaque_id, HashRule.OPAQUE, takes_integers=True,
    ),
    IdentityType(
        "HASHED_PINNER_ID", ListType.HASHED_PINNER_ID, ("hashed_pinner_id", "pinner_id_hash"),
        str.lower, _refuse_undigested, HashRule.DIGEST_ONLY,
    ),
)  # fmt: skip

IDENTITY_TYPES: Final[Mapping[str, IdentityType]] = MappingProxyType({row.name: row for row in _ROWS})
"""Name → type."""


def plain_name(column: str) -> str:
    """Return a column's name without case, blanks, `-`, `_` and `.`: `E-Mail Address` is `emailaddress`."""
    return re.sub(r"[-_.\s]", "", column.casefold())


_DEFAULT_COLUMNS: Final = {plain_name(column): row for row in _ROWS for column in row.default_columns}


def default_type(column: str) -> IdentityType | None:
    """Return the type that a column holds by its name, if `identity_columns` is not set; None if it holds none.

    The whole name counts: `manager_email` is the address of somebody else.
    """
    return _DEFAULT_COLUMNS.get(plain_name(column))
