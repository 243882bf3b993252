"""What rows say of themselves, from a stream to the list: a delete, an answer about consent, a value that is null.

Real processes, against the emulator. `test_marks` has each single value, and `test_row_maps` each kind of stream map.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from tests.support.account import Sent, members
from tests.support.batch_files import batch, write
from tests.support.messages import address, deleted, digests, people, record, schema, sha256, state
from tests.support.processes import Target

TIME = "2026-02-01T00:00:00Z"
GONE = schema("email", "_sdc_deleted_at")
SPENT = schema("email", "spent", "_sdc_deleted_at")
FLAT = {"flattening_enabled": True, "flattening_max_depth": 2}


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "load_method"}


def nested(*columns: str) -> dict[str, Any]:
    """A SCHEMA whose columns are those of an object inside `contact`, which may be null."""
    message = schema()
    home = {"type": ["null", "object"], "properties": {name: {"type": ["null", "string"]} for name in columns}}
    message["schema"]["properties"]["contact"] = {"type": ["null", "object"], "properties": {"home": home}}
    return message


def buyers(numbers: range, spent: int = 5000) -> list[dict[str, Any]]:
    return [record(id=n, email=address(n), spent=spent) for n in numbers]


class TestMarks:
    @pytest.mark.parametrize("method", ["upsert", "append-only"])
    def test_the_deletion_mark_of_a_tap_counts_in_capitals(
        self, emulator: Emulator, run_target: Target, method: str
    ) -> None:
        message = schema("EMAIL", "_SDC_DELETED_AT")
        rows = [record(id=n, EMAIL=address(n), _SDC_DELETED_AT=TIME if n == 2 else None) for n in range(3)]
        run_target([message, *rows], load_method=method)
        assert members(emulator) == digests([0, 1])
        again = run_target([message, record(id=1, EMAIL=address(1), _SDC_DELETED_AT=TIME)], load_method=method)
        assert "1 row, 1 of them marked as deleted" in again.stderr
        assert members(emulator) == digests([0])

    def test_a_removal_column_counts_in_any_case(self, emulator: Emulator, run_target: Target) -> None:
        message = schema("email", "Is_Deleted")
        run = run_target([message, *people([1]), record(id=2, email=address(2), Is_Deleted=True)],
                         removal_column="is_deleted")  # fmt: skip
        assert run.code == 0, run.stderr
        assert "may mark deleted rows" not in run.stderr
        assert members(emulator) == digests([1])

    def test_the_deletion_marks_of_tap_and_table_both_count(self, emulator: Emulator, run_target: Target) -> None:
        message = schema("email", "deleted_at", "_sdc_deleted_at")
        settings = {"removal_column": "deleted_at"}
        run_target([message, *people(range(5))], **settings)
        rows = [deleted(0), deleted(1, email=address(1), deleted_at=None), record(id=2, deleted_at=TIME)]
        run = run_target([message, *rows, record(id=3, email=address(3), deleted_at=None)], **settings)
        assert run.code == 0, run.stderr
        assert members(emulator) == digests([3, 4])

    @pytest.mark.parametrize("word", ["N", "0000-00-00 00:00:00", 0.0])
    def test_other_words_for_not_deleted_remove_nobody(
        self, emulator: Emulator, run_target: Target, word: object
    ) -> None:
        message = schema("email", "is_deleted")
        rows = [record(id=n, email=address(n), is_deleted=word) for n in range(20)]
        for _ in range(2):
            assert run_target([message, *rows], removal_column="is_deleted").code == 0
            assert members(emulator) == digests(range(20))


MAPS: list[dict[str, Any]] = [
    {"__filter__": "int(spent) > 1000"},
    {"__filter__": "int(record.get('spent', 0)) > 1000"},
    {"email": "email.lower()"},
    {"id": "id", "email": "email.lower()", "__else__": "__NULL__", "__filter__": "int(spent) > 1000"},
    {"id": "'c' + str(id)", "email": "md5(email) if int(spent) < 0 else email"},
    {"customer": "str(id)", "__key_properties__": ["customer"], "id": None, "spent": None, "email": "email.lower()"},
]


class TestStreamMaps:
    @pytest.mark.parametrize("maps", MAPS, ids=str)
    def test_a_delete_with_only_the_key_passes_stream_maps(
        self, emulator: Emulator, run_target: Target, maps: dict[str, Any]
    ) -> None:
        settings = {"stream_maps": {"customers": maps}}
        assert run_target([SPENT, *buyers(range(4))], **settings).code == 0
        assert members(emulator) == digests(range(4))
        run = run_target([SPENT, deleted(1), state(1)], **settings)
        assert run.code == 0, run.stderr
        assert run.states == [state(1)["value"]]
        assert members(emulator) == digests([0, 2, 3])

    def test_a_row_that_the_filter_drops_is_not_a_delete(self, emulator: Emulator, run_target: Target) -> None:
        settings = {"stream_maps": {"customers": {"__filter__": "int(spent) > 1000"}}}
        run_target([SPENT, *buyers(range(4))], **settings)
        run_target([SPENT, *buyers(range(2), spent=1)], **settings)
        assert members(emulator) == digests(range(4))

    def test_a_delete_reaches_every_list_that_the_stream_is_split_into(
        self, emulator: Emulator, run_target: Target
    ) -> None:
        maps = {"customers": {"__filter__": "int(spent) < 10"},
                "vip": {"__source__": "customers", "__filter__": "int(spent) > 1000"}}  # fmt: skip
        settings = {"stream_maps": maps, "streams": {"customers": {}, "vip": {}}}
        run_target([SPENT, *buyers(range(3)), *buyers(range(3, 6), spent=1)], **settings)
        assert (members(emulator), members(emulator, "vip")) == (digests([3, 4, 5]), digests([0, 1, 2]))
        assert run_target([SPENT, deleted(1), deleted(4)], **settings).code == 0
        assert (members(emulator), members(emulator, "vip")) == (digests([3, 5]), digests([0, 2]))

    @pytest.mark.parametrize("kind", ["jsonl", "parquet"])
    def test_a_delete_in_a_file_passes_stream_maps(
        self, emulator: Emulator, run_target: Target, tmp_path: Path, kind: str
    ) -> None:
        settings = {"stream_maps": {"customers": {"__filter__": "int(spent) > 1000", "email": "email.lower()"}}}
        run_target([SPENT, *buyers(range(4))], **settings)
        url = write(tmp_path / "deletes", [{"id": 1, "_sdc_deleted_at": TIME}], kind)
        assert run_target([SPENT, batch(kind, url)], **settings).code == 0
        assert members(emulator) == digests([0, 2, 3])

    def test_a_delete_whose_key_the_map_cannot_compute_ends_the_run(self, run_target: Target) -> None:
        settings = {"stream_maps": {"customers": {"__key_properties__": ["email"]}}}
        run_target([SPENT, *buyers(range(4))], **settings)
        run = run_target([SPENT, deleted(1), state(1)], **settings)
        assert run.code == 2
        assert "cannot compute email of stream customers for the deleted row on line 2" in run.stderr
        assert run.states == []

    def test_a_deleted_row_without_a_key_is_one_warning(self, run_target: Target) -> None:
        run = run_target([GONE, *people([1]), *[record(id=None, _sdc_deleted_at=TIME)] * 3])
        assert run.code == 0
        assert run.stderr.count("the target cannot find the row to delete") == 1

    def test_a_stream_that_is_mapped_away_is_not_read(self, emulator: Emulator, run_target: Target) -> None:
        run_target([GONE, *people([1, 2])])
        dropped = {"stream_maps": {"customers": None}, "unmapped_streams": "warn"}
        assert run_target([GONE, deleted(1)], **dropped).code == 0
        assert members(emulator) == digests([1, 2])

    def test_a_computed_column_can_be_the_removal_column(self, emulator: Emulator, run_target: Target) -> None:
        settings = {"removal_column": "gone", "stream_maps": {"customers": {"gone": "status == 'closed'"}}}
        message = schema("email", "status")
        run_target([message, *[record(id=n, email=address(n), status="open") for n in range(3)]], **settings)
        run = run_target([message, record(id=1, email=address(1), status="closed")], **settings)
        assert run.code == 0, run.stderr
        assert members(emulator) == digests([0, 2])


class TestNullParents:
    @pytest.mark.parametrize("contact", [None, {}, {"home": None}, {"home": {}}], ids=repr)
    def test_a_row_whose_contact_object_becomes_null_leaves(
        self, emulator: Emulator, run_target: Target, sent: Sent, contact: Any
    ) -> None:
        message = nested("email")
        settings = {"identity_columns": {"contact__home__email": "EMAIL"}, **FLAT}
        rows = [record(id=n, contact={"home": {"email": address(n)}}) for n in range(3)]
        run_target([message, *rows], **settings)
        assert members(emulator) == digests(range(3))
        sent()
        run = run_target([message, record(id=2), record(id=1, contact=contact)], **settings)
        assert run.code == 0, run.stderr
        assert members(emulator) == digests([0, 2])

    @pytest.mark.parametrize(
        ("setting", "name"), [("consent_column", "customers"), ("list_name_column", "yes")], ids=["consent", "segment"]
    )
    def test_a_row_whose_consent_or_segment_object_becomes_null_leaves(
        self, emulator: Emulator, run_target: Target, setting: str, name: str
    ) -> None:
        message = nested("agrees")
        message["schema"]["properties"]["email"] = {"type": "string"}
        settings = {setting: "contact__home__agrees", **FLAT}
        rows = [record(id=n, email=address(n), contact={"home": {"agrees": "yes"}}) for n in range(3)]
        run_target([message, *rows], **settings)
        assert members(emulator, name) == digests(range(3))
        run = run_target([message, record(id=1, email=address(1), contact=None)], **settings)
        assert run.code == 0, run.stderr
        assert "rejected" not in run.stderr
        assert members(emulator, name) == digests([0, 2])


class TestConsent:
    def ask(self, run_target: Target, answers: list[Any], **settings: Any) -> Any:
        rows = [record(id=n, email=address(n), consent=answer) for n, answer in enumerate(answers)]
        return run_target([schema("email", "consent"), *rows], **{"consent_column": "consent", **settings})

    def test_the_words_for_yes_can_be_set(self, emulator: Emulator, run_target: Target) -> None:
        answers = ["ja", "JA ", "nein", "yes", True, 1]
        assert self.ask(run_target, answers, consent_values=["Ja"]).code == 0
        assert members(emulator) == digests([0, 1, 4, 5])

    def test_words_for_yes_may_differ_from_stream_to_stream(self, emulator: Emulator, run_target: Target) -> None:
        streams = {"customers": {"consent_values": '["oui"]'}}
        assert self.ask(run_target, ["oui", "yes"], streams=streams).code == 0
        assert members(emulator) == digests([0])

    @pytest.mark.parametrize(
        ("answers", "words"),
        [
            ([None] * 11, "is null in all 11 rows"),
            (["nein"] * 10 + [None], "holds no yes in any of 11 rows"),
            ([False] * 11, "holds no yes in any of 11 rows"),
            ([None] * 10, None),
            (["no"] * 30 + ["yes"], None),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("method", ["upsert", "append-only"])
    def test_a_run_in_which_nobody_consents_warns(
        self, run_target: Target, answers: list[Any], words: str | None, method: str
    ) -> None:
        run = self.ask(run_target, answers, load_method=method)
        assert run.code == 0, run.stderr
        warning = "customers: nobody consents. Column consent (`consent_column`)"
        assert (warning in run.stderr) == (words is not None)
        assert words is None or words in run.stderr

    def test_deleted_rows_do_not_count_for_the_warning(self, run_target: Target) -> None:
        message = schema("email", "consent", "_sdc_deleted_at")
        run = run_target([message, *[deleted(n, consent=None) for n in range(20)]], consent_column="consent")
        assert "nobody consents" not in run.stderr

    def test_people_return_when_their_rows_consent_again(self, emulator: Emulator, run_target: Target) -> None:
        self.ask(run_target, [True] * 30)
        assert "is null in all 30 rows" in self.ask(run_target, [None] * 30).stderr
        assert members(emulator) == frozenset()
        assert self.ask(run_target, [True] * 29 + [False]).code == 0
        assert members(emulator) == digests(range(29))


def test_a_flattened_delete_with_only_the_key_passes(emulator: Emulator, run_target: Target) -> None:
    message = nested("email")
    message["schema"]["properties"]["_sdc_deleted_at"] = {"type": ["null", "string"]}
    settings = {"identity_columns": {"contact__home__email": "EMAIL"}, **FLAT}
    run_target([message, *[record(id=n, contact={"home": {"email": address(n)}}) for n in range(3)]], **settings)
    assert run_target([message, deleted(1), deleted(2, contact=None)], **settings).code == 0
    assert members(emulator) == frozenset({sha256(address(0))})
