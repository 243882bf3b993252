"""What every ledger forgets, and whom it keeps off the lists, whichever database it is in."""

from __future__ import annotations

from pathlib import Path

import pytest

from target_pinterest_audience.companion.operations.forget import erase_from_ledger
from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.identities.packed import member_key, pack_identity
from target_pinterest_audience.ledger.catalogue.runs import CLEAN, OPEN
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.membership.counts import Count
from target_pinterest_audience.membership.events import Kind, Named
from target_pinterest_audience.membership.row_keys import Digester, realm_of
from target_pinterest_audience.membership.statements import Stance, Statement, encode_statements, statements
from target_pinterest_audience.reconcile.locks import Locks
from target_pinterest_audience.reconcile.withdrawal import apply_to_rows, event_of, withdraw_silently
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.singer.target import TargetPinterestAudience
from target_pinterest_audience.vocabulary import Operation
from tests.support.account import ACCOUNT
from tests.support.ledgers import API, Opened
from tests.support.messages import sha256

DIGESTER = Digester(b"secret", realm_of(API, ACCOUNT))


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def identity(number: int) -> bytes:
    return pack_identity(sha256(str(number)))


def contributed(*numbers: int, lists: int = 1, slot: int = 1) -> bytes:
    return encode_statements([Statement(lists, slot, Stance.CONTRIBUTES, identity(number)) for number in numbers])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    config = {
        "ad_account_id": ACCOUNT,
        "access_token": "x",
        "api_url": API,
        "ledger_url": f"sqlite:///{tmp_path}/none.db",
        "lock_wait_seconds": 0,
    }
    return TargetPinterestAudience(config=config).settings


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Rows of one source contribute 1 and 2 to the first of two lists; one of another source contributes 1 to both."""
    catalogue = ledger.catalogue
    says = {key(1): contributed(1), key(2): contributed(2)}
    both = encode_statements([Statement(number, 1, Stance.CONTRIBUTES, identity(1)) for number in (1, 2)])
    with ledger.transaction():
        for name in ("first", "second"):
            catalogue.sources.add(name)
            catalogue.lists.add(None, name)
        for source, number in ((1, 1), (2, 1), (2, 2)):
            catalogue.feeds.add(source, number)
        ledger.rows.write(1, 3, says)
        ledger.rows.write(2, 4, {key(9): both})
        ledger.members.write(1, {member_key(identity(1)): Count(2, 0), member_key(identity(2)): Count(1, 0)})
        ledger.members.write(2, {member_key(identity(1)): Count(1, 0)})
        catalogue.lists.change_members(1, 2)
        catalogue.lists.change_members(2, 1)
    return ledger


class TestSuppressions:
    def test_a_suppression_counts_as_one_more_refusal_on_each_known_list(self, ledger: Ledger) -> None:
        suppressions = ledger.catalogue.suppressions
        with ledger.transaction():
            for name in ("one", "two"):
                ledger.catalogue.lists.add(None, name)
            ledger.members.write(1, {key(1): Count(2, 1)})
            assert [suppressions.add(key(1), 5.0), suppressions.add(key(1), 6.0)] == [True, False]
        assert ledger.members.read(1, [key(1)]) == {key(1): Count(2, 2)}
        assert ledger.members.read(2, [key(1)]) == {key(1): Count(0, 1)}
        assert (suppressions.all(), len(suppressions)) == (frozenset({key(1)}), 1)

    def test_a_later_list_refuses_them_too(self, ledger: Ledger) -> None:
        opaque = pack_identity("XY1")
        with ledger.transaction():
            for each in (key(1), opaque):
                ledger.catalogue.suppressions.add(each, 5.0)
            added = ledger.catalogue.lists.add("77", "later")
            assert not ledger.members.insert({added.number: [key(1), key(2)]})
        assert ledger.members.read(added.number, [key(1), opaque, key(3)]) == {key(1): Count(0, 1), opaque: Count(0, 1)}

    def test_suppressions_belong_to_one_ad_account(self, opened: Opened) -> None:
        ours, theirs = opened(), opened(account="77")
        with theirs.transaction():
            there = theirs.catalogue.lists.add(None, "theirs")
        with ours.transaction():
            ours.catalogue.suppressions.add(key(1), 5.0)
        assert theirs.catalogue.suppressions.all() == frozenset()
        assert theirs.members.read(there.number, [key(1)]) == {}
        with theirs.transaction():
            assert theirs.catalogue.suppressions.add(key(1), 6.0)
        assert theirs.members.read(there.number, [key(1)]) == {key(1): Count(0, 1)}

    def test_suppressions_are_there_when_the_ledger_is_opened_again(self, opened: Opened) -> None:
        first = opened()
        with first.transaction():
            first.catalogue.suppressions.add(key(1), 5.0)
        first.close()
        assert opened().catalogue.suppressions.all() == {key(1)}

    def test_lifting_a_suppression_keeps_what_rows_say(self, opened: Opened) -> None:
        ledger, theirs = opened(), opened(account="77")
        with theirs.transaction():
            theirs.catalogue.suppressions.add(key(1), 5.0)
            elsewhere = theirs.catalogue.lists.add(None, "theirs")
        suppressions = ledger.catalogue.suppressions
        with ledger.transaction():
            lists = [ledger.catalogue.lists.add(None, name).number for name in ("one", "two", "three")]
            suppressions.add(key(1), 5.0)
            suppressions.add(key(2), 5.0)
            ledger.members.write(lists[0], {key(1): Count(2, 1)})
            ledger.members.write(lists[1], {key(1): Count(1, 2)})
        with ledger.transaction():
            assert suppressions.lift(key(1)) == [lists[0]]
            assert suppressions.lift(key(1)) is None
            assert suppressions.lift(key(3)) is None
        assert ledger.members.read(lists[0], [key(1)]) == {key(1): Count(2, 0)}
        assert ledger.members.read(lists[1], [key(1)]) == {key(1): Count(1, 1)}
        assert ledger.members.read(lists[2], [key(1), key(2)]) == {key(2): Count(0, 1)}
        assert suppressions.all() == {key(2)}
        assert theirs.members.read(elsewhere.number, [key(1)]) == {key(1): Count(0, 1)}


class TestStriking:
    def test_contributions_are_deleted_and_the_removals_noted(self, filled: Ledger, settings: Settings) -> None:
        forms = [identity(1), bytes.fromhex("ab" * 16)]
        erase_from_ledger(filled, Locks(filled, settings), DIGESTER.shorten, [forms], suppress=True, now=5.0)
        assert filled.rows.read([key(1), key(2), key(9)]) == {key(2): contributed(2)}
        assert [*filled.rows.unseen(1, 4, 9)] == [[key(2)]]
        assert [entry.members for entry in filled.catalogue.lists.all()] == [1, 0]
        for number in (1, 2):
            assert filled.members.read(number, [member_key(identity(1))]) == {member_key(identity(1)): Count(0, 1)}
            assert [named for _, named in filled.notes.unsettled(number)] == [[identity(1)]]
        assert filled.catalogue.suppressions.all() == set(map(member_key, forms))

    def test_a_second_time_changes_nothing(self, filled: Ledger, settings: Settings) -> None:
        forms = [identity(1)]
        for now in (5.0, 6.0):
            erase_from_ledger(filled, Locks(filled, settings), DIGESTER.shorten, [forms], suppress=True, now=now)
        assert filled.members.read(1, [member_key(identity(1))]) == {member_key(identity(1)): Count(0, 1)}
        assert [len(list(filled.notes.unsettled(number))) for number in (1, 2)] == [1, 1]

    @pytest.mark.parametrize("bring_in", ["source", "list"])
    def test_nothing_is_done_if_a_run_adds_a_source_or_list_meanwhile(
        self, filled: Ledger, settings: Settings, bring_in: str
    ) -> None:
        class LateLocks(Locks):
            def take_all(self) -> None:
                super().take_all()
                with filled.transaction():
                    if bring_in == "source":
                        filled.catalogue.sources.add("late")
                    else:
                        filled.catalogue.lists.add(None, "late")

        late = LateLocks(filled, settings)
        with pytest.raises(LedgerError, match="in the meantime"):
            erase_from_ledger(filled, late, DIGESTER.shorten, [[identity(1)]], suppress=True, now=5.0)
        assert filled.rows.read([key(1)]) == {key(1): contributed(1)}
        assert filled.catalogue.suppressions.all() == frozenset()

    def test_refusals_stay_and_removals_by_name_are_deleted(self, ledger: Ledger) -> None:
        refusal = Statement(1, 1, Stance.REFUSES, identity(1))
        asked = Statement(1, 1, Stance.ASKED, DIGESTER.shorten(identity(1)))
        other = Statement(1, 1, Stance.ASKED, DIGESTER.shorten(identity(2)))
        with ledger.transaction():
            ledger.rows.write(1, 1, {key(1): encode_statements([refusal, asked, other])})
            event = event_of(Kind.FORGOTTEN, 1, named=(Named(0, 0, identity(1)),))
            assert apply_to_rows(ledger, [key(1)], event, DIGESTER.shorten) == {}
        assert set(statements(ledger.rows.read([key(1)])[key(1)])) == {refusal, other}


class TestWithdrawing:
    def test_another_source_keeps_its_rows(self, filled: Ledger) -> None:
        with filled.transaction():
            assert withdraw_silently(filled, [1], [1], DIGESTER.shorten) == {1: 1}
        assert filled.rows.read([key(1), key(2)]) == {}
        assert filled.members.read(1, [member_key(identity(1))]) == {member_key(identity(1)): Count(1, 0)}

    def test_the_counts_of_the_ceiling_start_again(self, ledger: Ledger) -> None:
        catalogue = ledger.catalogue
        with ledger.transaction():
            number = catalogue.lists.add(None, "cut short").number
            catalogue.lists.change_members(number, 50)
            catalogue.removal_counts.begin(number)
            catalogue.removal_counts.add(number, 10, 0, 0.0)
            catalogue.lists.change_members(number, -50)
            catalogue.removal_counts.reset(number)
            catalogue.lists.change_members(number, 7)
            catalogue.removal_counts.begin(number)
        entry = catalogue.lists.entry(number)
        assert (entry.at_stake, entry.derived) == (7, 0)

    def test_only_people_who_are_no_longer_known_are_deleted_from_notes(self, filled: Ledger) -> None:
        with filled.transaction():
            filled.notes.add(1, [identity(1), identity(2), identity(3)])
            filled.notes.add(1, [identity(2)])
            filled.notes.add(1, [identity(1)])
            withdraw_silently(filled, [1], [1], DIGESTER.shorten)
        assert sorted(named for _, named in filled.notes.unsettled(1)) == [[identity(1)], [identity(1), identity(3)]]

    def test_the_rest_of_a_note_stays(self, filled: Ledger) -> None:
        with filled.transaction():
            filled.notes.add(1, [identity(1), identity(2), identity(3)], bytes([1, 2, 3]), due=9.5)
            filled.notes.add(1, [identity(3), identity(2)], due=9.0, sent=Operation.ADD)
            withdraw_silently(filled, [1], [1], DIGESTER.shorten)
        assert [each[1:] for each in filled.notes.of_list(1)] == [
            ([identity(1), identity(3)], bytes([1, 3]), 9.5, None),
            ([identity(3)], b"", 9.0, Operation.ADD),
        ]


class TestRuns:
    def test_the_newest_run_of_each_configuration_and_outcome_is_kept(self, ledger: Ledger) -> None:
        catalogue = ledger.catalogue
        with ledger.transaction():
            runs = [catalogue.runs.begin(name, {}, started) for name, started in zip("aaabab", range(6), strict=True)]
            for run in runs[:2]:
                catalogue.runs.end(run, CLEAN, 9.0, [])
            assert catalogue.runs.expire(5.0) == 3
        kept = {run.number: run.outcome for run in catalogue.runs.recent(9)}
        assert kept == {runs[1]: CLEAN, runs[4]: OPEN, runs[5]: OPEN}
        with ledger.transaction():
            assert catalogue.runs.begin("a", {}, 9.0) == runs[5] + 1

    def test_sources_have_the_time_of_their_last_read(self, ledger: Ledger) -> None:
        with ledger.transaction():
            number = ledger.catalogue.sources.add("customers")
            ledger.catalogue.sources.add("leads")
            ledger.catalogue.sources.note_read(number, 7.5)
        assert [tuple(each) for each in ledger.catalogue.sources.all()] == [(1, "customers", 7.5), (2, "leads", None)]

    def test_rows_are_read_in_pages_whichever_run_saw_them(self, ledger: Ledger) -> None:
        with ledger.transaction():
            for run in (1, 2, 3):
                ledger.rows.write(1, run, {key(run): b"says %d" % run})
            ledger.rows.write(2, 1, {key(4): b"theirs"})
        assert ledger.rows.of_source(1, b"", 2) == [(key(1), b"says 1"), (key(2), b"says 2")]
        assert ledger.rows.of_source(1, key(2), 2) == [(key(3), b"says 3")]
