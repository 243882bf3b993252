"""The fast way through the target and the slow one: whatever the stream, they send, say and return the same."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import signal
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.errors import StreamError, TargetError
from target_pinterest_audience.identities.column import Remarked, identify_column
from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.types import IDENTITY_TYPES, HashAlgorithm, Hashing, Remark, identify
from target_pinterest_audience.records.arrow_column import values_of
from target_pinterest_audience.records.blocks import RecordDecoder, TakeBlock, _is_utf8
from target_pinterest_audience.reporting.stream_summary import sentences
from target_pinterest_audience.singer.reader import MessageReader
from target_pinterest_audience.singer.target import TargetPinterestAudience
from target_pinterest_audience.vocabulary import ListType
from tests.conftest import ACCOUNT, TOKEN
from tests.messages import sha256

UUID = "2f1e4fc0-81fd-4f8c-b4a1-0c2d3e4f5a6b"
ZERO = "00000000-0000-0000-0000-000000000000"

EMAILS: list[Any] = [
    *[f"person{n}@example.com" for n in range(8)], " Person1@EXAMPLE.com ", "\tperson2@example.com", "", " ", None,
    None, "no address", "a@b.com\nc@d.com", "a@b.com\n", "\n", "é.person@example.com", "person@exämple.com",
    sha256("person3@example.com"), sha256("person3@example.com").upper(), sha256(""), "a" * 300 + "@example.com",
    "1" * 260, 7, 1.5, True, ["person1@example.com"], {"x": 1}, "person1@example.com,person2@example.com",
    "\u200bperson4@example.com", "person5@example.com\r", "\x00", "person6@example.com\x85",
    "\u212aelvin@example.com", "per..son@example.com", "person.@example.com",
    "per..son@docomo.ne.jp", "person.@ezweb.ne.jp", "per-.-son@example.com", "person@-example.com",
    "person@example-.com", "person@example.com-", "person@ex_ample.com", f"person@{'a' * 64}.com",
    f"person@{'a' * 63}.com", "İ@example.com", "\uff50@example.com", "0" * 64, "0" * 40, "0" * 32, sha256("None"),
]  # fmt: skip
DEVICES: list[Any] = [UUID, UUID.upper(), f" {UUID}", ZERO, None, "", UUID.replace("-", ""), "x", 5, UUID + "\n"]
DEVICES += ["0" * 32, f"{{{ZERO}}}", f"{{{'0' * 32}}}", "0" * 64, sha256("undefined")]
OPAQUE: list[Any] = ["XY1234", 17, None, "", "a b", UUID, 1.0]
emails, devices, opaque = map(st.sampled_from, (EMAILS, DEVICES, OPAQUE))
VALUES = {"email": emails, "email_address": emails, "gaid": devices, "idfa": devices, "maid": devices, "lr_id": opaque}


@given(
    kind=st.sampled_from(sorted(IDENTITY_TYPES)),
    values=st.lists(st.one_of(emails, devices, opaque, st.text(max_size=5), st.integers()), max_size=150),
    hashing=st.sampled_from(Hashing),
    algorithm=st.sampled_from(HashAlgorithm),
    tidy=st.integers(min_value=0, max_value=200),
    digested=st.integers(min_value=0, max_value=100),
)
def test_a_column_is_judged_like_its_values(
    kind: str, values: list[Any], hashing: Hashing, algorithm: HashAlgorithm, tidy: int, digested: int
) -> None:
    usual = UUID.upper() if kind == "IDFA" else UUID if kind in {"GAID", "MAID"} else "person@example.com"
    digest = hashlib.new(algorithm.value, b"person@example.com", usedforsecurity=False).hexdigest()
    values = [usual] * tidy + values + [usual] * tidy + [digest, f" {digest.upper()}"] * digested + values
    assert_judged_alike(values, kind, hashing, algorithm)


MD5 = hashlib.md5(b"person@example.com", usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    "usual", ["person@example.com", UUID, UUID.upper(), sha256("person@example.com"), MD5, "\ud800"]
)
@pytest.mark.parametrize("hashing", Hashing)
@pytest.mark.parametrize("kind", sorted(IDENTITY_TYPES))
def test_all_that_is_odd_is_judged_alike_among_what_is_usual(kind: str, hashing: Hashing, usual: str) -> None:
    values = [usual, *EMAILS, usual, *DEVICES, usual, usual, *OPAQUE, usual]
    for algorithm in HashAlgorithm:
        assert_judged_alike(values, kind, hashing, algorithm)


def assert_judged_alike(values: list[Any], kind: str, hashing: Hashing, algorithm: HashAlgorithm) -> None:
    """A column, whether JSON or a file holds it, is judged as its values are one by one."""
    of_type = IDENTITY_TYPES[kind]
    each = [identify(value, of_type, hashing, algorithm) for value in values]
    remarks = [(place, it.remark) for place, it in enumerate(each) if it.remark not in {None, Remark.EMPTY}]
    identities, told = identify_column(values, of_type, hashing, algorithm)
    assert identities == [pack_identity(it.identity) if it.identity is not None else None for it in each]
    assert [(at, remark) for at, remark, _ in told if remark.rejects] == [it for it in remarks if it[1].rejects]
    counts: Counter[Remark] = Counter()
    for at, remark, count in told:
        counts[remark] += count
        assert (at, remark) in remarks
        assert count == 1 or not remark.rejects
    assert counts == Counter(remark for _, remark in remarks)
    texts = [value for value in values if value is None or (isinstance(value, str) and value.isprintable())]
    texts += ["two\nlines@example.com", "\ttab@example.com", "z\u200b@example.com"] if len(values) % 2 else []
    column = values_of(pa.array(texts, pa.string()))
    assert list(column) == texts
    rules = of_type, hashing, algorithm
    assert summed_up(*identify_column(column, *rules)) == summed_up(*identify_column(texts, *rules))
    assert dict(reversed([(remark, at) for at, remark, _ in told])) == dict(reversed([it[::-1] for it in remarks]))


def summed_up(identities: list[bytes | None], told: list[Remarked]) -> tuple[Any, ...]:
    """All that anybody makes of a column: neighbours may be told of together or one by one."""
    counts: Counter[Remark] = Counter()
    for each in told:
        counts[each.remark] += each.values
    firsts = {each.remark: each.place for each in reversed(told)}
    return identities, counts, firsts, [each for each in told if each.remark.rejects]


def test_the_digest_of_nothing_is_found_among_others() -> None:
    kind, rules = IDENTITY_TYPES["EMAIL"], (Hashing.AUTO, HashAlgorithm.SHA256)
    digest = sha256("person@example.com")
    identities, remarks = identify_column([digest, sha256(""), digest, sha256("null").upper()], kind, *rules)
    assert identities == [pack_identity(digest), None, pack_identity(digest), None]
    assert [each.place for each in remarks if each.remark is Remark.DIGEST_OF_NOTHING] == [1, 3]


def test_everything_short_that_could_be_an_address_is_judged_alike() -> None:
    letters = ["".join(each) for size in range(9) for each in itertools.product("a1.@", repeat=size)]
    others = [
        f"{a}a{b}@{c}b{d}.{e}c{f}" for a, b, c, d, e, f in itertools.product(["", "-", "_", "'", " ", "A"], repeat=6)
    ]
    long = [
        f"{'a' * 100}@{'b' * 99}.{'c' * 53}",
        f"{'a' * 100}@{'b' * 99}.{'c' * 54}",
        f"{'a' * 101}@b.cc",
        f"a@{'b' * 110}.cc",
        f"a@b.{'c' * 60}",
    ]
    kind, rules = IDENTITY_TYPES["EMAIL"], (Hashing.AUTO, HashAlgorithm.SHA256)
    for value in letters + others + long:
        identity = identify(value, kind, *rules).identity
        assert identify_column([value], kind, *rules)[0] == [pack_identity(identity) if identity is not None else None]
    usual = ["person@example.com"] * 20
    for value in others + long + letters[::20]:
        texts = values_of(pa.array([*usual, value, None]))
        assert identify_column(texts, kind, *rules) == identify_column([*usual, value, None], kind, *rules)


@given(before=st.integers(65_530, 65_540), end=st.sampled_from(["é", "€", "😀", "", "éa"]), cut=st.integers(0, 4))
def test_what_is_no_utf8_is_told_wherever_it_is_cut(before: int, end: str, cut: int) -> None:
    text = b"a" * before + end.encode()
    text = text[: len(text) - min(cut, len(end.encode()))]
    for each in (text, text * 2, text + b"\xff", b"\xe9" + text):
        assert _is_utf8(each) == (b"\x00" not in each.decode(errors="replace").replace("\ufffd", "\0").encode())


class _NoFastPath(RecordDecoder):
    def need(
        self,
        stream: str,
        columns: Sequence[str],
        take: TakeBlock,
        written: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        """Leave every record to be read whole."""


class Outcome(NamedTuple):
    """All that can be seen of a run."""

    writes: list[tuple[str, str, str]]
    states: list[Any]
    error: str | None
    told: list[str]
    counts: list[str]


def run(blocks: Sequence[bytes], config: dict[str, Any], records: RecordDecoder) -> Outcome:
    """Run the target in this process, over a stream that comes in blocks."""
    told: list[str] = []
    handler = _Keeper(told)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with tempfile.TemporaryDirectory() as folder, Emulator(access_token=TOKEN, ad_account_id=ACCOUNT) as emulator:
        place = {"api_url": emulator.url, "ledger_url": f"sqlite:///{folder}/ledger.db"}
        if config["operation"] == "remove":
            for stream, kind in itertools.product([*"abxyz", "7"], ("", *(f" - {each.value}" for each in ListType))):
                emulator.backend.create_list(stream + kind)
        states: list[Any] = []
        reader = MessageReader(lambda: None)
        reader.records = records
        target = TargetPinterestAudience(config={**config, **place}, message_reader=reader)
        cast("Any", target.current_run)._gate._write = states.append
        logger = logging.getLogger("target-pinterest-audience")
        logger.addHandler(handler)
        error = None
        try:
            target.listen(cast("Any", iter(blocks)))
        except TargetError as raised:
            error = f"{type(raised).__name__}: {raised}"
            if isinstance(raised, StreamError):
                # As the program does: what came before the broken line is whole.
                target.current_run.flush()
        finally:
            logger.removeHandler(handler)
            target.current_run.close()
            for number, former in handlers.items():
                signal.signal(number, former)
        counts = [line for tally in target.run_log.tallies.values() for _, line in sentences(tally)]
        assert error or all(tally.is_balanced for tally in target.run_log.tallies.values()), counts
        names = {each.id: each.name for each in emulator.backend.customer_lists()}
        writes = [_as_written(call.path, call.request or {}, names) for call in emulator.backend.writes()]
    told = [words.replace(folder, "") for words in told]
    return Outcome(sorted(writes, key=lambda write: write[0]), states, error, sorted(told), counts)


def _as_written(path: str, request: dict[str, Any], names: dict[str, str]) -> tuple[str, str, str]:
    name = request.get("name") or names[path.rsplit("/", 1)[-1]]
    return str(name), str(request.get("operation_type", "ADD")), str(request["records"])


class _Keeper(logging.Handler):
    def __init__(self, told: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is told."""
        self._told.append(record.getMessage())


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


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.data(),
    way=st.fixed_dictionaries(
        {
            "load_method": st.sampled_from(["append-only", "append-only", "upsert", "overwrite"]),
            "operation": st.sampled_from(["add", "add", "add", "remove"]),
            "one_list_per_type": st.booleans(),
            "list_name_column": st.sampled_from([None, "segment"]),
            "batch_size_rows": st.sampled_from([1, 3, 20, 10_000]),
            "removal_column": st.sampled_from([None, "gone"]),
        }
    ),
    consent=st.booleans(),
    validate=st.integers(0, 9).map(lambda chance: not chance),
    sizes=st.lists(st.sampled_from([1, 2, 7, 100, 1000]), min_size=1, max_size=3),
)
def test_both_ways_send_say_and_return_the_same(
    data: st.DataObject, way: dict[str, Any], *, consent: bool, validate: bool, sizes: list[int]
) -> None:
    lines = data.draw(streams(consent=consent))
    config: dict[str, Any] = {
        "ad_account_id": ACCOUNT, "access_token": TOKEN, **way, "validate_records": validate,
        "create_audience": False, "initial_backoff_ms": 1, "max_backoff_ms": 1,
        **({"consent_column": "ok"} if consent else {}),
    }  # fmt: skip
    fast = run(list(blocks_of(lines, sizes)), config, RecordDecoder())
    slow = run([line + b"\n" for line in lines], config, _NoFastPath())
    if way["one_list_per_type"] or way["list_name_column"]:
        # Which of two lists gets its batch first is open, and so is which of two states in a row leaves.
        fast, slow = (each._replace(states=each.states[-1:]) for each in (fast, slow))
    for field, by_blocks, line_by_line in zip(Outcome._fields, fast, slow, strict=True):
        assert by_blocks == line_by_line, field
