"""Random Singer streams: rows as they usually are, odd values, and broken lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.support.messages import sha256

UUID = "2f1e4fc0-81fd-4f8c-b4a1-0c2d3e4f5a6b"


ZERO = "00000000-0000-0000-0000-000000000000"


EMAILS: list[Any] = [
    *[f"person{n}@example.com" for n in range(8)], " Person1@EXAMPLE.com ", "\tperson2@example.com", "", " ", None,
    None, "no address", "a@b.com\nc@d.com", "a@b.com\n", "\n", "é.person@example.com", "person@exämple.com",
    sha256("person3@example.com"), sha256("person3@example.com").upper(), sha256(""), "a" * 300 + "@example.com",
    "1" * 260, 7, 1.5, True, ["person1@example.com"], {"x": 1},
    [], [None], ["person2@example.com", "person1@example.com", "bad", 7],
    ["person4@example.com", ["person5@example.com"]], [f"person{n % 9}@example.com" for n in range(20)],
    "person1@example.com,person2@example.com",
    "\u200bperson4@example.com", "person5@example.com\r", "\x00", "person6@example.com\x85",
    "\u212aelvin@example.com", "per..son@example.com", "person.@example.com",
    "per..son@docomo.ne.jp", "person.@ezweb.ne.jp", "per-.-son@example.com", "person@-example.com",
    "person@mail.-example.com", "person@example-.com", "person@example.com-", "person@ex_ample.com",
    f"person@{'a' * 64}.com", f"person@{'a' * 63}.com", "İ@example.com", "\uff50@example.com",
    "0" * 64, "0" * 40, "0" * 32, sha256("None"),
]  # fmt: skip


DEVICES: list[Any] = [UUID, UUID.upper(), f" {UUID}", ZERO, None, "", UUID.replace("-", ""), "x", 5, UUID + "\n"]


PHONES: list[Any] = [
    *[f"+49 30 1234567{n}" for n in range(4)], "+4930 12345671", "0049 (0)30 1234567-2", " +49.30.12345673 ", None, "",
    "030 12345671", "(030) 12345672", "4930", 493012345673, "+1 415 555 2671", "+14155552671", "+1415555267", "+10000",
    "+7 916 123-45-67", "+39 06 69821234", "+4903012345671", "+49003012345671", "+999123456789", "+", "00", "+0", "0",
    "+49 30 12345671 ext. 5", "+49 30 12345671x5", "tel:+49-30-12345671", "+49  30 12345671", "+49-30--12345671",
    "+1-800-FLOWERS", "\uff0b49 30 12345671", "+49\u00a030\u00a012345671", "+49\u206030 12345671", "+4930123\n45671",
    "+49 30 12345678901234", "+493012345678901", "+4930123456789012", "+49301", "+4930123", "+353 1 123", "+3531123",
    "+4930 12345671,+4930 12345672", sha256("493012345670"), sha256("493012345671").upper(), sha256("0"), "9" * 32,
    True, 1.5, ["+493012345671"], "+\u0664\u0669 30 12345671", "++493012345671", "+49+3012345671", "+ 49 30 12345671",
]  # fmt: skip


OPAQUE: list[Any] = ["XY1234", 17, None, "", "a b", UUID, 1.0]


emails, devices, phones, opaque = map(st.sampled_from, (EMAILS, DEVICES, PHONES, OPAQUE))
VALUES = {
    "email": emails, "email_address": emails, "gaid": devices, "idfa": devices, "maid": devices, "phone": phones,
    "lr_id": opaque,
}  # fmt: skip


columns_of_streams = st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True)


@st.composite
def schemas(draw: st.DrawFn, stream: str, *, consent: bool) -> bytes:
    key = draw(st.sampled_from([["id"], ["id"], ["id"], ["id", "part"], []]))
    columns = [*draw(columns_of_streams), *(["ok"] if consent else []), "id", "part", "note", "segment", "Gone"]
    if draw(st.integers(0, 30)) == 0:
        columns.append('a "quoted" name')
    message = {
        "type": "SCHEMA", "stream": stream, "key_properties": key,
        "schema": {"type": "object", "properties": {name: {} for name in columns}},
    }  # fmt: skip
    return json.dumps(message).encode()


keys = st.sampled_from([1, 2, 3, 4, 5, 6, "1", 1.0, 10**30, 1.5, "x", None])


rare = st.integers(0, 20)


segments = st.sampled_from(["x", "x", "x", "y", " y", 7, None, "", True, UUID, "p1@example.com", "x\ny"])


@st.composite
def records(draw: st.DrawFn, stream: str) -> bytes:
    record: dict[str, Any] = {
        "id": draw(keys),
        "part": 1,
        "note": draw(st.sampled_from(["", "é", "\ud800", {"a": []}])),
    }
    for column, values in VALUES.items():
        if draw(rare):
            record[column] = draw(values)
    if draw(rare):
        record["segment"] = draw(
            st.sampled_from(["x", "x", "y", " y", 7, None, "", True, UUID, "p1@example.com", "\n"])
        )
    if not draw(rare):
        record["_sdc_deleted_at"] = draw(st.sampled_from([None, "2026-11-22", "false", 0, True]))
    if draw(st.booleans()):
        record["Gone"] = draw(st.sampled_from([None, "N", "N", 0.0, "0000-00-00", [], "Y", 1, {"at": 1}]))
    if not draw(rare):
        # A tap that flattens objects leaves the columns of a null object out.
        record["lr"] = draw(st.sampled_from([None, {}, {"id": 1}, "", 7]))
        record.pop("lr_id", None)
    if draw(rare):
        record["ok"] = draw(st.sampled_from([True, True, True, False, "Y", "1", 1.0, "no", ["yes"], None]))
    if not draw(rare):
        del record[draw(st.sampled_from(sorted(record)))]
    message = {"type": "RECORD", "stream": stream, "record": record}
    if draw(st.booleans()):
        message = dict(reversed(message.items()))
    return json.dumps(message, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


def tidy_records(stream: str) -> st.SearchStrategy[list[bytes]]:
    """Records as they usually are, many at once."""

    def lines(first: int, count: int) -> list[bytes]:
        return [
            json.dumps(
                {"type": "RECORD", "stream": stream, "record": {
                    "id": number, "part": 1, "ok": True, "email": f"p{number}@example.com", "email_address": None,
                    "gaid": UUID, "idfa": None, "maid": None, "lr_id": f"XY{number}",
                    "phone": f"+49 30 {1000 + number}",
                    "segment": "xyz"[number % 3],
                }}
            ).encode()
            for number in range(first, first + count)
        ]  # fmt: skip

    return st.builds(lines, st.integers(0, 20), st.integers(1, 40))


odd_lines = st.sampled_from(
    [
        b"", b"  ", b"\r", b'{"type": "STATE", "value": {"at": 1}}', b'{"type": "STATE", "value": {"at": 2.50}}',
        b'{"type": "STATE", "value": null}', b'{"type": "ACTIVATE_VERSION", "stream": "a", "version": 1}',
        b'{"type": "RECORD", "stream": "a", "record": {"id": 9, "id": 8, "email": "x", "email": "p@example.com"}}',
        b'{"type": "RECORD", "stream": "a", "record": {"id": 9, "em\\u0061il": "q@example.com", "note": NaN}}',
        b'\xef\xbb\xbf{"type": "RECORD", "stream": "a", "record": {"id": 9, "email": "r@example.com"}}',
        b'{"type": "RECORD", "stream": "a", "record": {"id": 1e999, "email": "s@example.com", "x": 1e999}}',
        b'{"type": "RECORD", "stream": "a", "record": {"id": 1e99999999999999999999, "email": "v@example.com"}}',
        b'{"type": "R\\u0045CORD", "stream": "a", "record": {"id": 7, "email": "t@example.com"}, "time_extracted": 1}',
        b'{"type": "RECORD", "stream": "a", "record": {"id": 7, "email": "u@example.com", "d": ' + b"[" * 99 + b"]" * 99
        + b"}}",
    ]
)  # fmt: skip


broken_lines = st.sampled_from(
    [
        b"{", b'{"type": "RECORD"', b"[]", b"{}", b'{"type": "UNKNOWN"}', b'{"type": "RECORD", "stream": "a"}',
        b'{"type": "RECORD", "stream": "nobody", "record": {}}', b'{"type": "RECORD", "stream": "a", "record": null}',
        b'{"type": "RECORD", "stream": "a", "record": {"id": 1, "note": "\xff"}}', b'{"type": "STATE"}', b"{}{}",
        b'{"type": "STATE", "value": 1}{"type": "STATE", "value": 2}', b'{"type": "RECORD", "stream": 5, "record": {}}',
        b'{"type": "RECORD", "stream": "a", "record": {"id": 1, "note": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"type": "RECORD", "stream": "a", "record": {"id": 1, "note": "\x01"}}', b'"RECORD"', b"\xff",
    ]
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, line: bytes) -> bytes:
    """A line with some bytes overwritten, put in or taken out."""
    start = draw(st.integers(0, len(line)))
    put = draw(st.sampled_from([b"", b'"', b"{", b"}", b",", b"\x00", b"\xff", b"\xed\xa0\x80", b"\\", b"NaN", b"[[["]))
    return line[:start] + put + line[start + draw(st.integers(0, 3)) :]


@st.composite
def streams(draw: st.DrawFn, *, consent: bool) -> list[bytes]:
    names = st.sampled_from(["a", "a", "a", "b"])
    lines = [draw(schemas("a", consent=consent)), draw(schemas("b", consent=consent))]
    for _ in range(draw(st.integers(1, 12))):
        stream = draw(names)
        chance = draw(st.integers(0, 9))
        if chance < 4:
            lines += draw(tidy_records(stream))
        elif chance < 7:
            lines += draw(st.lists(records(stream), max_size=8))
        elif chance < 9:
            lines.append(draw(odd_lines))
        else:
            lines.append(draw(schemas(stream, consent=consent)))
    if draw(st.integers(0, 4)) == 0:
        lines.insert(draw(st.integers(0, len(lines))), draw(broken_lines))
    elif draw(st.integers(0, 2)) == 0:
        place = draw(st.integers(0, len(lines) - 1))
        lines[place] = draw(damaged(lines[place]))
    lines.append(b'{"type": "STATE", "value": {"at": "the end"}}')
    return lines


def blocks_of(lines: Sequence[bytes], sizes: Sequence[int]) -> Iterator[bytes]:
    at = 0
    while at < len(lines):
        for size in sizes:
            if at < len(lines):
                yield b"\n".join(lines[at : at + size]) + b"\n"
                at += size
