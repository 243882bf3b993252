"""The fast way through the target and the slow one: whatever the stream, they send, say and return the same."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from target_pinterest_audience.identities.column import Remarked, identify_column
from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing
from target_pinterest_audience.identities.identify import identify
from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.records.arrow_column import values_of
from target_pinterest_audience.records.decoder import RecordDecoder, TakeBlock
from target_pinterest_audience.records.null_parents import NO_PARENTS, NullParents
from target_pinterest_audience.records.paths import Path
from target_pinterest_audience.records.position import Place
from tests.support.account import ACCOUNT, TOKEN
from tests.support.in_process import Outcome, run
from tests.support.lengths import examples
from tests.support.messages import sha256
from tests.support.random_streams import (
    DEVICES,
    EMAILS,
    OPAQUE,
    PHONES,
    UUID,
    ZERO,
    blocks_of,
    devices,
    emails,
    opaque,
    phones,
    streams,
)

DEVICES += ["0" * 32, f"{{{ZERO}}}", f"{{{'0' * 32}}}", "0" * 64, sha256("undefined")]


@given(
    kind=st.sampled_from(sorted(IDENTITY_TYPES)),
    values=st.lists(st.one_of(emails, devices, phones, opaque, st.text(max_size=5), st.integers()), max_size=150),
    hashing=st.sampled_from(Hashing),
    algorithm=st.sampled_from(HashAlgorithm),
    tidy=st.integers(min_value=0, max_value=200),
    digested=st.integers(min_value=0, max_value=100),
)
def test_a_column_gives_the_same_result_as_its_values(
    kind: str, values: list[Any], hashing: Hashing, algorithm: HashAlgorithm, tidy: int, digested: int
) -> None:
    usual = {"IDFA": UUID.upper(), "GAID": UUID, "MAID": UUID, "PHONE": "+49 30 12345678"}.get(
        kind, "person@example.com"
    )
    digest = hashlib.new(algorithm.value, b"person@example.com", usedforsecurity=False).hexdigest()
    values = [usual] * tidy + values + [usual] * tidy + [digest, f" {digest.upper()}"] * digested + values
    assert_judged_alike(values, kind, hashing, algorithm)


MD5 = hashlib.md5(b"person@example.com", usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    "usual", ["person@example.com", UUID, UUID.upper(), "+4930123456", sha256("person@example.com"), MD5, "\ud800"]
)
@pytest.mark.parametrize("hashing", Hashing)
@pytest.mark.parametrize("kind", sorted(IDENTITY_TYPES))
def test_unusual_values_give_the_same_result_among_usual_ones(kind: str, hashing: Hashing, usual: str) -> None:
    values = [usual, *EMAILS, usual, *DEVICES, usual, usual, *OPAQUE, usual, *PHONES, usual]
    # A text without blanks is matched by a pattern of its own.
    without_blanks = [value for value in values if not isinstance(value, str) or " " not in value]
    for algorithm in HashAlgorithm:
        assert_judged_alike(values, kind, hashing, algorithm)
        assert_judged_alike(without_blanks, kind, hashing, algorithm)


def assert_judged_alike(values: list[Any], kind: str, hashing: Hashing, algorithm: HashAlgorithm) -> None:
    """A column, whether JSON or a file holds it, is judged as its values are one by one."""
    of_type = IDENTITY_TYPES[kind]
    each = [identify(value, of_type, hashing, algorithm) for value in values]
    remarks = [(place, it.remark) for place, it in enumerate(each) if it.remark not in {None, Remark.EMPTY}]
    identities, told = identify_column(values, of_type, hashing, algorithm)
    assert identities == [pack_identity(it.identity, of_type.wire) if it.identity is not None else None for it in each]
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
    firsts = {each.remark: each.at for each in reversed(told)}
    return identities, counts, firsts, [each for each in told if each.remark.rejects]


def test_a_digest_of_an_empty_value_is_found_among_others() -> None:
    kind, rules = IDENTITY_TYPES["EMAIL"], (Hashing.AUTO, HashAlgorithm.SHA256)
    digest = sha256("person@example.com")
    identities, remarks = identify_column([digest, sha256(""), digest, sha256("null").upper()], kind, *rules)
    assert identities == [pack_identity(digest), None, pack_identity(digest), None]
    assert [each.at for each in remarks if each.remark is Remark.DIGEST_OF_NOTHING] == [1, 3]


@pytest.mark.random
def test_every_short_text_gives_the_same_result_on_both_paths() -> None:
    letters = ["".join(each) for size in range(examples(7, 9)) for each in itertools.product("a1.@", repeat=size)]
    others = [
        f"{a}a{b}@{c}b{d}.{e}c{f}"
        for a, b, c, d, e, f in itertools.product(["", "-", "_", "'", " ", "A"][: examples(5, 6)], repeat=6)
    ]
    long = [
        f"{'a' * 100}@{'b' * 99}.{'c' * 53}",
        f"{'a' * 100}@{'b' * 99}.{'c' * 54}",
        f"{'a' * 101}@b.cc",
        f"a@{'b' * 110}.cc",
        f"a@b.{'c' * 60}",
    ]
    kind, rules = IDENTITY_TYPES["EMAIL"], (Hashing.AUTO, HashAlgorithm.SHA256)
    values = letters + others + long
    identities = [identify(value, kind, *rules).identity for value in values]
    packed = [pack_identity(identity) if identity is not None else None for identity in identities]
    for start in range(0, len(values), 50):
        some = values[start : start + 50]
        assert identify_column(some, kind, *rules)[0] == packed[start : start + 50]
    # A column is judged by what its first values look like.
    for at in range(0, len(values), 25):
        assert identify_column([values[at]], kind, *rules)[0] == [packed[at]]
    usual = ["person@example.com"] * 20
    for value in others[::10] + long + letters[::100]:
        texts = values_of(pa.array([*usual, value, None]))
        assert identify_column(texts, kind, *rules) == identify_column([*usual, value, None], kind, *rules)


@given(before=st.integers(65_530, 65_540), end=st.sampled_from(["é", "€", "😀", "", "éa"]), cut=st.integers(0, 4))
def test_text_that_is_not_utf8_is_left_to_the_slow_path_wherever_it_is_cut(before: int, end: str, cut: int) -> None:
    decoder = RecordDecoder()
    decoder.need("customers", ["id"], lambda _: None)
    text = b"a" * before + end.encode()
    text = text[: len(text) - min(cut, len(end.encode()))]
    for each in (text, text * 2, text + b"\xff", b"\xe9" + text):
        # The decoder skips this value, and would not notice by itself.
        line = b'{"note": "' + each + b'", "id": 1}\n'
        (found,) = decoder.rows("customers", line, Place(1))
        assert isinstance(found, list) == ("\ufffd" in each.decode(errors="replace"))


class _NoFastPath(RecordDecoder):
    def need(
        self,
        stream: str,
        columns: Sequence[str],
        take: TakeBlock,
        written: Mapping[str, Collection[str]] = MappingProxyType({}),
        paths: Mapping[str, Path] = MappingProxyType({}),
        parents: NullParents = NO_PARENTS,
    ) -> None:
        """Leave every record to be read whole."""


@pytest.mark.random
@settings(max_examples=examples(20, 150), deadline=None, suppress_health_check=list(HealthCheck))
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
def test_both_paths_send_log_and_return_the_same(
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


inside = st.fixed_dictionaries(
    {},
    optional={
        "email": st.sampled_from(["person1@example.com", "person2@example.com", None, "x", ["person3@example.com"]]),
        "ok": st.sampled_from([True, True, True, False, None]),
        "gone": st.sampled_from([None, None, None, "2026-11-22", []]),
        "segment": st.sampled_from(["x", "y", None, 7]),
    },
)
parents: st.SearchStrategy[Any] = st.one_of(
    inside, inside, inside, st.sampled_from([None, "", "{}", 7, True, [], [{}], [{"gone": True}], [[]]])
)


@pytest.mark.random
@settings(max_examples=examples(8, 150), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    documents=st.lists(parents, min_size=1, max_size=12),
    way=st.fixed_dictionaries(
        {"load_method": st.sampled_from(["append-only", "upsert"]), "operation": st.just("add")},
        optional={
            "consent_column": st.just("d.ok"),
            "removal_column": st.just("d.gone"),
            "list_name_column": st.just("d.segment"),
        },
    ),
    path=st.sampled_from(["d.email", "d.emial", "d.more.email"]),
)
@example(
    documents=["{}", [{"ok": True}]],
    way={"load_method": "upsert", "operation": "add", "removal_column": "d.gone"},
    path="d.emial",
)
def test_both_paths_read_the_same_inside_objects(documents: list[Any], way: dict[str, Any], path: str) -> None:
    properties = {"id": {}, "mail": {}, "d": {"type": ["object", "array", "string", "null"]}}
    schema = {"type": "object", "properties": properties}
    messages: list[dict[str, Any]] = [{"type": "SCHEMA", "stream": "a", "key_properties": ["id"], "schema": schema}]
    # Odd rows are read one by one also on the fast path, unless there are many of them.
    rows: list[Any] = [{"ok": True, "segment": "x"}] * 100 + documents
    messages += [
        {"type": "RECORD", "stream": "a", "record": {"id": n, "mail": f"p{n}@example.com", "d": each}}
        for n, each in enumerate(rows)
    ]
    config = {
        "ad_account_id": ACCOUNT, "access_token": TOKEN, **way, "create_audience": False, "max_removal_percent": 100,
        "max_deleted_percent": 100, "identity_columns": {"mail": "EMAIL", path: "EMAIL"},
    }  # fmt: skip
    lines = [json.dumps(each).encode() + b"\n" for each in messages]
    fast = run([b"".join(lines)], config, RecordDecoder())
    slow = run(lines, config, _NoFastPath())
    if "list_name_column" in way:
        fast, slow = (each._replace(states=each.states[-1:]) for each in (fast, slow))
    for field, by_blocks, line_by_line in zip(Outcome._fields, fast, slow, strict=True):
        assert by_blocks == line_by_line, field
