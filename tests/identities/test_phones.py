"""Phone numbers: which forms are read, what is hashed of them, and what is rejected."""

from __future__ import annotations

import sys
import unicodedata

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_pinterest_audience.identities.column import identify_column
from target_pinterest_audience.identities.forms import forms_of
from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing, hex_digest
from target_pinterest_audience.identities.identify import Identified, identify
from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.phones import COUNTRIES, UNKNOWN_COUNTRY, read_phone
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.vocabulary import WireFormat
from tests.support.messages import sha256

PHONE = IDENTITY_TYPES["PHONE"]
PLAIN_SIGNS = "+()[]./-\u00b7\u2022\u30fc\u2212"


def verdict(value: object, country: str | None = None, hashing: Hashing = Hashing.AUTO) -> Identified:
    return identify(value, PHONE, hashing, HashAlgorithm.SHA256, country)


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the extra `phone` be missing."""
    monkeypatch.setitem(sys.modules, "phonenumbers", None)


INTERNATIONAL = [
    ("+493012345678", "493012345678"),
    ("+49 30 12345678", "493012345678"),
    ("+49 (0)30 1234-5678", "493012345678"),
    ("+49 030 12345678", "493012345678"),
    ("0049 30 12345678", "493012345678"),
    ("0049(0)30/12345678", "493012345678"),
    ("00493012345678", "493012345678"),
    (" \ufeff+49\u00a030\u202f12345678\u200b", "493012345678"),
    ("+49.30.12345678", "493012345678"),
    ("+49\u201330\u201312345678", "493012345678"),
    ("\uff0b\uff14\uff19 30 12345678", "493012345678"),
    ("+\u0664\u0669\u0663\u0660 12345678", "493012345678"),
    ("tel:+49-30-12345678", "493012345678"),
    ("+49 30 12345678 ext. 12", "493012345678"),
    ("+49 30 12345678;ext=12", "493012345678"),
    ("+1 (415) 555-2671 x12", "14155552671"),
    ("+1 415-555-2671 #12", "14155552671"),
    ("+14155552671", "14155552671"),
    ("+7 916 123-45-67", "79161234567"),
    ("+44 (0)7911 123456", "447911123456"),
    ("+39 06 6982 1234", "390669821234"),
    ("+225 01 23 45 67 89", "2250123456789"),
    ("+290 2345", "2902345"),
    ("(+49) 30 12345678", "493012345678"),
    ("+(49) 30 12345678", "493012345678"),
    ("+49-(0)-30-12345678", "493012345678"),
    ("+49 (0) 30 12345-678", "493012345678"),
    ("+49 (0)30/12345678", "493012345678"),
    ("+49 34567/12345", "493456712345"),
    ("0049 30 12345678 ext 12", "493012345678"),
    ("+49 30 12345678 extn. 12", "493012345678"),
    ("+7 916 123-45-67 \u0434\u043e\u0431. 12", "79161234567"),
    ("+52 55 1234 5678 int. 12", "525512345678"),
    ("\uff0b\uff11\uff08\uff14\uff11\uff15\uff09\uff15\uff15\uff15\uff0d\uff12\uff16\uff17\uff11", "14155552671"),
]


@pytest.mark.parametrize(("value", "digits"), INTERNATIONAL)
def test_an_international_number_is_hashed_as_its_digits(value: str, digits: str) -> None:
    for country in (None, "US", "DE", UNKNOWN_COUNTRY):
        assert verdict(value, country) == (sha256(digits), None)


@pytest.mark.usefixtures("without_library")
@pytest.mark.parametrize(("value", "digits"), INTERNATIONAL)
def test_an_international_number_needs_no_library(value: str, digits: str) -> None:
    assert verdict(value) == (sha256(digits), None)


@pytest.mark.parametrize(
    ("value", "country", "digits"),
    [
        ("030 12345678", "DE", "493012345678"),
        ("(030) 1234-5678", "DE", "493012345678"),
        ("030/12345678", "DE", "493012345678"),
        ("0170 1234567", "DE", "491701234567"),
        ("0170 1234567", "AT", "431701234567"),
        ("415-555-2671", "US", "14155552671"),
        ("1 (415) 555-2671", "US", "14155552671"),
        ("011 49 30 12345678", "US", "493012345678"),
        ("06 12 34 56 78", "FR", "33612345678"),
        ("06 6982 1234", "IT", "390669821234"),
        ("8 916 123-45-67", "RU", "79161234567"),
        ("07911 123456 ext 7", "GB", "447911123456"),
        # Digits with the country code, as many systems keep them.
        ("491701234567", "DE", "491701234567"),
        ("14155552671", "US", "14155552671"),
        ("447911123456", "GB", "447911123456"),
        ("34612345678", "ES", "34612345678"),
        # An Italian mobile number that begins like its country code.
        ("3921234567", "IT", "393921234567"),
        (491701234567, "DE", "491701234567"),
        (4155552671, "US", "14155552671"),
        # Signs between digits.
        ("(030) 123456", "DE", "4930123456"),
        ("[030] 12345678", "DE", "493012345678"),
        ("030 - 12 34 56", "DE", "4930123456"),
        ("030 12345-678", "DE", "493012345678"),
        ("030.123.456", "DE", "4930123456"),
        ("030\u00a0123\u2009456\t78", "DE", "493012345678"),
        ("0 30/12 34 56 78", "DE", "493012345678"),
        ("030/ 12345678", "DE", "493012345678"),
        ("02/123.45.67", "BE", "3221234567"),
        ("0475/12/34/56", "BE", "32475123456"),
        ("06/12/34/56/78", "FR", "33612345678"),
        ("06.12.34.56.78", "FR", "33612345678"),
        ("030 / 12345684", "DE", "493012345684"),
        ("20.12.34", "NC", "687201234"),
        ("415.555.2671", "US", "14155552671"),
        ("(415)555-2671", "US", "14155552671"),
        ("55 (11) 91234-5678", "BR", "5511912345678"),
        ("8 (495) 123-45-67", "RU", "74951234567"),
        ("011 593 (2) 212-3456", "US", "59322123456"),
        ("03\u30fc1234\u30fc5678", "JP", "81312345678"),
        ("\u0660\u0663\u0660 12345678", "DE", "493012345678"),
        ("tel:030-12345678", "DE", "493012345678"),
        ("030 12345678 x12", "DE", "493012345678"),
        ("030 12345678;ext=12", "DE", "493012345678"),
        ("030 12345678 #12", "DE", "493012345678"),
        ("20-11-20-26", "DK", "4520112026"),
        ("12 34 56 78", "DK", "4512345678"),
    ],
)
def test_a_national_number_gets_the_code_of_its_country(value: object, country: str, digits: str) -> None:
    assert verdict(value, country) == (sha256(digits), None)


@pytest.mark.parametrize(
    ("value", "country", "remark"),
    [
        ("030 12345678", None, Remark.PHONE_WITHOUT_COUNTRY),
        ("493012345678", None, Remark.PHONE_WITHOUT_COUNTRY),
        (493012345678, None, Remark.PHONE_WITHOUT_COUNTRY),
        ("030 12345678", UNKNOWN_COUNTRY, Remark.UNKNOWN_PHONE_COUNTRY),
        ("+999 1234567", None, Remark.NOT_A_COUNTRY_CODE),
        ("+0 30 12345678", None, Remark.NOT_A_COUNTRY_CODE),
        ("000 30 12345678", None, Remark.NOT_A_COUNTRY_CODE),
        ("+49 1", None, Remark.IMPOSSIBLE_PHONE),
        ("+49 00 30 12345678", None, Remark.IMPOSSIBLE_PHONE),
        ("+49 30 12345678901234", None, Remark.IMPOSSIBLE_PHONE),
        ("+1 415 555 267", None, Remark.IMPOSSIBLE_PHONE),
        ("+1 115 555 2671", None, Remark.IMPOSSIBLE_PHONE),
        ("555-2671", "US", Remark.IMPOSSIBLE_PHONE),
        ("110", "DE", Remark.IMPOSSIBLE_PHONE),
        ("12345678901234567890", "DE", Remark.NOT_A_PHONE),
        ("+1-800-FLOWERS", None, Remark.NOT_A_PHONE),
        ("+49 30 12345678, +49 30 12345679", None, Remark.NOT_A_PHONE),
        ("+49 30 12345678\n+49 30 12345679", None, Remark.NOT_A_PHONE),
        ("++49 30 12345678", None, Remark.NOT_A_PHONE),
        ("ada@example.com", "DE", Remark.NOT_A_PHONE),
        ("none", "DE", Remark.NOT_A_PHONE),
        ("0", "DE", Remark.NOT_A_PHONE),
        ("-", None, Remark.NOT_A_PHONE),
        ("+", None, Remark.NOT_A_PHONE),
        ("000-000-0000", "US", Remark.NOT_A_COUNTRY_CODE),
        ("9" * 5000, "DE", Remark.NOT_A_PHONE),
        (True, "DE", Remark.NOT_TEXT),
        (4.9e11, "DE", Remark.NOT_TEXT),
        (["+493012345678"], None, Remark.NOT_TEXT),
        (-3012345682, "DE", Remark.NOT_A_PHONE),
        (sha256("null"), None, Remark.DIGEST_OF_NOTHING),
        (None, "DE", Remark.EMPTY),
        (" \u00a0", "DE", Remark.EMPTY),
    ],
)
def test_what_is_no_number_is_rejected_with_a_reason(value: object, country: str | None, remark: Remark) -> None:
    assert verdict(value, country) == (None, remark)
    assert remark.rejects == (remark is not Remark.EMPTY)


NOT_ONE_NUMBER = [
    # Letters, and what belongs to addresses.
    "Anna 030 12345678",
    "030 12345678 Anna",
    "1-800-FLOWERS",
    "030 1234ABCD",
    "030 12345678 DW 12",
    "030 12345678 Durchwahl 12",
    "order 4711-0815-22",
    "0815-22 # order 4711-0815-22",
    "a@030.12345681.de",
    "030 12345678@example.com",
    "030:12345678",
    "030 12345678, 12",
    "030 12345678;12",
    "030 12345678~85",
    "030_12345678",
    "tel:030-1234;phone-context=+49",
    # Digits that are none of the number's own.
    "030 1234567\u00b2",
    "030 1234567\u2460",
    "0\ufe0f\u20e330 12345678",
    # Signs where a number has none.
    "-3012345682",
    "\u2013 030 12345678",
    "030 12345678-",
    "030 12345678.",
    "030--12345678",
    "030 +49 12345678",
    "+ +49 30 12345678",
    "030 12345 (678)",
    # Two numbers.
    "030 12345684 / 85",
    "030 12345684/85",
    "+49 30 12345684/85",
    "+49 30 12345684 / 85",
    "0049 30 1234568/69",
    "030/1234568/69",
    "030 1234568-0 / -15",
    "06221 4711/4712",
    "06221 4711 (4712)",
    # Addresses of computers, dates, and decimal numbers.
    "192.168.100.200",
    "10.20.30.40",
    "255.255.255.255",
    "2026-11-29",
    "2026/11/29",
    "2026.11.29",
    "2026-11-29 10",
    "2026-11-29 10.30",
    "29.11.2026",
    "29. 11. 2026",
    "11/29/2026",
    "29-11-26",
    "29/11/26",
    "11/2026",
    "493012345678.0",
    "4155552671.00",
    "+493012345678.0",
]


@pytest.mark.parametrize("value", NOT_ONE_NUMBER)
def test_what_is_not_written_as_one_number_is_rejected(value: str) -> None:
    for country in (None, "DE", "US", "DK", UNKNOWN_COUNTRY):
        assert verdict(value, country) == (None, Remark.NOT_A_PHONE)
        countries = (lambda _, country=country: country) if country is not None else None
        identities, remarks = identify_column([value] * 3, PHONE, Hashing.AUTO, HashAlgorithm.SHA256, countries)
        assert identities == [None] * 3
        assert [each.remark for each in remarks] == [Remark.NOT_A_PHONE] * 3


@given(
    number=st.sampled_from(["+493012345678", "030 12345678", "(030) 123-45678", "491701234567"]),
    sign=st.characters(exclude_characters=PLAIN_SIGNS, exclude_categories=("Nd", "Zs", "Cf", "Pd", "Cc", "Cs")),
    at=st.integers(0, 12),
)
def test_one_other_sign_makes_it_no_number(number: str, sign: str, at: int) -> None:
    read = read_phone(f"{number[:at]}{sign}{number[at:]}", "DE")
    # Between digits, x and # begin an extension. Other forms of a sign count as that sign.
    is_plain = set(unicodedata.normalize("NFKC", sign).lower()) <= set(f"{PLAIN_SIGNS}x# ")
    assert is_plain or read is Remark.NOT_A_PHONE


@pytest.mark.usefixtures("without_library")
def test_a_national_number_is_rejected_without_the_library_and_the_reason_names_the_extra() -> None:
    assert verdict("030 12345678", "DE") == (None, Remark.PHONE_NEEDS_EXTRA)
    assert "target-pinterest-audience[phone]" in Remark.PHONE_NEEDS_EXTRA.value


@pytest.mark.parametrize("length", [32, 40, 64])
def test_a_digest_is_sent_as_it_comes(length: int) -> None:
    for hashing in Hashing:
        assert verdict(f" {'AB' * (length // 2)} ", hashing=hashing) == ("ab" * (length // 2), Remark.WAS_DIGEST)


@pytest.mark.parametrize("value", ["+49 30 12345678", "030 12345678", 493012345678])
def test_a_plain_number_is_rejected_if_only_digests_are_allowed(value: object) -> None:
    for country in (None, "DE"):
        assert verdict(value, country, Hashing.PREHASHED) == (None, Remark.PLAIN_BUT_PREHASHED)


def test_the_countries_of_a_column_are_those_of_its_rows() -> None:
    values = ["+49 30 12345670", None, "030 12345671", "415 555 2671", sha256("x"), None, "030 12345672", ""]
    countries = [None, "US", "DE", "US", None, "DE", None, "DE"]
    identities, remarks = identify_column(values, PHONE, Hashing.AUTO, HashAlgorithm.SHA256, countries.__getitem__)
    digits = ["493012345670", None, "493012345671", "14155552671"]
    expected = [sha256(each) if each is not None else None for each in digits] + [sha256("x"), None, None, None]
    assert identities == [pack_identity(each, WireFormat.PHONES) if each is not None else None for each in expected]
    assert [(each.at, each.remark) for each in remarks] == [
        (4, Remark.WAS_DIGEST),
        (6, Remark.PHONE_WITHOUT_COUNTRY),
    ]


def test_the_countries_and_their_codes_are_those_of_the_library() -> None:
    assert frozenset(phonenumbers.SUPPORTED_REGIONS) == COUNTRIES
    codes = tuple(str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
    for beginning in map(str, range(100, 1000)):
        is_known = read_phone(f"+{beginning}2345678") is not Remark.NOT_A_COUNTRY_CODE
        assert is_known == beginning.startswith(codes), beginning


KINDS = [phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE]
FORMS = [
    phonenumbers.PhoneNumberFormat.E164, phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    phonenumbers.PhoneNumberFormat.RFC3966,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_countrys_example_is_read_as_the_library_reads_it(kind: int) -> None:
    for region in sorted(COUNTRIES):
        number = phonenumbers.example_number_for_type(region, kind)
        if number is None:
            continue
        digits = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
        for form in FORMS:
            assert read_phone(phonenumbers.format_number(number, form)) == digits
        national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        assert read_phone(national, region) == digits


def forms(value: str, *countries: str) -> frozenset[str]:
    found = forms_of(value, PHONE, countries)
    assert not isinstance(found, Remark)
    return found


def test_a_number_leaves_under_all_algorithms_with_and_without_its_sign() -> None:
    expected = {hex_digest(f"{sign}493012345678", each) for each in HashAlgorithm for sign in ("", "+", "00")}
    for value in ("+49 30 12345678", "0049 (0)30 12345678"):
        assert forms(value) == expected
    assert forms("030 12345678", "DE") == expected
    assert len(forms("030 12345678", "DE", "AT")) == 2 * len(expected)
    assert forms(sha256("x").upper()) == {sha256("x")}


@pytest.mark.parametrize(
    ("value", "remark"),
    [
        ("030 12345678", Remark.PHONE_WITHOUT_COUNTRY),
        ("nobody", Remark.NOT_A_PHONE),
        (" ", Remark.EMPTY),
        (sha256(""), Remark.DIGEST_OF_NOTHING),
    ],
)
def test_what_is_no_number_does_not_leave(value: str, remark: Remark) -> None:
    assert forms_of(value, PHONE) is remark
