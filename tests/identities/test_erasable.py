"""All forms in which a list may hold what a person gives."""

from __future__ import annotations

import hashlib
import unicodedata

import pytest

from target_pinterest_audience.identities.forms import digest_of, forms_of
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.types import IDENTITY_TYPES

UPPER = "EA7583CD-A667-48BC-B806-42ECB2B48606"
LOWER = UPPER.lower()
MIXED = f"Ea{UPPER[2:]}"


def digests(*texts: str) -> frozenset[str]:
    return frozenset(
        each(text.encode(), usedforsecurity=False).hexdigest()
        for text in texts
        for each in (hashlib.sha256, hashlib.sha1, hashlib.md5)
    )


def test_an_address_has_its_digests_under_all_three_algorithms_however_it_is_written() -> None:
    for value in ("ada@example.com", " Ada@Example.COM\t", "\ufeffADA@example.com"):
        assert forms_of(value, IDENTITY_TYPES["EMAIL"]) == digests("ada@example.com")


@pytest.mark.parametrize(
    "value", ["a..da@example.com", "ada.@example.com", ".ada@example.com", '"ada"@example.com', "ada@192.168.0.1",
              "ada@example..com", "ada@example.com.", f"{'a' * 300}@example.com", "İda.@example.com"]
)  # fmt: skip
def test_an_address_that_a_run_would_reject_has_forms_too(value: str) -> None:
    lowered = unicodedata.normalize("NFC", value.lower())
    assert forms_of(f" {value}\t", IDENTITY_TYPES["EMAIL"]) == digests(lowered)


@pytest.mark.parametrize(
    "value", ["ada@example", "ada", "@example.com", "ada@.com", "a b@example.com", "a@b.com,c@d.com"]
)
def test_text_that_is_not_like_an_address_has_no_forms(value: str) -> None:
    assert forms_of(value, IDENTITY_TYPES["EMAIL"]) is Remark.NOT_AN_EMAIL


@pytest.mark.parametrize("kind", ["IDFA", "GAID", "MAID"])
@pytest.mark.parametrize("value", [UPPER, LOWER, MIXED, f" {UPPER} "])
def test_a_device_id_has_the_forms_of_both_platforms(kind: str, value: str) -> None:
    assert forms_of(value, IDENTITY_TYPES[kind]) == digests(UPPER, LOWER)


@pytest.mark.parametrize("kind", ["EMAIL", "IDFA", "MAID"])
@pytest.mark.parametrize("length", [40, 64])
def test_a_digest_has_only_itself_as_a_form(kind: str, length: int) -> None:
    assert forms_of(f" {'AB' * (length // 2)} ", IDENTITY_TYPES[kind]) == frozenset({"ab" * (length // 2)})


def test_an_opaque_id_has_only_itself_as_a_form() -> None:
    assert forms_of(" XY1 ", IDENTITY_TYPES["LR_ID"]) == frozenset({"XY1"})
    assert forms_of("F" * 40, IDENTITY_TYPES["HASHED_PINNER_ID"]) == frozenset({"f" * 40})


@pytest.mark.parametrize(
    ("kind", "value", "remark"),
    [
        ("EMAIL", "no address", Remark.NOT_AN_EMAIL),
        ("EMAIL", " ", Remark.EMPTY),
        ("IDFA", "00000000-0000-0000-0000-000000000000", Remark.OPTED_OUT),
        ("IDFA", "a" * 32, Remark.UUID_WITHOUT_DASHES),
        ("LR_ID", "ada@example.com", Remark.NOT_AN_OPAQUE_ID),
        ("HASHED_PINNER_ID", "ada", Remark.NOT_A_DIGEST),
    ],
)
def test_an_invalid_value_has_no_forms(kind: str, value: str, remark: Remark) -> None:
    assert forms_of(value, IDENTITY_TYPES[kind]) is remark


@pytest.mark.parametrize("length", [32, 40, 64])
def test_the_digest_option_takes_only_the_digest_itself(length: int) -> None:
    assert digest_of(f" {'AB' * (length // 2)}\n") == frozenset({"ab" * (length // 2)})


@pytest.mark.parametrize("value", ["", "ada@example.com", "ab", "g" * 64, "a" * 63])
def test_the_digest_option_refuses_anything_else(value: str) -> None:
    assert digest_of(value) is Remark.NOT_A_DIGEST
