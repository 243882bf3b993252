"""The keys of rows that are held out, as the file for a join shows them."""

from __future__ import annotations

import json
import uuid
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.records.arrow_column import MomentText, UuidBytes
from target_pinterest_audience.records.block import ColumnarRecords
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.reporting.held_rows import HeldRows
from target_pinterest_audience.reporting.json_lines import JsonLinesFile
from target_pinterest_audience.reporting.key_values import KeyValues
from target_pinterest_audience.routing.holdout import HoldOut
from tests.support.messages import address, is_held_out, sha256

SALT = "x"
OUT = next(n for n in range(100) if is_held_out(sha256(address(n)), 50, SALT))
IDENTITY = pack_identity(sha256(address(OUT)))
UUID = uuid.UUID("ea7583cd-b890-48bc-8f00-0123456789ab")


def held_rows(path: Path | None, *keys: str) -> tuple[HeldRows, StreamTally]:
    file = JsonLinesFile(path, "holdout_path") if path is not None else None
    tally = StreamTally("a")
    columns = {"email": IDENTITY_TYPES["EMAIL"]}
    return HeldRows(HoldOut(50, SALT), tally, columns, KeyValues(keys, columns, {}), file), tally


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, 1),
        (10**30, str(10**30)),
        (Decimal("1.50"), 1.5),
        ("C-1", "C-1"),
        (True, True),
        (UuidBytes(UUID.bytes), str(UUID)),
        (UUID, str(UUID)),
        (b"\xff", "ff"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=timezone.utc), "2026-01-02T00:00:00Z"),
        (MomentText("2026-01-02T00:00:00.123456789"), "2026-01-02T00:00:00.123456789"),
        ("Ada@Example.com", sha256("ada@example.com")),
        ("a@b@c", sha256("a@b@c")),
    ],
)
def test_a_key_is_shown_as_a_warehouse_has_it(tmp_path: Path, value: Any, shown: Any) -> None:
    rows, _ = held_rows(tmp_path / "out.jsonl", "id")
    assert rows.takes({"id": value, "email": address(OUT)}, {"email": [IDENTITY]})
    block = ColumnarRecords({"id": [value, 2], "email": [address(OUT), None]}, 2, Place(1, 1))
    assert rows.take_block(block, {"email": [[IDENTITY, None]]}) == [0]
    line = {"stream": "a", "key": {"id": shown}}
    assert [json.loads(each) for each in (tmp_path / "out.jsonl").read_text().splitlines()] == [line, line]


def test_a_bad_value_in_an_identity_column_is_not_shown_even_as_a_key(tmp_path: Path) -> None:
    tally, columns = StreamTally("a"), {"email": IDENTITY_TYPES["EMAIL"], "mail": IDENTITY_TYPES["EMAIL"]}
    file = JsonLinesFile(tmp_path / "out.jsonl", "holdout_path")
    rows = HeldRows(HoldOut(50, SALT), tally, columns, KeyValues(["mail"], columns, {}), file)
    assert rows.takes({"mail": "no address", "email": address(OUT)}, {"email": [IDENTITY]})
    assert "address" not in (tmp_path / "out.jsonl").read_text()


def test_a_record_without_the_column_that_decides_first_goes_by_what_it_names(tmp_path: Path) -> None:
    device = next(n for n in range(100) if is_held_out(sha256(str(n)), 50, SALT))
    columns = {"email": IDENTITY_TYPES["EMAIL"], "idfa": IDENTITY_TYPES["IDFA"]}
    tally, path = StreamTally("a"), tmp_path / "out.jsonl"
    file = JsonLinesFile(path, "holdout_path")
    rows = HeldRows(HoldOut(50, SALT), tally, columns, KeyValues(["id"], columns, {}), file)
    assert rows.takes({"id": 1, "idfa": "x"}, {"idfa": [pack_identity(sha256(str(device)))]})
    assert (tally.held_out_rows, path.read_text()) == (1, '{"stream":"a","key":{"id":1}}\n')


def test_without_a_file_rows_are_counted_only() -> None:
    rows, tally = held_rows(None, "id")
    assert rows.takes({"id": 1, "email": address(OUT)}, {"email": [IDENTITY]})
    assert not rows.takes({"id": 2, "email": None}, {})
    assert tally.held_out_rows == 1


def test_a_file_that_cannot_be_written_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="The file at `holdout_path` cannot be written"):
        JsonLinesFile(tmp_path, "holdout_path")
