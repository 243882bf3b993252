from __future__ import annotations

import hashlib
import string
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_pinterest_audience.identities.emails import JAPANESE_CARRIERS
from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing
from target_pinterest_audience.identities.identify import Identified, identify
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.types import IDENTITY_TYPES, default_type
from tests.support.messages import sha256

UUID = "ea7583cd-b890-48bc-8f00-0123456789ab"
ZERO = "00000000-0000-0000-0000-000000000000"


def verdict(
    kind: str, value: object, hashing: Hashing = Hashing.AUTO, algorithm: HashAlgorithm = HashAlgorithm.SHA256
) -> Identified:
    return identify(value, IDENTITY_TYPES[kind], hashing, algorithm)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("bob@example.com", "bob@example.com"),
        (" Bob@Example.COM \t\r\n", "bob@example.com"),
        ("\ufeff\u00a0\u200bbob@example.com\u2003\u3000\u2060", "bob@example.com"),
        ("b.o.b+tag@example.com", "b.o.b+tag@example.com"),
        ("o'brien@sub.example.co.uk", "o'brien@sub.example.co.uk"),
        ("Zoe\u0308@example.com", "zo\u00eb@example.com"),
        ("ZOË@BÜCHER.example", "zoë@bücher.example"),
        ("a" * 242 + "@example.com", "a" * 242 + "@example.com"),
        ("bob@example.c0m", "bob@example.c0m"),
    ],
)
def test_an_address_is_trimmed_lower_cased_and_hashed(value: str, plain: str) -> None:
    assert verdict("EMAIL", value) == (sha256(plain), None)


@pytest.mark.parametrize(
    "value",
    [
        "bob", "bob@example", "@example.com", "bob@", "bob@@example.com", "bob@a@example.com", "bob@.com",
        "bob@example..com", "bob@example.com.", ".bob@example.com", "bob.@example.com", "b..ob@example.com",
        "bob@192.168.0.1", "bob@example.123", '"bob"@example.com', '"a b"@example.com', "bob <bob@example.com>",
        "mailto:bob@example.com", "bob,ann@example.com", "bob@exam,ple.com", "bob ann@example.com",
        "bob@exa\u200bmple.com", "bo\u00a0b@example.com", "bo\x00b@example.com", "bob\ud800@example.com",
        "a" * 243 + "@example.com", "null", "f" * 65, "x" + "f" * 64, "f" * 63,
    ],
)  # fmt: skip
def test_text_that_is_not_an_address_is_rejected(value: str) -> None:
    assert verdict("EMAIL", value) == (None, Remark.NOT_AN_EMAIL)


@pytest.mark.parametrize("kind", list(IDENTITY_TYPES))
@pytest.mark.parametrize("value", [None, "", "  ", "\u00a0\ufeff\t", "\u200b"])
def test_null_and_empty_text_are_absent_and_not_bad(kind: str, value: object) -> None:
    assert verdict(kind, value) == (None, Remark.EMPTY)
    assert not Remark.EMPTY.rejects


@pytest.mark.parametrize("kind", ["IDFA", "GAID", "MAID"])
def test_the_id_of_a_person_who_opted_out_is_absent(kind: str) -> None:
    assert verdict(kind, f" {ZERO} ") == (None, Remark.OPTED_OUT)
    assert not Remark.OPTED_OUT.rejects


@pytest.mark.parametrize("form", [ZERO.replace("-", ""), f"{{{ZERO}}}", f" {{{ZERO.replace('-', '')}}} "])
@pytest.mark.parametrize("kind", ["IDFA", "GAID", "MAID"])
def test_the_opt_out_id_is_absent_without_dashes_and_in_braces_too(kind: str, form: str) -> None:
    assert verdict(kind, form) == (None, Remark.OPTED_OUT)
    assert verdict("EMAIL", ZERO.replace("-", "")) != (None, Remark.OPTED_OUT)


@pytest.mark.parametrize("kind", list(IDENTITY_TYPES))
@pytest.mark.parametrize("value", [True, 1.5, ["bob@example.com"], {"email": "bob@example.com"}])
def test_a_value_that_is_not_text_is_rejected(kind: str, value: object) -> None:
    assert verdict(kind, value) == (None, Remark.NOT_TEXT)


