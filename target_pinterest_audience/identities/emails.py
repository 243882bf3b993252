"""E-mail addresses: how they are normalised, and which ones are valid. Pure."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Final

from target_pinterest_audience.identities.remarks import Remark

MAX_EMAIL: Final = 254
"""The most characters in an address."""

_ATOM: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
ASCII_EMAIL: Final = rf"{_ATOM}(?:\.{_ATOM})*@(?:[a-z0-9_-]+\.)+[a-z0-9_-]*[a-z_-][a-z0-9_-]*"
"""The pattern of a lower-case address in ASCII."""
_is_ascii_email: Final = re.compile(ASCII_EMAIL).fullmatch

_LABEL: Final = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
PLAIN_EMAIL: Final = rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?"
"""The pattern of a lower-case address in ASCII that gets no remark, if it is not long."""
PLAIN_EMAIL_BYTES: Final = 66
"""The longest address that cannot have a label of more than 63 characters in its domain."""

JAPANESE_CARRIERS: Final = (
    "au.com",
    "disney.ne.jp",
    "docomo.ne.jp",
    "emnet.ne.jp",
    "ezweb.ne.jp",
    "i.softbank.jp",
    "pdx.ne.jp",
    "softbank.ne.jp",
    "uqmobile.jp",
    "vodafone.ne.jp",
    "willcom.com",
    "ymobile.ne.jp",
)
"""Domains of Japanese mobile carriers, which issued addresses with consecutive dots and a dot before the @."""
_is_carrier_email: Final = re.compile(
    rf"{_ATOM}(?:\.+{_ATOM})*\.*@(?:{_LABEL}\.)*(?:{'|'.join(map(re.escape, JAPANESE_CARRIERS))})"
).fullmatch

_LONGEST_LABEL: Final = 63
_SHORT_LABEL: Final = _LABEL.replace("*", f"{{0,{_LONGEST_LABEL - 2}}}")
_is_host: Final = re.compile(rf"(?:{_SHORT_LABEL}\.)+{_SHORT_LABEL}").fullmatch
_non_ascii: Final = re.compile(r"[^\0-\x7f]")


@functools.cache
def _any_email() -> re.Pattern[str]:
    """Return the pattern of addresses beyond ASCII; compiled only when needed, since that takes long."""
    return re.compile(
        r"[a-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)*"
        r"@(?:[a-z0-9_\u0080-\U0010ffff-]+\.)+(?!\d+\Z)[a-z0-9_\u0080-\U0010ffff-]+"
    )


def normalise_email(value: str) -> str:
    """Return an address in the form that is hashed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", value).lower())


def refuse_email(value: str) -> Remark | None:
    """Return what is wrong with a normalised address; None if it is valid.

    A valid address has a dot-atom (RFC 5322) or non-ASCII local part, and at least two domain labels.
    """
    if len(value) > MAX_EMAIL:
        return Remark.NOT_AN_EMAIL
    if value.isascii():
        return None if _is_ascii_email(value) or _is_carrier_email(value) else Remark.NOT_AN_EMAIL
    if not _any_email().fullmatch(value) or any(unicodedata.category(c)[0] in "CZ" for c in value):
        return Remark.NOT_AN_EMAIL
    return None


def note_email(value: str) -> Remark | None:
    """Return a remark if a valid address cannot exist. It is sent unchanged: others may hash the same mistake."""
    host = value.rpartition("@")[2]
    if value.isascii():
        return None if _is_host(host) else Remark.CANNOT_MATCH
    # Providers replace compatibility forms of letters when a person registers an address. Lowering a Turkish capital I
    # leaves the dot above behind.
    if unicodedata.normalize("NFKC", value) != value or "i\u0307" in value:
        return Remark.CANNOT_MATCH
    are_short = all(len(_in_dns(label)) <= _LONGEST_LABEL for label in host.split("."))
    return None if are_short and _is_host(_non_ascii.sub("a", host)) else Remark.CANNOT_MATCH


def _in_dns(label: str) -> str:
    """Return the form of a domain label in the DNS."""
    return label if label.isascii() else "xn--" + label.encode("punycode").decode()
