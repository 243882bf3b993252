"""Keys that are objects or arrays, as the file for a join shows them: no identity in them is plain."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing
from target_pinterest_audience.identities.phone_countries import PhoneCountries
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.records.arrow_column import UuidBytes
from target_pinterest_audience.records.block import ColumnarRecords
from target_pinterest_audience.records.paths import find_paths
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.reporting.key_values import KeyValues
from tests.support.messages import sha256

ADA, NUMBER = "ada@example.com", "+49 30 12345678"
OF_ADA, OF_NUMBER = sha256(ADA), sha256("493012345678")
UUID = uuid.UUID("ea7583cd-b890-48bc-8f00-0123456789ab")


def shown(
    value: Any,
    paths: Mapping[str, str],
    *,
    country: str | None = None,
    algorithm: HashAlgorithm = HashAlgorithm.SHA256,
) -> Any:
    """Return what the file shows of the key property `k`."""
    columns = {text: IDENTITY_TYPES[kind] for text, kind in paths.items()}
    found = find_paths(columns, {"k": {}})
    keys = KeyValues(["k"], columns, found, Hashing.AUTO, algorithm, PhoneCountries(country))
    of_record = keys.of_record({"k": value})
    assert keys.of_block(ColumnarRecords({"k": [value]}, 1, Place(1, 1)))(0) == of_record
    return of_record["k"]


@pytest.mark.parametrize(
    ("value", "paths", "expected"),
    [
        ({"email": ADA, "n": 1}, {"k.email": "EMAIL"}, {"email": OF_ADA, "n": 1}),
        ({"email": f" {ADA.upper()}"}, {"k.email": "EMAIL"}, {"email": OF_ADA}),
        ({"email": None}, {"k.email": "EMAIL"}, {"email": None}),
        ({"phone": NUMBER}, {"k.phone": "PHONE"}, {"phone": OF_NUMBER}),
        ({"phone": 493012345678}, {"k.phone": "PHONE"}, {"phone": OF_NUMBER}),
        ({"a": {"b": [{"email": ADA}, {"email": None, "n": 2}]}}, {"k.a.b.email": "EMAIL"},
         {"a": {"b": [{"email": OF_ADA}, {"email": None, "n": 2}]}}),
        ([{"email": ADA}, {"n": 1}], {"k[].email": "EMAIL"}, [{"email": OF_ADA}, {"n": 1}]),
        ([ADA, ADA.upper()], {"k[]": "EMAIL"}, [OF_ADA, OF_ADA]),
        ([ADA], {"k": "EMAIL"}, [OF_ADA]),
        ([[NUMBER]], {"k[]": "PHONE"}, [[OF_NUMBER]]),
        ({"to": [NUMBER]}, {"k.to[]": "PHONE"}, {"to": [OF_NUMBER]}),
        ({"id": "EA7583CD-B890-48BC-8F00-0123456789AB"}, {"k.id": "IDFA"},
         {"id": sha256("EA7583CD-B890-48BC-8F00-0123456789AB")}),
        ({"lr": "Xi123"}, {"k.lr": "LR_ID"}, {"lr": "Xi123"}),
        # Values that no path names.
        ({"login": ADA, ADA: {"x": [ADA]}}, {}, {"login": OF_ADA, OF_ADA: {"x": [OF_ADA]}}),
        ({"tel": NUMBER, "no": "493012345678"}, {}, {"tel": sha256(NUMBER), "no": "493012345678"}),
        ({"d": date(2026, 1, 2), "u": UuidBytes(UUID.bytes), "b": b"\xff", "n": 10**30, "x": Decimal("1.5")}, {},
         {"d": date(2026, 1, 2), "u": str(UUID), "b": "ff", "n": str(10**30), "x": Decimal("1.5")}),
        ({"t": "\ud800"}, {}, {"t": "\\ud800"}),
        # Values that are no identities where one is expected.
        ({"email": "no address"}, {"k.email": "EMAIL"}, {"email": sha256("no address")}),
        ({"phone": "030 123"}, {"k.phone": "PHONE"}, {"phone": sha256("030 123")}),
        ({"email": True}, {"k.email": "EMAIL"}, {"email": sha256("True")}),
        ("ada at home", {"k.email": "EMAIL"}, sha256("ada at home")),
        (["ada at home"], {"k[].email": "EMAIL"}, [sha256("ada at home")]),
    ],
)  # fmt: skip
def test_each_identity_in_a_key_is_its_digest(value: Any, paths: dict[str, str], expected: Any) -> None:
    assert shown(value, paths) == expected


def test_an_object_where_an_identity_is_expected_is_hashed_as_a_whole() -> None:
    assert re.fullmatch("[0-9a-f]{64}", shown({"email": {"first": "ada"}}, {"k.email": "EMAIL"})["email"])


def test_the_digest_is_the_one_that_pinterest_gets() -> None:
    assert shown({"tel": "030 12345678"}, {"k.tel": "PHONE"}, country="DE") == {"tel": OF_NUMBER}
    md5 = shown({"email": ADA}, {"k.email": "EMAIL"}, algorithm=HashAlgorithm.MD5)["email"]
    assert re.fullmatch("[0-9a-f]{32}", md5)


def test_a_key_that_repeats_the_identity_of_its_row_is_its_digest() -> None:
    columns = {"phone": IDENTITY_TYPES["PHONE"], "ids": IDENTITY_TYPES["IDFA"]}
    keys = KeyValues(["id", "k"], columns, {}, countries=PhoneCountries("DE"))
    device = str(UUID).upper()
    record = {"id": 30123456, "k": {"tel": "030 12345678", "ids": [device, str(UUID)]}}
    first = {**record, "phone": "030 12345678", "ids": [device]}
    repeated = {"id": 30123456, "k": {"tel": OF_NUMBER, "ids": [sha256(device), str(UUID)]}}
    assert keys.of_record(first) == repeated
    block = ColumnarRecords({name: [value] for name, value in first.items()}, 1, Place(1, 1))
    assert keys.of_block(block)(0) == repeated
    # A number that is none hides no id.
    assert keys.of_record({"id": 1, "k": None, "phone": 1}) == {"id": 1, "k": None}


JSON = st.recursive(
    st.sampled_from([ADA, NUMBER, 493012345678, None, 1, "x", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["email", "phone", "a"]), inner),
    max_leaves=12,
)
PATHS = st.sampled_from(["", "[]", ".email", ".phone", ".a", ".a.email", "[].email", ".a[]", ".email.a", "[].phone"])


@given(value=JSON, path=PATHS, kind=st.sampled_from(["EMAIL", "PHONE"]))
def test_no_key_of_any_form_shows_an_address_or_an_international_number(value: Any, path: str, kind: str) -> None:
    text = msgspec.json.encode(shown(value, {f"k{path}": kind})).decode()
    assert ADA not in text
    assert NUMBER not in text
    json.loads(text)