@pytest.mark.parametrize("kind", ["EMAIL", "IDFA", "GAID", "MAID", "HASHED_PINNER_ID"])
def test_a_number_is_neither_an_address_nor_a_device_id(kind: str) -> None:
    assert verdict(kind, 12345) == (None, Remark.NOT_TEXT)


def test_an_idfa_is_hashed_upper_case_and_an_android_id_lower_case() -> None:
    for value in (UUID, UUID.upper(), f" {UUID.title()} "):
        assert verdict("IDFA", value) == (sha256(UUID.upper()), None)
        assert verdict("GAID", value) == (sha256(UUID), None)


def test_a_mobile_ad_id_keeps_its_capitals_only_if_all_its_letters_are() -> None:
    assert verdict("MAID", UUID) == (sha256(UUID), None)
    assert verdict("MAID", "EA" + UUID[2:]) == (sha256(UUID), None)
    assert verdict("MAID", UUID.upper()) == (sha256(UUID.upper()), Remark.LOOKS_LIKE_IDFA)
    assert not Remark.LOOKS_LIKE_IDFA.rejects


@pytest.mark.parametrize("kind", ["IDFA", "GAID", "MAID"])
def test_an_id_without_dashes_is_rejected_unless_prehashed_is_set(kind: str) -> None:
    bare = UUID.replace("-", "")
    assert verdict(kind, bare) == (None, Remark.UUID_WITHOUT_DASHES)
    assert "hashing: prehashed" in Remark.UUID_WITHOUT_DASHES.value
    assert verdict(kind, bare.upper(), Hashing.PREHASHED) == (bare, Remark.WAS_DIGEST)


@pytest.mark.parametrize(
    "value", ["not-an-id", UUID[:-1], UUID + "0", f"{{{UUID}}}", UUID.replace("-", ":"), "g" + UUID[1:]]
)
def test_text_that_is_not_a_device_id_is_rejected(value: str) -> None:
    assert verdict("IDFA", value) == (None, Remark.NOT_A_UUID)


@pytest.mark.parametrize("kind", ["EMAIL", "IDFA", "GAID", "MAID", "HASHED_PINNER_ID"])
@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_digest_is_sent_unchanged_but_in_lower_case(kind: str, algorithm: str) -> None:
    digest = hashlib.new(algorithm, b"bob@example.com").hexdigest()
    note = None if kind == "HASHED_PINNER_ID" else Remark.WAS_DIGEST
    assert verdict(kind, f" {digest.upper()}\n") == (digest, note)
    assert verdict(kind, digest, Hashing.PREHASHED) == (digest, note)
    assert not Remark.WAS_DIGEST.rejects


def test_an_md5_digest_is_accepted_for_addresses_and_pinner_ids() -> None:
    digest = hashlib.md5(b"bob@example.com", usedforsecurity=False).hexdigest()
    assert verdict("EMAIL", digest) == (digest, Remark.WAS_DIGEST)
    assert verdict("HASHED_PINNER_ID", digest) == (digest, None)


@pytest.mark.parametrize("kind", ["EMAIL", "IDFA", "GAID", "MAID"])
def test_a_plain_value_is_rejected_with_prehashed(kind: str) -> None:
    value = "bob@example.com" if kind == "EMAIL" else UUID
    assert verdict(kind, value, Hashing.PREHASHED) == (None, Remark.PLAIN_BUT_PREHASHED)


@pytest.mark.parametrize("kind", ["EMAIL", "IDFA", "HASHED_PINNER_ID"])
@pytest.mark.parametrize("text", ["", "null", ZERO])
@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_the_digest_of_an_empty_value_is_rejected(kind: str, text: str, algorithm: str) -> None:
    digest = hashlib.new(algorithm, text.encode()).hexdigest()
    assert verdict(kind, digest.upper()) == (None, Remark.DIGEST_OF_NOTHING)


