"""Several loaders of one table, and two tables of one name: each loader changes its own lists only."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.ledger.catalogue.loaders import Kinship, Loader
from target_pinterest_audience.ledger.open import open_ledger
from target_pinterest_audience.ledger.postgres.session import CutTransactionError
from target_pinterest_audience.membership.events import Event, Kind, Named, Plan, Slot
from target_pinterest_audience.membership.statements import Stance, Statement
from target_pinterest_audience.reconcile.sources.loaders import OtherLoaders, fed_together, relations
from target_pinterest_audience.reconcile.sources.source_run import SourceRun
from tests.support.account import ACCOUNT, members
from tests.support.ledgers import API
from tests.support.ledgers import address as address_of
from tests.support.messages import deleted, digests, people, record, schema, state
from tests.support.processes import Prune, Target

GONE = schema("email", "consent", "_sdc_deleted_at")
HERE = {"customer_list_name": "here"}
THERE = {"customer_list_name": "there"}


@pytest.fixture(params=["sqlite", "postgres"])
def config(request: pytest.FixtureRequest, config: dict[str, Any]) -> dict[str, Any]:
    """Settings for each kind of ledger."""
    if request.param == "postgres":
        config["ledger_url"] = address_of(request.getfixturevalue("database"))
    return {name: value for name, value in config.items() if name != "load_method"}


def test_a_delete_in_one_table_does_not_affect_another_of_the_same_name(emulator: Emulator, run_target: Target) -> None:
    run_target([GONE, *people(range(5))], **HERE)
    others = [record(id=n, email=f"other{n}@example.com") for n in range(5)]
    told = run_target([GONE, *others], **THERE)
    assert "give it a `source_name` of its own" in told.stderr
    run_target([GONE, deleted(3), deleted(4)], **THERE)
    assert members(emulator, "here") == digests(range(5))
    assert len(members(emulator, "there")) == 3


def test_a_delete_in_the_first_run_of_another_table_does_not_affect_the_first_table(
    emulator: Emulator, run_target: Target
) -> None:
    run_target([GONE, *people(range(5))], **HERE)
    others = [record(id=n, email=f"other{n}@example.com") for n in range(5)]
    run_target([GONE, *others, deleted(3)], **THERE)
    assert members(emulator, "here") == digests(range(5))


def test_a_table_without_identities_is_not_compared_with_another_of_the_same_name(
    emulator: Emulator, run_target: Target
) -> None:
    run_target([GONE, *people(range(5))], **HERE)
    bare = [schema("city"), record(id=1, city="Ghent"), state(1)]
    leads = [schema("email", stream="leads"), record("leads", id=1, email="person9@example.com")]
    other = {"streams": {"leads": {"customer_list_name": "there"}}}
    told = run_target([*leads, *bare], **other)
    assert (told.code, told.states) == (0, [state(1)["value"]]), told.stderr
    assert "other settings added people from a source with this name to other lists" in told.stderr
    assert members(emulator, "here") == digests(range(5))
    own = run_target([*leads, *bare], **other, **HERE)
    assert (own.code, own.states) == (2, []), "the same list: it is the table that fed it"


def test_a_refusal_that_one_loader_reads_does_not_affect_the_list_of_another(
    emulator: Emulator, run_target: Target
) -> None:
    asked = {**HERE, "consent_column": "consent"}
    yes = [record(id=n, email=f"person{n}@example.com", consent="yes") for n in range(5)]
    no = [{**each, "record": {**each["record"], "consent": "no"}} for each in yes]
    run_target([GONE, *yes], **asked)
    run_target([GONE, *yes], **THERE)
    run_target([GONE, *yes], **asked)
    run_target([GONE, *yes], **THERE)
    run_target([GONE, *no], **asked)
    assert members(emulator, "here") == frozenset()
    assert members(emulator, "there") == digests(range(5))


def test_a_deleted_row_leaves_its_former_list_though_its_address_changed_since(
    emulator: Emulator, run_target: Target
) -> None:
    run_target([GONE, *people(range(5))], **HERE)
    run_target([GONE, *people(range(5))], **THERE)
    run_target([GONE, record(id=1, email="new@example.com")], **THERE)
    run_target([GONE, deleted(1)], **THERE)
    assert members(emulator, "here") == members(emulator, "there") == digests([0, 2, 3, 4])


def test_a_deleted_row_leaves_its_former_lists_though_name_algorithm_and_columns_changed(
    emulator: Emulator, run_target: Target
) -> None:
    both = schema("email", "lr_id", "_sdc_deleted_at")
    run_target([both, *(record(id=n, email=f"person{n}@example.com", lr_id=f"XY{n}") for n in range(3))], **HERE)
    settings = {**THERE, "hash_algorithm": "md5", "identity_columns": {"email": "EMAIL"}}
    run_target([both, *people(range(1, 3)), deleted(0)], **settings)
    assert members(emulator, "here") == digests(range(1, 3))
    assert members(emulator, "here - LR_ID") == {"XY1", "XY2"}
    assert len(members(emulator, "there")) == 2


def test_a_few_changed_addresses_do_not_make_it_another_table(emulator: Emulator, run_target: Target) -> None:
    run_target([GONE, *people(range(5))], **HERE)
    run_target([GONE, record(id=1, email="moved@example.com")], **THERE)
    run_target([GONE, deleted(1), deleted(3)], **THERE)
    assert members(emulator, "here") == digests({0, 2, 4})


@pytest.mark.parametrize(
    "settings",
    [
        {"operation": "remove"},
        {"consent_column": "consent"},
        {"removal_column": "left"},
        {"holdout_percent": 50},
        {"list_name_column": "segment", "customer_list_name": None},
    ],
    ids=str,
)
def test_another_loader_of_the_same_table_does_not_change_a_list_by_rules_of_its_own(
    emulator: Emulator, run_target: Target, settings: dict[str, Any]
) -> None:
    table = schema("email", "consent", "left", "segment", "_sdc_deleted_at")
    rows = [
        record(id=n, email=f"person{n}@example.com", consent=n < 6, left=n > 7 or None, segment="there")
        for n in range(10)
    ]
    run_target([table, *rows], **HERE)
    emulator.backend.create_list("there")
    for _ in range(2):
        assert run_target([table, *rows], **{**THERE, **settings}).code == 0
        assert members(emulator, "here") == digests(range(10))


def test_who_is_deleted_leaves_the_former_list_though_consent_is_asked_for_since(
    emulator: Emulator, run_target: Target
) -> None:
    run_target([GONE, *people(range(5))], **HERE)
    stream = [GONE, record(id=3, email="person3@example.com", consent=False), deleted(1)]
    assert run_target(stream, **THERE, consent_column="consent").code == 0
    assert members(emulator, "here") == digests({0, 2, 3, 4})


@pytest.mark.parametrize("first", ["customers", "staff"])
def test_the_order_of_streams_does_not_matter_to_the_former_lists(
    emulator: Emulator, run_target: Target, first: str
) -> None:
    named = {"customers": {"source_name": "crm"}, "staff": {"source_name": "crm", "consent_column": "consent"}}
    streams = {name: schema("email", "consent", "_sdc_deleted_at", stream=name) for name in (first, *named)}
    run_target([*streams.values(), *people(range(5))], **HERE, streams=named)
    changed = {**THERE, "streams": {**named, "customers": {"source_name": "crm", "consent_column": "consent"}}}
    stream = [*streams.values(), record(id=3, email="person3@example.com", consent=False), deleted(1)]
    assert run_target(stream, **changed).code == 0
    assert members(emulator, "here") == digests({0, 2, 4})


def test_who_refuses_leaves_the_former_list_if_only_the_list_changed(emulator: Emulator, run_target: Target) -> None:
    consent = {"consent_column": "consent"}
    run_target(
        [GONE, *(record(id=n, email=f"person{n}@example.com", consent=True) for n in range(5))], **HERE, **consent
    )
    run_target([GONE, record(id=3, email="person3@example.com", consent=False)], **THERE, **consent)
    assert members(emulator, "here") == digests({0, 1, 2, 4})


def test_lists_of_settings_that_no_longer_run_are_a_warning_in_each_run(emulator: Emulator, run_target: Target) -> None:
    for each in (HERE, THERE, HERE):
        run_target([GONE, *people(range(5))], **each)
    told = run_target([GONE, *people(range(5))], **HERE)
    assert 'customer list "there"' not in told.stderr.replace("(id", "")
    assert "If those settings are not used any more, `clear` these lists" in told.stderr
    run_target([GONE, deleted(1)], **HERE)
    assert members(emulator, "there") == digests(range(5))


def test_each_loader_of_a_table_prunes_its_own_list(emulator: Emulator, run_target: Target, run_prune: Prune) -> None:
    here, there = ({**each, "load_method": "overwrite"} for each in (HERE, THERE))
    for each in (here, there, here, there):
        run_target([GONE, *people(range(20))], **each)
    run_target([GONE, *people(range(17))], **here)
    run_target([GONE, *people(range(1, 20))], **there)
    assert run_prune(**here).code == 0
    assert run_prune(**there).code == 0
    assert members(emulator, "here") == digests(range(17))
    assert members(emulator, "there") == digests(range(1, 20))


def test_prune_by_one_loader_keeps_the_people_of_another(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    here, there = ({**each, "load_method": "overwrite"} for each in (HERE, THERE))
    run_target([GONE, *people(range(20))], **here)
    run_target([GONE, *people(range(20))], **there)
    run_target([GONE, *people(range(20))], **here)
    run_target([GONE, *people(range(17))], **there)
    assert run_prune(**there).code == 0
    assert run_prune(**here).code == 0
    assert members(emulator, "here") == digests(range(20))
    assert members(emulator, "there") == digests(range(17))


# Who is related to whom


def loader(list_number: int, configuration: str, first: int, last: int, source: int = 1) -> Loader:
    return Loader(source, list_number, configuration, first, last)


@pytest.mark.parametrize(
    ("loaders", "strangers", "idle", "unclear_lists"),
    [
        ([], set(), set(), set()),
        ([loader(2, "other", 1, 1)], set(), set(), {2}),
        ([loader(1, "mine", 2, 6), loader(2, "other", 1, 1)], set(), set(), {2}),
        ([loader(1, "mine", 2, 6), loader(2, "other", 1, 3)], {2}, {2}, set()),
        ([loader(1, "mine", 2, 6), loader(2, "other", 1, 7)], {2}, set(), set()),
        ([loader(1, "other", 1, 7), loader(2, "other", 1, 7)], set(), set(), set()),
        ([loader(1, "third", 1, 7), loader(2, "third", 1, 7), loader(3, "fourth", 1, 7), loader(2, "fourth", 1, 7)],
         set(), set(), set()),
        ([loader(2, "other", 1, 7, source=2)], set(), set(), set()),
        ([loader(2, "mine", 1, 7)], set(), set(), set()),
    ],
)  # fmt: skip
def test_only_loaders_that_share_a_list_belong_together(
    loaders: list[Loader], strangers: set[int], idle: set[int], unclear_lists: set[int]
) -> None:
    assert relations(1, "mine", 9, [1], loaders)[1:] == (strangers, idle, unclear_lists, set())


def test_rules_tell_loaders_apart() -> None:
    ours = {"refusal:a", "deletion:x", "deletion:y"}
    loaders = [
        Loader(1, number, "other", 1, 1, frozenset(rules))
        for number, rules in enumerate(
            ({"refusal:a", "deletion:y"}, {"refusal:b", "deletion:y"}, {"deletion:z"}, {}), 2
        )
    ]
    assert relations(1, "mine", 9, [1], loaders, ours)[1:] == ({4}, {4}, {2, 3, 5}, {3})


@pytest.mark.parametrize("place", [("loaders", "kinship"), ("sources", "name")])
def test_another_table_stays_another_if_the_server_restarts_while_a_stream_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: tuple[str, str]
) -> None:
    """The transaction is cut between two look-ups, and begun again."""
    with closing(open_ledger(f"sqlite:///{tmp_path}/ledger.db", API, ACCOUNT, wait_seconds=5)) as ledger:
        catalogue = ledger.catalogue
        with ledger.transaction():
            number = catalogue.sources.add("contacts")
            _, theirs, unknown = (catalogue.lists.add(None, name).number for name in ("here", "there", "elsewhere"))
            for each, settings in ((theirs, "theirs"), (unknown, "others")):
                catalogue.loaders.note(number, each, settings, 1)
            catalogue.loaders.set_kinship(number, theirs, "mine", Kinship(0, 5))
        others, source = OtherLoaders(ledger, "mine", 9, logging.getLogger(__name__)), SourceRun(number)

        def cut(*_arguments: object) -> None:
            raise CutTransactionError

        with monkeypatch.context() as patched:
            table, method = place
            patched.setattr(getattr(catalogue, table), method, cut)
            with pytest.raises(CutTransactionError):
                others.relate(source, [1])
        others.relate(source, [1])
        assert source.unclear_lists == {theirs: Kinship(0, 5), unknown: Kinship(0, 0)}
        assert source.foreign_lists == {theirs}
        assert 'fed other lists under other settings: customer list "elsewhere"' in caplog.text


COLUMNS = {1: Slot("email", "EMAIL"), 2: Slot("lr_id", "LR_ID"), 3: Slot("mail", "EMAIL")}


def says(list_number: int, identity: bytes, slot: int = 1) -> Statement:
    return Statement(list_number, slot, Stance.CONTRIBUTES, identity)


def arrival(identity: bytes, slot: int = 1) -> Event:
    plan = Plan(1, frozenset({1}), COLUMNS, frozenset())
    return Event(Kind.ARRIVED, (Named(1, slot, identity),), frozenset(), plan, line=1)


def fed_before(*together: set[int]) -> SourceRun:
    lists = {number: lists for lists in together for number in lists}
    return SourceRun(1, unclear_lists=dict.fromkeys(lists, Kinship(0, 0)), fed_together=lists)


def test_rows_that_name_the_same_people_are_the_same_table() -> None:
    source = fed_before({2})
    assert source.compare([arrival(b"a")], frozenset({says(2, b"a")})) == {2}
    assert source.compare([arrival(b"b", 3)], frozenset({says(2, b"c")})) == {2}
    assert source.unclear_lists == {2: Kinship(1, 1)}
    source.judge_all([2])
    assert source.foreign_lists == set()
    source.compare([arrival(b"b")], frozenset({says(2, b"c")}))
    source.judge_all([2])
    assert source.foreign_lists == {2}


def test_one_changed_address_does_not_make_it_another_table() -> None:
    source = fed_before({2})
    for strangers in (set(), {2}):
        source.compare([arrival(b"b")], frozenset({says(2, b"c")}))
        source.judge_all([2])
        assert source.foreign_lists == strangers


def test_digests_of_another_algorithm_or_type_are_no_evidence_about_the_table() -> None:
    source = fed_before({2})
    assert source.compare([arrival(b"a")], frozenset({says(2, b"a longer digest")})) == set()
    assert source.compare([arrival(b"a")], frozenset({says(2, b"b", slot=2)})) == set()
    assert source.unclear_lists == {2: Kinship(0, 0)}
    assert source.compare([arrival(b"a", slot=2)], frozenset({says(2, b"a")})) == {2}


def test_lists_that_the_same_settings_fed_belong_to_one_table() -> None:
    source = fed_before({2, 3}, {4})
    said = frozenset({says(2, b"a"), says(3, b"x", slot=2), says(4, b"b")})
    for _ in range(2):
        assert source.compare([arrival(b"a")], said) == {2, 4}
        assert source.compare([arrival(b"y", slot=2)], said) == {3}
    source.judge_all([2, 3, 4])
    assert source.foreign_lists == {4}
    source.compare([arrival(b"y", slot=2)], said)
    source.judge_all([3])
    assert source.foreign_lists == {2, 3, 4}


def test_settings_that_share_a_list_fed_their_lists_together() -> None:
    loaders = [loader(2, "a", 1, 1), loader(3, "a", 1, 1), loader(3, "b", 1, 1), loader(4, "b", 1, 1)]
    assert fed_together([2, 3, 4, 5], loaders) == {2: {2, 3, 4}, 3: {2, 3, 4}, 4: {2, 3, 4}, 5: {5}}
    assert fed_together([2, 4, 5], [*loaders, loader(5, "c", 1, 1)]) == {2: {2}, 4: {4}, 5: {5}}


def test_a_row_that_was_read_before_is_no_evidence_about_the_table() -> None:
    source = fed_before({2})
    assert source.compare([arrival(b"b")], frozenset({says(2, b"a"), says(1, b"a")})) == set()
    assert source.unclear_lists == {2: Kinship(0, 0)}
