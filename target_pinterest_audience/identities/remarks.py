"""Remarks about values: why one was rejected, or what is worth counting about an accepted one. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Remark(Enum):
    """A remark about a value. Each member's value completes a sentence for people, and never holds the value itself."""

    EMPTY = "empty"
    OPTED_OUT = "all zeros: the person opted out of tracking"
    WAS_DIGEST = "a digest already, sent unchanged"
    LOOKS_LIKE_IDFA = "an upper-case mobile ad id: it looks like an IDFA and was kept upper-case"
    NOT_TEXT = "not text"
    NOT_IN_AN_OBJECT = "inside a value that is not an object, although `identity_columns` names a field of it"
    NOT_UTF8 = "bytes that are not text in UTF-8"
    NOT_AN_EMAIL = "not an e-mail address"
    NOT_A_UUID = "not a device id of the form 8-4-4-4-12 hex digits"
    UUID_WITHOUT_DASHES = (
        "32 hex digits: a device id without its dashes, or an MD5 digest; "
        "if it is a digest, set `hashing: prehashed`, else add the dashes to the id"
    )
    NOT_AN_OPAQUE_ID = "not an id of this type: a UUID, or with an @, a comma, a blank or a control character in it"
    NOT_A_DIGEST = "not a digest of 32, 40 or 64 hex digits"
    NOT_A_PHONE = "not a phone number"
    NOT_A_COUNTRY_CODE = "a phone number whose country code does not exist"
    PHONE_WITHOUT_COUNTRY = (
        "a national phone number of an unknown country: set `phone_country` or `phone_country_column`, or write the "
        "number with + and its country code"
    )
    UNKNOWN_PHONE_COUNTRY = (
        "a national phone number whose row names no country: `phone_country_column` must hold ISO 3166 codes of two "
        "letters"
    )
    IMPOSSIBLE_PHONE = "a phone number with too many or too few digits for its country, or without its area code"
    PHONE_NEEDS_EXTRA = (
        "a national phone number, which the target can read only with the extra `phone` "
        "(target-pinterest-audience[phone])"
    )
    PLAIN_BUT_PREHASHED = "plain, although `hashing: prehashed` allows only digests"
    KEY_IS_NULL = "in a row whose key property is null, so that it cannot be distinguished from other rows"
    MARK_IS_UNREADABLE = (
        "in a row whose `removal_column` leads through a value that is not a single object, so that the row may be "
        "deleted or not"
    )
    CONSENT_IS_UNREADABLE = "in a row whose `consent_column` leads through a value that is not a single object"
    CONSENT_IS_MISSING = "in a row without the consent column (`consent_column`)"
    LIST_NAME_IS_MISSING = "in a row without the column that names its list (`list_name_column`)"
    LIST_NAME_IS_UNREADABLE = "in a row whose `list_name_column` leads through a value that is not a single object"
    LIST_NAME_IS_NO_NAME = "in a row whose `list_name_column` holds neither text nor a whole number"
    LIST_NAME_IS_AN_IDENTITY = "in a row whose `list_name_column` holds an identity, which must not become a name"
    BREAKS_SCHEMA = "in a row that does not match its stream's JSON schema (`validate_records`)"
    REFUSED_BY_PINTEREST = "refused by Pinterest, although its form is correct"
    PHONES_REFUSED = "a phone number, which Pinterest does not accept for this list (`records_v2`)"
    PHONE_REMOVAL_REFUSED = (
        "a phone number to remove, which Pinterest does not accept for this list (`records_v2`), so that it may still "
        "be on the list"
    )
    DIGEST_OF_NOTHING = "the digest of an empty value, of a word such as null or None, or of zeros; or zeros alone"
    CANNOT_MATCH = (
        "an address that cannot exist. It was sent unchanged and matches nobody: look for full-width letters, a dotted "
        "capital I, and misplaced hyphens or underscores in the domain"
    )

    @property
    def rejects(self) -> bool:
        """Whether the value is bad, and not just absent or accepted."""
        return self not in _HARMLESS


_HARMLESS: Final = frozenset(
    {Remark.EMPTY, Remark.OPTED_OUT, Remark.WAS_DIGEST, Remark.LOOKS_LIKE_IDFA, Remark.CANNOT_MATCH}
)
