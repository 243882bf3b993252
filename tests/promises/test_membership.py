"""Random streams, deaths and restarts against the contract; and each line of its table of events by name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.membership.healing import SAFE_SECONDS
from target_pinterest_audience.membership.statements import (
    Stance,
    Statement,
    encode_contributions,
    encode_statements,
)
from tests.support.lengths import examples
from tests.support.memory import MEMORY
from tests.support.messages import sha256
from tests.support.model import LISTS, TYPES, HoldOut, Member, email, idfa, lr_id, member, value
from tests.support.row_histories import COLUMNS, OTHER, STRANGER, histories, late_ways, lates
from tests.support.world import Change, Columns, Entry, Mark, Way, World, change
from tests.support.world_commands import AttendedWorld

deaths = st.lists(st.integers(0, 12), max_size=2)


class RandomHistory(RuleBasedStateMachine):
    """A source changes, and the target reads of it, dies at any instant and begins again."""

    @initialize(strangers=st.booleans())
    def begin(self, *, strangers: bool) -> None:
        self._folder = tempfile.TemporaryDirectory(dir=MEMORY)
        there = [member(column, value(column, OTHER)) for column in ("email", "lr_id")] if strangers else []
        columns = {stream: choices[0] for stream, choices in COLUMNS.items()}
        self.world = AttendedWorld(Path(self._folder.name), columns, [each for each in there if each is not None])

    @rule(entries=histories, way=late_ways, dies=st.integers(0, 20))
    def a_run_is_killed(self, entries: list[Entry], way: Way, dies: int) -> None:
        self.world.happen(*entries)
        self.world.run(way, dies)

    @rule(entries=histories, way=late_ways, dies=st.integers(0, 40))
    def a_run_is_killed_before_it_reads_rows_or_soon_after(self, entries: list[Entry], way: Way, dies: int) -> None:
        self.world.happen(*entries)
        self.world.run(way, dies, early=True)

    @rule(entries=histories, way=late_ways, again=late_ways)
    def a_run_is_left_alone(self, entries: list[Entry], way: Way, again: Way) -> None:
        self.world.happen(*entries)
        self.world.run(way)
        self.world.repeat(again)

    @rule(entries=histories, way=late_ways, blocks=st.integers(1, 6), more=histories, by=late_ways)
    def a_run_loses_its_locks(self, entries: list[Entry], way: Way, blocks: int, more: list[Entry], by: Way) -> None:
        self.world.happen(*entries)
        self.world.run_overtaken(way, blocks, more, by)
        self.world.run()

    @rule(seconds=st.sampled_from([1, 300, 600, 899, 901]))
    def time_passes(self, seconds: int) -> None:
        self.world.wait(seconds)

    @rule(who=st.sampled_from([0, 0, 1, OTHER]), column=st.sampled_from(sorted(TYPES)), deaths=deaths, late=lates)
    def somebody_is_forgotten(self, who: int, column: str, deaths: list[int], late: tuple[int, ...]) -> None:
        found = member(column, value(column, who))
        assert found is not None
        self.world.forget(found.identity, *deaths, late=late)

    @rule(name=st.sampled_from(sorted(set(LISTS.values()))), way=late_ways, deaths=deaths)
    def a_list_is_cleared(self, name: str, way: Way, deaths: list[int]) -> None:
        self.world.clear(name, way, *deaths)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        with self._folder:
            self.world.run()
            self.world.repeat()


TestRandomHistory = pytest.mark.random(RandomHistory.TestCase)
TestRandomHistory.settings = settings(
    max_examples=examples(5, 80), stateful_step_count=20, deadline=None, derandomize=True
)

shares = st.sampled_from([HoldOut(50, "b"), HoldOut(20, "c"), HoldOut(50, "e"), HoldOut(20, "h"), HoldOut(0, "x")])


class HeldOutHistory(RandomHistory):
    """The same with a share of people who are held out, which changes between runs."""

    @rule(holdout=shares)
    def the_share_changes(self, holdout: HoldOut) -> None:
        self.world.hold_out(holdout)

    @rule(holdout=shares, way=late_ways, dies=st.integers(0, 20))
    def the_share_changes_and_a_run_is_killed(self, holdout: HoldOut, way: Way, dies: int) -> None:
        self.world.hold_out(holdout)
        self.world.run(way, dies)

    @rule(who=st.sampled_from([0, 0, 1, OTHER]), column=st.sampled_from(sorted(TYPES)), deaths=deaths, late=lates)
    def somebody_is_forgotten(self, who: int, column: str, deaths: list[int], late: tuple[int, ...]) -> None:
        # The model reads no row again. A killed run would, and have the row say once more what was erased.
        assert self.world.run()
        found = member(column, value(column, who))
        assert found is not None
        self.world.forget(found.identity, *deaths, late=late)
        self.world.begin_log()


TestHeldOutHistory = pytest.mark.random(HeldOutHistory.TestCase)
TestHeldOutHistory.settings = TestRandomHistory.settings


# The table of events, line by line


def make_world(folder: Path, strangers: Iterable[Member] = ()) -> AttendedWorld:
    everything = ("email", "idfa", "phone", "lr_id")
    return AttendedWorld(
        folder, dict.fromkeys(("customers", "accounts", "blocked", "visitors", "segments"), everything), strangers
    )


@pytest.fixture
def world(tmp_path: Path) -> AttendedWorld:
    return make_world(tmp_path)


def on(column: str, number: int) -> Member:
    found = member(column, value(column, number))
    assert found is not None
    return found


def after(world: World, *changes: Change | Columns) -> set[Member]:
    """Who is on the lists when each of the changes came in a run of its own."""
    for each in changes:
        world.happen(each)
        assert world.run()
    world.repeat()
    return world.pinterest.everybody()


def test_a_row_contributes_what_it_names_in_place_of_what_it_named_before(world: World) -> None:
    assert after(world, change("customers", 1, email=email(1), lr_id=lr_id(1))) == {on("email", 1), on("lr_id", 1)}
    assert after(world, change("customers", 1, email=email(2), lr_id=lr_id(1))) == {on("email", 2), on("lr_id", 1)}


def test_the_same_row_again_sends_nothing(world: World) -> None:
    row = change("customers", 1, email=email(1), idfa=idfa(1))
    after(world, row)
    sent = len(world.pinterest.writes)
    after(world, row)
    assert len(world.pinterest.writes) == sent


@pytest.mark.parametrize("nothing", [None, "", " ", "00000000-0000-0000-0000-000000000000"])
def test_a_column_without_a_value_contributes_none_of_its_type(world: World, nothing: str | None) -> None:
    row = change("customers", 1, email=email(1), idfa=idfa(1))
    assert after(world, row, change("customers", 1, email=email(1), idfa=nothing)) == {on("email", 1)}


def test_a_column_that_is_not_in_the_record_is_unchanged(world: World) -> None:
    row = change("customers", 1, email=email(1), idfa=idfa(1))
    assert after(world, row, change("customers", 1, email=email(2))) == {on("email", 2), on("idfa", 1)}


def test_two_columns_of_one_type_are_independent(world: World) -> None:
    row = change("customers", 1, email=email(1), email_address=email(2))
    both = Columns("customers", ("email", "email_address"))
    assert after(world, both, row, change("customers", 1, email=email(3))) == {on("email", 3), on("email", 2)}


def test_a_renamed_column_replaces_the_former_one(world: World) -> None:
    renamed = Columns("customers", ("email_address",))
    rows: list[Change | Columns] = [change("customers", 1, email=email(1)), renamed]
    assert after(world, *rows, change("customers", 1, email_address=email(2))) == {on("email", 2)}


def test_a_bad_value_contributes_nothing_any_more(world: World) -> None:
    row = change("customers", 1, email=email(1), idfa=idfa(1))
    assert after(world, row, change("customers", 1, email="no address", idfa=idfa(1))) == {on("idfa", 1)}


def test_a_delete_with_only_the_key_removes_the_row_from_every_list(world: World) -> None:
    row = change("customers", 1, email=email(1), lr_id=lr_id(1))
    assert after(world, row, change("customers", 1, deleted=True)) == set()


def test_a_deleted_row_leaves_a_list_that_no_column_feeds_any_more(world: World) -> None:
    row = change("customers", 1, email=email(1), lr_id=lr_id(1))
    narrow = [Columns(stream, ("email",)) for stream in ("customers", "accounts", "blocked", "visitors")]
    assert after(world, row, *narrow, change("customers", 1, deleted=True)) == set()


def test_an_identity_of_another_row_stays_when_a_row_is_deleted(world: World) -> None:
    rows = [change("customers", 1, email=email(1)), change("accounts", 1, email=email(1), consent=True)]
    assert after(world, *rows, change("customers", 1, email=email(1), deleted=True)) == {on("email", 1)}


def test_an_identity_that_a_delete_names_is_removed_though_no_row_contributed_it(tmp_path: Path) -> None:
    world = make_world(tmp_path, [STRANGER])
    assert after(world, change("customers", 2, email=email(1))) == {STRANGER, on("email", 1)}
    assert after(world, change("customers", 1, email=email(OTHER), deleted=True)) == {on("email", 1)}


def test_a_withdrawn_consent_refuses_what_the_row_names_and_what_it_contributed(world: World) -> None:
    rows = [change("customers", 1, email=email(1)), change("customers", 2, idfa=idfa(2))]
    said = [change("accounts", 1, email=email(1), consent=True), change("accounts", 1, idfa=idfa(2), consent=False)]
    assert after(world, *rows, *said) == set()


def test_a_refusal_outlives_the_deletion_of_its_row(world: World) -> None:
    rows = [change("customers", 1, email=email(1)), change("accounts", 1, email=email(1), consent="no")]
    assert after(world, *rows, change("accounts", 1, deleted=True)) == set()


def test_a_refusal_is_lifted_only_when_the_same_row_grants_again(world: World) -> None:
    rows = [change("customers", 1, email=email(1)), change("accounts", 1, email=email(1), consent="no")]
    assert after(world, *rows, change("accounts", 2, email=email(1), consent="yes")) == set()
    assert after(world, change("accounts", 1, email=email(3), consent="yes")) == {on("email", 1), on("email", 3)}


def test_a_row_of_a_stream_that_removes_refuses_until_it_is_deleted(world: World) -> None:
    rows = [change("customers", 1, email=email(1)), change("blocked", 1, email=email(1))]
    assert after(world, *rows) == set()
    assert after(world, change("customers", 2, email=email(1))) == set()
    assert after(world, change("blocked", 1, email=email(1), deleted=True)) == {on("email", 1)}


def test_without_a_key_each_identity_is_its_own_row(world: World) -> None:
    rows = [change("visitors", email=email(1), idfa=idfa(1)), change("visitors", email=email(2))]
    assert after(world, *rows) == {on("email", 1), on("email", 2), on("idfa", 1)}
    assert after(world, change("visitors", email=email(1), deleted=True)) == {on("email", 2), on("idfa", 1)}


def test_rows_of_different_sources_are_different_rows(world: World) -> None:
    rows = [change("customers", 1, email=email(1)), change("accounts", 1, email=email(2), consent=True)]
    assert after(world, *rows) == {on("email", 1), on("email", 2)}


def test_a_row_that_names_another_list_takes_all_its_identities_along(world: World) -> None:
    row = change("segments", 1, email=email(1), lr_id=lr_id(1), segment="gold")
    assert after(world, row) == {Member("gold", sha256(email(1))), Member("gold - LR_ID", lr_id(1))}
    moved = change("segments", 1, email=email(1), lr_id=lr_id(1), segment="customers")
    assert after(world, moved) == {on("email", 1), on("lr_id", 1)}
    assert after(world, change("segments", 1, email=email(1), lr_id=lr_id(1), segment=None)) == set()


@pytest.mark.parametrize("lr_id_now", [lr_id(2), None])
def test_a_row_keeps_what_a_former_column_named_on_the_list_that_it_still_names(
    tmp_path: Path, lr_id_now: str | None
) -> None:
    world = make_world(tmp_path)
    world.happen(Columns("segments", ("email", "idfa")))
    owner = Member("gold", sha256(idfa(1)))
    assert after(world, change("segments", 1, email=email(1), idfa=idfa(1), segment="gold")) >= {owner}
    now = change("segments", 1, contact_email="", lr_id=lr_id_now, segment="gold")
    others = {Member("gold - LR_ID", lr_id_now)} if lr_id_now else set()
    world.happen(Columns("segments", ("contact_email", "lr_id")))
    assert after(world, now) == {owner, *others}


def test_only_the_last_event_of_a_row_in_a_window_counts(world: World) -> None:
    world.happen(*[change("customers", 1, email=email(number)) for number in range(5)])
    world.run()
    assert [len(identities) for _, identities in world.pinterest.writes] == [1]


def test_a_forgotten_person_leaves_all_lists_and_no_row_adds_them_again(tmp_path: Path) -> None:
    world = make_world(tmp_path, [STRANGER])
    after(world, change("customers", 1, email=email(1), lr_id=lr_id(1)), change("customers", 2, email=email(2)))
    for identity in (on("email", 1).identity, STRANGER.identity):
        world.forget(identity)
    assert world.pinterest.everybody() == {on("lr_id", 1), on("email", 2)}
    rows = [change("customers", 1, email=email(3)), change("customers", 2, email=email(1))]
    assert after(world, *rows, change("accounts", 7, email=email(1), consent=True)) == {on("lr_id", 1), on("email", 3)}


def test_a_cleared_list_is_filled_by_the_rows_that_are_read_again(world: AttendedWorld) -> None:
    row = change("customers", 1, email=email(1), lr_id=lr_id(1))
    after(world, row, change("blocked", 1, email=email(2)))
    world.clear("customers", Way())
    assert world.pinterest.everybody() == {on("lr_id", 1)}
    assert after(world, change("customers", 2, email=email(2)), row) == {on("email", 1), on("lr_id", 1)}


@pytest.mark.slow
def test_the_next_call_finishes_a_forget_or_clear_that_was_killed_at_any_instant(tmp_path: Path) -> None:
    for instants in range(30):
        world = make_world(tmp_path / str(instants))
        world.happen(change("customers", 1, email=email(1), lr_id=lr_id(1)), change("customers", 2, email=email(2)))
        assert not world.run(Way(batch=1), dies="after update")
        world.forget(on("email", 1).identity, instants)
        world.clear("customers", Way(), instants)
        assert after(world, change("customers", 3, email=email(1), idfa=idfa(3))) == {on("lr_id", 1), on("idfa", 3)}


# Lost locks and late requests


def test_a_run_that_lost_its_locks_sends_nothing_more(tmp_path: Path) -> None:
    for blocks in range(1, 20):
        world = make_world(tmp_path / str(blocks))
        world.happen(*[change("customers", key, email=email(key)) for key in (1, 2, 3, 4)], Mark())
        meanwhile = [change("customers", 1, deleted=True), change("customers", 2, email=email(5))]
        if not world.run_overtaken(Way(batch=3, window=2), blocks, meanwhile, Way(batch=2)):
            break
        assert world.run()
        world.repeat()
        assert world.pinterest.everybody() == {on("email", number) for number in (3, 4, 5)}
    assert 5 < blocks < 19


@pytest.mark.parametrize("late", [1, *(pytest.param(late, marks=pytest.mark.slow) for late in (2, 3, 1000))])
def test_a_late_request_of_a_killed_run_is_corrected_however_late_it_is(tmp_path: Path, late: int) -> None:
    for deaths in range(100):
        world = make_world(tmp_path / str(deaths))
        world.happen(change("customers", 1, email=email(1)), change("customers", 2, email=email(2)))
        assert world.run()
        world.happen(change("customers", 1, deleted=True), change("customers", 3, email=email(3)), Mark())
        if world.run(Way(batch=1, late=(late,)), deaths):
            break
        world.happen(change("customers", 1, email=email(1)), change("customers", 3, deleted=True))
        assert world.run()
        assert world.run()
        world.repeat()
        assert world.pinterest.everybody() == {on("email", 1), on("email", 2)}
    assert 5 < deaths < 99


def test_a_late_attempt_is_corrected_after_the_answered_one(world: AttendedWorld) -> None:
    world.happen(change("customers", 1, email=email(1)))
    assert world.run(Way(late=(1000,)))
    assert world.run(Way(late=(1000,)))
    world.happen(change("customers", 1, email=email(2)))
    assert world.run(Way(late=(1000,)))
    world.repeat()
    assert world.pinterest.everybody() == {on("email", 2)}
    sent = len(world.pinterest.writes)
    world.wait(SAFE_SECONDS)
    assert world.run()
    assert len(world.pinterest.writes) == sent


# What a random history found hard to come by


def test_a_list_known_only_from_the_ledger_is_recognised_when_a_column_feeds_it_again(world: World) -> None:
    after(world, change("customers", 1, email=email(1), lr_id=lr_id(1)))
    after(world, *(Columns(stream, ("email",)) for stream in ("customers", "accounts", "blocked", "visitors")))
    world.happen(change("customers", 1, deleted=True), Columns("customers", ("email", "lr_id")))
    world.happen(change("customers", 2, lr_id=lr_id(2)))
    assert world.run(Way(batch=1, window=1))
    assert world.pinterest.everybody() == {on("lr_id", 2)}


def test_a_pending_removal_of_a_killed_run_is_sent_though_another_stream_feeds_the_list_later(world: World) -> None:
    after(world, change("customers", 1, email=email(1), lr_id=lr_id(1)))
    after(world, Columns("customers", ("email",)))
    world.happen(change("customers", 1, deleted=True))
    assert not world.run(dies="after update")
    assert world.run()
    assert world.pinterest.everybody() == set()


def test_a_ceiling_of_100_lets_all_members_leave(world: World) -> None:
    after(world, change("customers", 1, email=email(1)))
    world.happen(*[change("customers", 2, email=email(number)) for number in range(2, 20)])
    assert world.run(Way(window=1))
    assert world.pinterest.everybody() == {on("email", 1), on("email", 19)}


def test_a_removal_stays_pending_while_the_addition_before_it_arrives(tmp_path: Path) -> None:
    # The ledger notes a window's removal, and the addition still waits in the batch that the same window fills.
    first, last = sorted([email(1), email(2)], key=sha256)
    way = Way(batch=2, pauses=(0, 0, 0, 0, 0, 3, 0, 0, 3, 0))
    deaths = 0
    for deaths in range(100):
        world = make_world(tmp_path / str(deaths))
        world.happen(change("customers", 1, email=last), Mark())
        world.happen(change("customers", 2, email=first), change("customers", 1, email=None))
        survived = world.run(way, deaths)
        assert world.run()
        if survived:
            break
    assert 10 < deaths < 99
    assert world.pinterest.writes[0] == ("ADD", frozenset({sha256(first), sha256(last)}))


def test_a_kill_at_any_instant_leaves_nobody_behind_though_the_source_shows_only_the_newest_rows(
    tmp_path: Path,
) -> None:
    for deaths in range(200):
        world = make_world(tmp_path / str(deaths))
        world.happen(*[change("customers", key, email=email(key)) for key in (1, 2, 3)], Mark())
        assert world.run()
        world.happen(change("customers", 1, email=email(4)), change("customers", 2, deleted=True))
        world.happen(change("customers", 3, email=email(5)), change("customers", 4, email=email(1)))
        if world.run(Way(batch=2, window=2), deaths):
            break
        world.happen(change("customers", 1, email=email(6)), change("customers", 2, email=email(7)))
        world.happen(change("customers", 3, deleted=True), change("customers", 4, deleted=True))
        world.show_latest()
        assert world.run()
        assert world.pinterest.everybody() == {on("email", 6), on("email", 7)}
    assert 10 < deaths < 199


@given(
    columns=st.lists(
        st.lists(
            st.sampled_from([sha256("a"), sha256("b"), sha256("c").upper(), "f" * 40, "0" * 32, "XY1", " " * 64, None]),
            min_size=3, max_size=3,
        ),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_rows_are_encoded_together_as_one_by_one(columns: list[list[str | None]]) -> None:
    slots = [(1 + at // 2, 300 + at) for at in range(len(columns))]
    one_by_one = [
        encode_statements(
            [
                Statement(*slot, Stance.CONTRIBUTES, pack_identity(identity))
                for slot, identity in zip(slots, row, strict=True)
                if identity is not None
            ]
        )
        for row in zip(*columns, strict=True)
    ]
    packed = [[pack_identity(identity) if identity is not None else None for identity in column] for column in columns]
    assert encode_contributions(slots, packed) == one_by_one