@pytest.mark.parametrize("text", ["None", "nan", "NaN", "NULL", "undefined", " ", r"\N", "N/A", ZERO.replace("-", "")])
@pytest.mark.parametrize("algorithm", list(HashAlgorithm))
@pytest.mark.parametrize("hashing", list(Hashing))
def test_the_digest_of_a_word_for_nothing_is_rejected(text: str, algorithm: HashAlgorithm, hashing: Hashing) -> None:
    digest = hashlib.new(algorithm.value, text.encode()).hexdigest()
    for value in (digest, digest.upper(), f" {digest}"):
        assert verdict("EMAIL", value, hashing) == (None, Remark.DIGEST_OF_NOTHING)
        assert verdict("HASHED_PINNER_ID", value, hashing) == (None, Remark.DIGEST_OF_NOTHING)
        assert verdict("MAID", value, Hashing.PREHASHED) == (None, Remark.DIGEST_OF_NOTHING)


@pytest.mark.parametrize("kind", ["EMAIL", "IDFA", "GAID", "MAID", "HASHED_PINNER_ID"])
@pytest.mark.parametrize("hashing", list(Hashing))
def test_a_digest_of_zeros_is_rejected(kind: str, hashing: Hashing) -> None:
    for digits in (40, 64):
        assert verdict(kind, "0" * digits, hashing) == (None, Remark.DIGEST_OF_NOTHING)
    is_device = kind in {"IDFA", "GAID", "MAID"}
    assert verdict(kind, "0" * 32, hashing) == (None, Remark.OPTED_OUT if is_device else Remark.DIGEST_OF_NOTHING)
    assert Remark.DIGEST_OF_NOTHING.rejects


@pytest.mark.parametrize(
    "value",
    [
        "İBRAHİM@example.com", "bob@İstanbul.example", "\uff42ob@example.com", "BOB@\uff25XAMPLE.com",
        "ﬁona@example.com",
        "bob@-example.com", "bob@example-.com", "bob@sub.-example.com", "bob@example.com-", "bob@ex_ample.com",
        "bob@_dmarc.example.com", f"bob@{'a' * 64}.com", f"bob@{'ü' * 64}.com", "bob@-bücher.example",
        "bob@bücher_.example",
    ],
)  # fmt: skip
def test_an_address_that_cannot_exist_is_hashed_and_noted(value: str) -> None:
    lowered = unicodedata.normalize("NFC", unicodedata.normalize("NFC", value).lower())
    assert verdict("EMAIL", value) == (sha256(lowered), Remark.CANNOT_MATCH)
    assert not Remark.CANNOT_MATCH.rejects


@pytest.mark.parametrize(
    "value",
    [
        "bob@ex-ample.com", "bob@xn--bcher-kva.example", "bob@3com.com", f"bob@{'a' * 63}.com", "_bob_@example.com",
        "-bob-@example.com", "bob-.-x@example.com", "straße@example.com", "bob@bücher.example", "ibrahim@example.com",
        "\u212aelvin@example.com", "山田@例え.jp", "bob@example.c0m",
    ],
)  # fmt: skip
def test_an_address_that_may_exist_is_not_noted(value: str) -> None:
    assert verdict("EMAIL", value) == (sha256(unicodedata.normalize("NFC", value.lower())), None)


@pytest.mark.parametrize("domain", [*JAPANESE_CARRIERS, "t.vodafone.ne.jp", "DOCOMO.ne.jp"])
def test_addresses_of_japanese_carriers_may_have_dots_anywhere_but_first(domain: str) -> None:
    for local in ("taro..y", "taro.", "taro...y..", "Taro", "a.b"):
        assert verdict("EMAIL", f"{local}@{domain}") == (sha256(f"{local}@{domain}".lower()), None)
    for local in (".taro", "", ".", "ta ro"):
        assert verdict("EMAIL", f"{local}@{domain}") == (None, Remark.NOT_AN_EMAIL)


@pytest.mark.parametrize("domain", ["mydocomo.ne.jp", "docomo.ne.jp.example.com", "docomo..ne.jp", "ne.jp"])
def test_other_addresses_may_not_have_such_dots(domain: str) -> None:
    assert verdict("EMAIL", f"taro..y@{domain}") == (None, Remark.NOT_AN_EMAIL)


@pytest.mark.parametrize("algorithm", list(HashAlgorithm))
def test_the_algorithm_is_the_one_that_is_set(algorithm: HashAlgorithm) -> None:
    expected = hashlib.new(algorithm.value, b"bob@example.com").hexdigest()
    assert verdict("EMAIL", "BOB@example.com", algorithm=algorithm) == (expected, None)


@pytest.mark.parametrize("kind", ["LR_ID", "DLX_ID"])
def test_an_opaque_id_is_sent_unchanged(kind: str) -> None:
    assert verdict(kind, " XY1005_aBc-9 ") == ("XY1005_aBc-9", None)
    assert verdict(kind, 123456789012345678901234) == ("123456789012345678901234", None)
    assert verdict(kind, "f" * 64, Hashing.PREHASHED) == ("f" * 64, None)
    for bad in ("a,b", "a b", "a\tb", "bob@example.com", UUID, "a\x00b", "a\u00a0b"):
        assert verdict(kind, bad) == (None, Remark.NOT_AN_OPAQUE_ID), bad


def test_a_pinner_id_must_be_a_digest() -> None:
    assert verdict("HASHED_PINNER_ID", "12345") == (None, Remark.NOT_A_DIGEST)
    assert verdict("HASHED_PINNER_ID", "g" * 64) == (None, Remark.NOT_A_DIGEST)


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("EMAIL", "email email_address hashed_email email_hash email_sha256 sha256_email customer_email user_email"),
        ("EMAIL", "contact_email primary_email PersonEmail mail EMAIL E-Mail Email.Address emailAddress EMAIL-ADDRESS"),
        ("IDFA", "idfa IDFA iosIdfa"),
        ("GAID", "gaid aaid google_advertising_id GoogleAdvertisingId gps_adid"),
        ("MAID", "maid mobile_ad_id advertisingId mobile.ad.id"),
        ("PHONE", "phone phone_number PhoneNo mobile mobile_phone mobile-number mobile_phone_number cell Cell_Phone"),
        ("PHONE", "cellphone telephone telephone_number tel hashed_phone hashed_phone_number phone_hash sha256_phone"),
        ("PHONE", "phone_number_hash phone_sha256 phone_number_sha256 sha256_phone_number Mobile.Phone"),
        ("LR_ID", "lr_id liveramp_id ramp_id RampID"),
        ("DLX_ID", "dlx_id"),
        ("HASHED_PINNER_ID", "hashed_pinner_id pinner_id_hash"),
    ],
)
def test_each_type_has_default_columns(kind: str, columns: str) -> None:
    assert {column: default_type(column) for column in columns.split()} == dict.fromkeys(
        columns.split(), IDENTITY_TYPES[kind]
    )


@pytest.mark.parametrize("column", ["Email Address", " e mail ", "E-mail address", "Customer E-Mail"])
def test_blanks_in_the_name_of_a_default_column_do_not_count(column: str) -> None:
    assert default_type(column) is IDENTITY_TYPES["EMAIL"]


@pytest.mark.parametrize(
    "column",
    ["manager_email", "billing_email", "email_1", "emails", "my_email", "email_status", "android_id", "ad_id", ""],
)
def test_a_name_that_only_ends_or_begins_like_a_default_column_is_none(column: str) -> None:
    assert default_type(column) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(kind=st.sampled_from(list(IDENTITY_TYPES)), value=json_values, hashing=st.sampled_from(list(Hashing)))
def test_no_value_raises_an_error_and_every_value_gets_one_result(kind: str, value: object, hashing: Hashing) -> None:
    identity, remark = verdict(kind, value, hashing)
    if identity is None:
        assert remark is not None
    else:
        assert "," not in identity
        assert "@" not in identity
        assert identity == identity.strip()
        assert remark is None or not remark.rejects


@given(
    st.text(alphabet=string.ascii_letters + string.digits + "+._-İßǅΣ\u0301", min_size=1),
    st.sampled_from(" \t\u00a0\ufeff"),
)
@example("İ", " ")
@example("e\u0301", " ")
def test_untidy_forms_of_one_value_have_the_same_hash(local: str, blank: str) -> None:
    tidy, _ = verdict("EMAIL", f"{local}@example.com")
    for other in (
        f"{blank}{local}@EXAMPLE.com{blank}",
        unicodedata.normalize("NFD", f"{local}@example.com"),
        unicodedata.normalize("NFC", f"{local}@example.com"),
    ):
        assert verdict("EMAIL", other)[0] == tidy
    lowered = unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).lower())
    assert tidy is None or tidy == verdict("EMAIL", f"{lowered}@example.com")[0]
