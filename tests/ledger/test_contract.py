"""What every ledger does, whichever database it is in."""

from __future__ import annotations

import threading
from concurrent import futures
from contextlib import ExitStack

import pytest

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.catalogue.audit import Act
from target_pinterest_audience.ledger.catalogue.runs import RunFeed
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.notes import NewNote, Note
from target_pinterest_audience.membership.counts import NOBODY, Count
from target_pinterest_audience.membership.healing import AT_ONCE
from target_pinterest_audience.membership.key_forms import NEWEST_RULES
from target_pinterest_audience.vocabulary import Operation
from tests.support.ledgers import API, Opened, another_process

MANY = 50_000


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def write(ledger: Ledger, says: dict[bytes, bytes], source: int = 1, run: int = 1) -> None:
    with ledger.transaction():
        ledger.rows.write(source, run, says)


def write_and_fail(ledger: Ledger, says: dict[bytes, bytes]) -> None:
    with ledger.transaction():
        ledger.rows.write(1, 1, says)
        ledger.catalogue.sources.add("customers")
        raise ZeroDivisionError


def unseen(ledger: Ledger, source: int, before: int, reader: int = 0) -> list[bytes]:
    return [row for page in ledger.rows.unseen(source, before, 10, reader) for row in page]


class TestRows:
    def test_rows_are_read_as_they_were_written(self, ledger: Ledger) -> None:
        says = {key(1): b"\x00one", key(2): b"two\xff"}
        write(ledger, says)
        assert ledger.rows.read(list(says)) == says

    def test_unknown_rows_are_left_out(self, ledger: Ledger) -> None:
        write(ledger, {key(1): b"one"})
        assert ledger.rows.read([key(1), key(2)]) == {key(1): b"one"}

    def test_rows_whose_statements_differ_are_returned(self, ledger: Ledger) -> None:
        write(ledger, {key(n): said for n, said in enumerate([b"same", b"other", b"longer", b"short", b"said"])})
        supposed = [b"same", b"OTHER", b"long", b"shorter", b"", b"new", b""]
        differing = ledger.rows.differing({key(n): said for n, said in enumerate(supposed)})
        assert differing == {key(1): b"other", key(2): b"longer", key(3): b"short", key(4): b"said", key(5): b""}
        assert ledger.rows.differing({}) == {}

    def test_no_keys_read_nothing(self, ledger: Ledger) -> None:
        write(ledger, {key(1): b"one"})
        assert ledger.rows.read([]) == {}

    def test_a_row_is_overwritten_with_its_source_and_run(self, ledger: Ledger) -> None:
        write(ledger, {key(1): b"old"}, source=1, run=1)
        write(ledger, {key(1): b"new"}, source=2, run=5)
        assert ledger.rows.read([key(1)]) == {key(1): b"new"}
        assert unseen(ledger, 1, 9) == []
        assert unseen(ledger, 2, 5) == []
        assert unseen(ledger, 2, 6) == [key(1)]

    def test_a_row_without_statements_is_deleted(self, ledger: Ledger) -> None:
        write(ledger, {key(1): b"one", key(2): b"two"})
        write(ledger, {key(1): b"", key(3): b"", key(4): b"four"})
        assert ledger.rows.read([key(n) for n in range(9)]) == {key(2): b"two", key(4): b"four"}

    def test_a_window_of_rows_goes_in_and_out_at_once(self, ledger: Ledger) -> None:
        says = {key(number * 7_919 % 1_000_003): b"says %d" % number for number in range(MANY)}
        write(ledger, says)
        assert ledger.rows.read(list(says)) == says
        with ledger.transaction():
            ledger.rows.mark_seen(2, list(says))
        assert unseen(ledger, 1, 2) == []
        write(ledger, dict.fromkeys(says, b""))
        assert ledger.rows.read(list(says)) == {}

    def test_rows_written_are_read_within_the_transaction(self, ledger: Ledger) -> None:
        with ledger.transaction():
            ledger.rows.write(1, 1, {key(1): b"one"})
            assert ledger.rows.read([key(1)]) == {key(1): b"one"}


class TestUnseenRows:
    def test_pages_come_in_the_order_of_digests(self, ledger: Ledger) -> None:
        digests = [key(number) for number in (300, 2, 255, 256, 65_536, 1)]
        write(ledger, {digest: digest[-3:] for digest in digests})
        assert [*ledger.rows.unseen(1, 2, 4)] == [sorted(digests)[:4], sorted(digests)[4:]]

    def test_only_the_rows_of_the_source(self, ledger: Ledger) -> None:
        write(ledger, {key(1): b"one"}, source=1)
        write(ledger, {key(2): b"two"}, source=2)
        assert unseen(ledger, 2, 9) == [key(2)]

    def test_only_rows_last_seen_before_the_run(self, ledger: Ledger) -> None:
        for run in (1, 2, 3):
            write(ledger, {key(run): b"says"}, run=run)
        assert unseen(ledger, 1, 3) == [key(1), key(2)]

    def test_rows_marked_as_seen_are_left_out_and_keep_what_they_say(self, ledger: Ledger) -> None:
        write(ledger, {key(1): b"one", key(2): b"two"}, run=1)
        with ledger.transaction():
            ledger.rows.mark_seen(2, [key(2), key(3)])
        assert unseen(ledger, 1, 2) == [key(1)]
        assert ledger.rows.read([key(2), key(3)]) == {key(2): b"two"}


class TestMembers:
    def test_counts_are_read_as_they_were_written(self, ledger: Ledger) -> None:
        counts = {b"\x00a@example.com": Count(1, 0), key(1): Count(0, 2), key(2): Count(3, 1)}
        with ledger.transaction():
            ledger.members.write(1, counts)
        found = ledger.members.read(1, [*counts, key(3)])
        assert found == counts
        assert all(type(count) is Count for count in found.values())

    def test_counts_are_overwritten_and_zero_counts_deleted(self, ledger: Ledger) -> None:
        with ledger.transaction():
            ledger.members.write(1, {key(1): Count(1, 0), key(2): Count(1, 0)})
            ledger.members.write(1, {key(1): Count(2, 1), key(2): NOBODY, key(3): NOBODY})
        assert ledger.members.read(1, [key(1), key(2), key(3)]) == {key(1): Count(2, 1)}

    def test_each_list_has_its_own_counts(self, ledger: Ledger) -> None:
        with ledger.transaction():
            ledger.members.write(1, {key(1): Count(1, 0)})
            ledger.members.write(2, {key(1): Count(0, 1)})
            ledger.members.write(2, {key(1): Count(0, 4)})
        assert ledger.members.read(1, [key(1)]) == {key(1): Count(1, 0)}
        assert ledger.members.read(2, [key(1)]) == {key(1): Count(0, 4)}
        assert ledger.members.read(3, [key(1)]) == {}

    def test_a_window_of_members_goes_in_and_out_at_once(self, ledger: Ledger) -> None:
        counts = {key(number): Count(number % 3 + 1, number % 2) for number in range(MANY)}
        with ledger.transaction():
            ledger.members.write(1, counts)
        assert ledger.members.read(1, list(counts)) == counts
        with ledger.transaction():
            ledger.members.write(1, dict.fromkeys(counts, NOBODY))
        assert ledger.members.read(1, list(counts)) == {}


class TestInserting:
    def test_rows_that_are_all_new_are_written_at_once(self, ledger: Ledger) -> None:
        says = {key(number * 7_919 % 1_000_003): b"says %d" % number for number in range(MANY)} | {
            b"other": b"\0" * 300
        }
        with ledger.transaction():
            assert ledger.rows.insert(1, 2, says)
        assert ledger.rows.read(says.keys()) == says
        assert set(ledger.rows.marks(says.keys()).values()) == {2}
        assert ledger.rows.of_source(2, b"", 1) == []

    @pytest.mark.parametrize("known", [0, 57, 99, 100, 101, 250, 399])
    def test_nothing_is_written_if_one_row_is_known(self, ledger: Ledger, known: int) -> None:
        keys = sorted(key(number) for number in range(400))
        write(ledger, {keys[known]: b"known", b"other": b"stays"})
        with ledger.transaction():
            assert not ledger.rows.insert(1, 1, dict.fromkeys(keys, b"new"))
        assert ledger.rows.read([*keys, b"other"]) == {keys[known]: b"known", b"other": b"stays"}

    def test_members_that_are_all_new_are_counted_at_once(self, ledger: Ledger) -> None:
        keys = [key(number * 7_919 % 1_000_003) for number in range(MANY)] + [b"\0opaque", b"\1" + key(1)]
        with ledger.transaction():
            assert ledger.members.insert({1: keys})
        assert ledger.members.read(1, keys) == dict.fromkeys(keys, Count(1, 0))
        assert ledger.members.read(2, keys) == {}

    def test_what_is_inserted_in_a_dry_run_is_discarded(self, opened: Opened) -> None:
        ledger = opened()
        with ledger.transaction():
            source = ledger.catalogue.sources.add("customers")
            ledger.rows.write(source, 1, {key(1): b"known"})
        dry = opened(dry=True)
        with dry.transaction():
            assert not dry.rows.insert(source, 1, {key(0): b"new", key(1): b"new"})
            assert dry.rows.insert(source, 1, {key(2): b"new"})
            assert dry.members.insert({1: [key(2)]})
        assert dry.rows.read([key(0), key(1), key(2)]) == {key(1): b"known", key(2): b"new"}
        assert dry.members.read(1, [key(2)]) == {key(2): Count(1, 0)}
        assert opened().rows.read([key(2)]) == {}
        assert opened().members.read(1, [key(2)]) == {}

    def test_nothing_is_as_new_as_no_rows_and_members(self, ledger: Ledger) -> None:
        with ledger.transaction():
            assert ledger.rows.insert(1, 1, {})
            assert ledger.members.insert({1: []})

    @pytest.mark.parametrize("known", [0, 57, 99, 100, 101, 250, 399])
    def test_nothing_is_counted_if_one_member_is_known(self, ledger: Ledger, known: int) -> None:
        keys = sorted(key(number) for number in range(400))
        with ledger.transaction():
            ledger.members.write(1, {keys[known]: Count(2, 1)})
            ledger.members.write(2, {keys[known]: Count(3, 0)})
            assert not ledger.members.insert({1: keys})
        assert ledger.members.read(1, keys) == {keys[known]: Count(2, 1)}
        assert ledger.members.read(2, keys) == {keys[known]: Count(3, 0)}

    def test_members_of_many_lists_may_be_counted_at_once(self, ledger: Ledger) -> None:
        of_lists = {number: [key(number), key(number + 1), b"short"] for number in range(1, 2_000)}
        known = 700
        with ledger.transaction():
            ledger.members.write(known, {key(known): Count(2, 1)})
            written = ledger.members.insert(of_lists)
        assert known not in written
        assert ledger.members.read(known, of_lists[known]) == {key(known): Count(2, 1)}
        for number in (1, known - 1, known + 1, 1_999):
            counted = ledger.members.read(number, [*of_lists[number], key(number + 2)])
            assert counted == (dict.fromkeys(of_lists[number], Count(1, 0)) if number in written else {})
        assert ledger.members.read(2_000, [key(2_000)]) == {}
        # The others are known nowhere.
        assert not written or len(written) > len(of_lists) // 2


class TestUnsettled:
    def test_notes_of_many_lists_are_added_and_settled_at_once(self, ledger: Ledger) -> None:
        lists = [*range(1, 300), 7, 299]
        with ledger.transaction():
            before = ledger.notes.add(5, [key(5)], bytes([2]))
            numbers = ledger.notes.add_many([NewNote(each, [key(each), key(0)], b"") for each in lists])
            removal = ledger.notes.add_many([NewNote(300, [key(1)], bytes([3])), NewNote(301, [], b"")])
        assert ledger.notes.add_many([]) == []
        assert numbers[4] == before + 1
        assert numbers[-2:] == [numbers[6] + 1, numbers[298] + 1]
        assert [each.identities for each in ledger.notes.of_list(7)] == [[key(7), key(0)]] * 2
        assert [each.causes for each in ledger.notes.of_list(300)] == [bytes([3])]
        assert [each.due for each in ledger.notes.of_list(300)] == [None]
        with ledger.transaction():
            ledger.notes.settle_many([*zip(lists, numbers, strict=True), (301, 77), (300, removal[0])])
        assert [number for number in range(1, 302) if ledger.notes.due_times(number)] == [5, 301]

    def test_notes_come_back_the_oldest_first_until_they_are_settled(self, ledger: Ledger) -> None:
        with ledger.transaction():
            first = ledger.notes.add(1, [key(2), key(1)])
            second = ledger.notes.add(1, [key(1), b"", b"\0 opaque"])
            other = ledger.notes.add(2, [key(1)])
        assert list(ledger.notes.unsettled(1)) == [(first, [key(2), key(1)]), (second, [key(1), b"", b"\0 opaque"])]
        with ledger.transaction():
            ledger.notes.settle(1, [first, 77])
        assert list(ledger.notes.unsettled(1)) == [(second, [key(1), b"", b"\0 opaque"])]
        with ledger.transaction():
            third = ledger.notes.add(1, [key(3)])
            ledger.notes.settle(1, [second])
        assert list(ledger.notes.unsettled(1)) == [(third, [key(3)])]
        assert list(ledger.notes.unsettled(2)) == [(other, [key(1)])]

    def test_a_note_can_have_many_identities(self, ledger: Ledger) -> None:
        identities = [key(number) for number in range(MANY)]
        with ledger.transaction():
            note = ledger.notes.add(1, identities)
        assert list(ledger.notes.unsettled(1)) == [(note, identities)]

    def test_identities_to_be_sent_once_more_do_not_count_as_unsettled(self, ledger: Ledger) -> None:
        with ledger.transaction():
            left = ledger.notes.add(1, [key(1)], bytes([2]))
            new = ledger.notes.add(1, [key(2)], due=AT_ONCE)
            ledger.notes.add(1, [key(3), key(4)], due=1900.5, sent=Operation.ADD)
        assert [named for _, named in ledger.notes.unsettled(1)] == [[key(1)], [key(2)]]
        assert ledger.notes.count_unsettled(1) == 2
        with ledger.transaction():
            ledger.notes.postpone(1, [left], 2000.25)
            ledger.notes.postpone(1, [new], None)
        assert list(ledger.notes.of_list(1)) == [
            Note(1, [key(1)], bytes([2]), 2000.25, None),
            Note(2, [key(2)], b"", None, None),
            Note(3, [key(3), key(4)], b"", 1900.5, Operation.ADD),
        ]
        assert ledger.notes.due_times(1) == {1: 2000.25, 2: None, 3: 1900.5}

    def test_the_record_of_the_sent_operation_is_dropped_when_a_note_is_sent_again(self, ledger: Ledger) -> None:
        with ledger.transaction():
            note = ledger.notes.add(1, [key(1)], due=1900.0, sent=Operation.REMOVE)
            ledger.notes.postpone(1, [note], None)
        assert list(ledger.notes.of_list(1)) == [Note(note, [key(1)], b"", None, None)]


class TestTransactions:
    def test_a_block_that_raises_is_rolled_back(self, ledger: Ledger) -> None:
        write(ledger, {key(1): b"one"})
        with pytest.raises(ZeroDivisionError):
            write_and_fail(ledger, {key(1): b"other", key(2): b"two"})
        assert ledger.rows.read([key(1), key(2)]) == {key(1): b"one"}
        assert ledger.catalogue.sources.find("customers") is None
        write(ledger, {key(3): b"three"})
        assert ledger.rows.read([key(3)]) == {key(3): b"three"}

    def test_committed_data_is_there_when_the_ledger_is_opened_again(self, opened: Opened) -> None:
        first = opened()
        write(first, {key(1): b"one"})
        with first.transaction():
            source = first.catalogue.sources.add("customers")
            first.members.write(1, {key(1): Count(1, 0)})
            note = first.notes.add(1, [key(1)])
        first.close()
        again = opened()
        assert len(again.secret) == 32
        assert again.secret == first.secret
        assert first.places_rows
        assert again.places_rows
        assert again.rows.read([key(1)]) == {key(1): b"one"}
        assert again.members.read(1, [key(1)]) == {key(1): Count(1, 0)}
        assert list(again.notes.unsettled(1)) == [(note, [key(1)])]
        assert again.catalogue.sources.name(source) == "customers"

    def test_each_ledger_sees_the_commits_of_the_other(self, opened: Opened) -> None:
        one, other = opened(), opened()
        for number, ledger in enumerate([one, other, one]):
            write(ledger, {key(number): b"says"})
        assert one.rows.read([key(1)]) == {key(1): b"says"}
        assert other.rows.read([key(0), key(2)]) == {key(0): b"says", key(2): b"says"}


class TestDryRuns:
    def test_only_later_blocks_of_a_dry_run_see_what_earlier_ones_wrote(self, opened: Opened) -> None:
        real = opened()
        write(real, {key(1): b"one"})
        real.close()
        dry = opened(dry=True)
        write(dry, {key(1): b"", key(2): b"two"})
        with dry.transaction():
            number = dry.catalogue.lists.add(None, "customers").number
        with dry.transaction():
            assert dry.catalogue.lists.entry(number).name == "customers"
            assert dry.rows.read([key(1), key(2)]) == {key(2): b"two"}
        assert dry.secret == real.secret
        dry.close()
        again = opened()
        assert again.rows.read([key(1), key(2)]) == {key(1): b"one"}
        with again.transaction():
            assert again.catalogue.lists.add(None, "others").number == number

    def test_a_block_that_raises_is_rolled_back_alone(self, opened: Opened) -> None:
        dry = opened(dry=True)
        write(dry, {key(1): b"one"})
        with pytest.raises(ZeroDivisionError):
            write_and_fail(dry, {key(1): b"", key(2): b"two"})
        write(dry, {key(3): b"three"})
        assert dry.rows.read([key(1), key(2), key(3)]) == {key(1): b"one", key(3): b"three"}

    def test_a_dry_run_works_without_a_ledger_and_creates_none(self, opened: Opened) -> None:
        dry = opened(dry=True)
        write(dry, {key(1): b"one"})
        assert dry.rows.read([key(1)]) == {key(1): b"one"}
        dry.close()
        real = opened()
        assert real.rows.read([key(1)]) == {}
        assert real.secret != dry.secret

    def test_a_dry_run_takes_no_locks(self, opened: Opened) -> None:
        opened(dry=True).locks.take(["customers"], 0)
        opened().locks.take(["customers"], 0)


class TestRealms:
    def test_ad_accounts_have_lists_and_sources_of_their_own_with_unique_numbers(self, opened: Opened) -> None:
        opened().close()
        one, other, elsewhere = opened(), opened(account="549755885176"), opened(api="http://127.0.0.1:1/v5")
        assert len({each.catalogue.realm for each in (one, other, elsewhere)}) == 3
        lists, sources = [], []
        for each in (one, other, elsewhere):
            with each.transaction():
                entry = each.catalogue.lists.add("2542620639259", "customers")
                each.catalogue.lists.pin("name customers", entry.number)
                lists.append(entry)
                sources.append(each.catalogue.sources.add("customers"))
        assert len({entry.number for entry in lists}) == 3
        assert len(set(sources)) == 3
        for each, entry, source in zip((one, other, elsewhere), lists, sources, strict=True):
            assert each.catalogue.lists.by_id("2542620639259") == entry
            assert each.catalogue.lists.pinned("name customers") == entry
            assert each.catalogue.sources.add("customers") == source

    def test_runs_belong_to_one_ad_account(self, opened: Opened) -> None:
        one, other = opened(), opened(account="549755885176")
        with one.transaction():
            run = one.catalogue.runs.begin("main", {}, 1.0)
        assert other.catalogue.runs.newest("main") is None
        with other.transaction():
            assert other.catalogue.runs.begin("main", {}, 1.0) != run

    def test_the_same_realm_is_found_again(self, opened: Opened) -> None:
        assert opened().catalogue.realm == opened(api=API).catalogue.realm


class TestCatalogue:
    def test_sources_are_stored_with_their_keys(self, ledger: Ledger) -> None:
        catalogue = ledger.catalogue
        with ledger.transaction():
            one, other = catalogue.sources.add("customers"), catalogue.sources.add("Ünïcode ? %s 'quoted'")
            assert catalogue.sources.key_properties(one) is None
            catalogue.sources.set_key_properties(one, ["id", "country"])
        assert one != other
        with ledger.transaction():
            assert catalogue.sources.add("customers") == one
        assert catalogue.sources.find("customers") == one
        assert catalogue.sources.find("others") is None
        assert catalogue.sources.name(other) == "Ünïcode ? %s 'quoted'"
        assert catalogue.sources.key_properties(one) == ["country", "id"]
        assert catalogue.sources.key_properties(other) is None

    def test_key_rules_and_key_kinds_are_stored(self, ledger: Ledger) -> None:
        catalogue = ledger.catalogue
        with ledger.transaction():
            customers, leads = catalogue.sources.add("customers"), catalogue.sources.add("leads")
            assert catalogue.sources.key_rules(customers) == NEWEST_RULES
            assert catalogue.sources.key_kinds(customers) == {}
            catalogue.sources.add_key_kinds(customers, {"id": {"number"}, "part": {"text"}})
            catalogue.sources.add_key_kinds(customers, {"id": {"digits"}, "at": {"moment"}})
            assert catalogue.sources.add("customers") == customers
        expected = {"id": {"number", "digits"}, "part": {"text"}, "at": {"moment"}}
        assert catalogue.sources.key_kinds(customers) == expected
        assert catalogue.sources.key_kinds(leads) == {}

    def test_slots_are_stored(self, ledger: Ledger) -> None:
        with ledger.transaction():
            one = ledger.catalogue.slots.add("email", "EMAIL")
            other = ledger.catalogue.slots.add("email", "HASHED_EMAIL")
            assert ledger.catalogue.slots.add("email", "EMAIL") == one
        assert {slot: kind for slot, (_, kind) in ledger.catalogue.slots.all().items()} == {
            one: "EMAIL",
            other: "HASHED_EMAIL",
        }

    def test_lists_are_stored(self, ledger: Ledger) -> None:
        catalogue = ledger.catalogue
        with ledger.transaction():
            entry = catalogue.lists.add(None, "customers")
            assert entry == catalogue.lists.entry(entry.number)
            assert (entry.customer_list_id, entry.name, entry.members) == (None, "customers", 0)
            assert catalogue.lists.by_id("2542620639259") is None
            catalogue.lists.set_id(entry.number, "2542620639259")
            catalogue.lists.change_members(entry.number, 5)
            catalogue.lists.change_members(entry.number, -2)
            catalogue.lists.change_contributing_rows(entry.number, 5_000_000_000)
            catalogue.lists.change_contributing_rows(entry.number, -1)
            others = [catalogue.lists.add(None, f"list {number}").number for number in range(250)]
            catalogue.lists.change_sizes({entry.number: (3, -1), **{each: (each, -each) for each in others[1:]}})
            catalogue.lists.change_sizes({})
        changed = catalogue.lists.by_id("2542620639259")
        assert changed == catalogue.lists.entry(entry.number)
        assert changed is not None
        assert (changed.members, changed.contributing_rows) == (6, 4_999_999_998)
        sizes = [catalogue.lists.entry(each)[3::3] for each in others]
        assert sizes == [(0, 0), *((each, -each) for each in others[1:])]

    def test_pins_are_stored(self, ledger: Ledger) -> None:
        catalogue = ledger.catalogue
        with ledger.transaction():
            one, other = catalogue.lists.add(None, "one"), catalogue.lists.add(None, "other")
            assert catalogue.lists.pinned("name one") is None
            catalogue.lists.pin("name one", one.number)
            assert catalogue.lists.pinned("name one") == one
            catalogue.lists.pin("name one", other.number)
        assert catalogue.lists.pinned("name one") == other

    def test_feeds_are_stored(self, ledger: Ledger) -> None:
        catalogue = ledger.catalogue
        with ledger.transaction():
            source = catalogue.sources.add("customers")
            one, other = catalogue.lists.add(None, "one"), catalogue.lists.add(None, "other")
            catalogue.feeds.add(source, one.number)
            catalogue.feeds.add(source, one.number)
            catalogue.feeds.add(source, other.number)
            catalogue.feeds.add(source + 1, one.number)
        assert sorted(entry.number for entry in catalogue.lists.of_source(source)) == [one.number, other.number]
        assert catalogue.lists.of_source(source + 2) == []


class TestProcesses:
    def test_several_processes_can_open_an_empty_ledger_at_once(self, url: str) -> None:
        open_it = f"""
sys.stdin.read(1)
ledger = open_ledger(sys.argv[1], {API!r}, "1", wait_seconds=30.0)
print(ledger.secret.hex(), ledger.catalogue.realm)
"""
        with ExitStack() as stack:
            processes = [stack.enter_context(another_process(url, open_it, opens=False)) for _ in range(4)]
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("x")
                process.stdin.flush()
            found = {process.communicate(timeout=60)[0] for process in processes}
        assert len(found) == 1
        assert found != {""}

    def test_several_processes_can_number_lists_at_once(self, url: str, ledger: Ledger) -> None:
        add = """
for _ in range(100):
    with ledger.transaction():
        print(ledger.catalogue.lists.add(None, None).number)
"""
        with another_process(url, add) as one, another_process(url, add) as other:
            numbers = [int(line) for each in (one, other) for line in each.communicate(timeout=60)[0].split()]
        assert sorted(numbers) == list(range(1, 201))
        assert ledger.catalogue.lists.entry(200).members == 0


class TestRuns:
    def test_the_newest_run_of_a_configuration_is_found(self, ledger: Ledger) -> None:
        catalogue = ledger.catalogue
        with ledger.transaction():
            assert catalogue.runs.newest("main") is None
            first = catalogue.runs.begin("main", {"a": "1"}, 1.5)
            second = catalogue.runs.begin("main", {"a": "2"}, 2_000_000_000.25)
            catalogue.runs.begin("other", {}, 3.0)
        newest = catalogue.runs.newest("main")
        assert newest is not None
        assert (newest.number, newest.started, newest.settings) == (second, 2_000_000_000.25, {"a": "2"})
        assert (newest.ended, newest.outcome, newest.pruned) == (None, "open", False)
        before = catalogue.runs.newest("main", before=second)
        assert before is not None
        assert (before.number, before.settings) == (first, {"a": "1"})
        assert catalogue.runs.newest("main", before=first) is None

    def test_the_outcome_of_a_run_and_its_feeds_are_stored(self, ledger: Ledger) -> None:
        feeds = [
            RunFeed(1, 1, 5_000_000_000, incremental=True, overwrites=False, mark=7),
            RunFeed(2, 1, 0, incremental=False, overwrites=True, mark=8),
        ]
        with ledger.transaction():
            run = ledger.catalogue.runs.begin("main", {}, 1.0)
            ledger.catalogue.runs.end(run, "clean", 2.5, feeds)
            ledger.catalogue.runs.mark_pruned(run)
        newest = ledger.catalogue.runs.newest("main")
        assert newest is not None
        assert (newest.ended, newest.outcome, newest.pruned) == (2.5, "clean", True)
        assert sorted(ledger.catalogue.runs.feeds(run)) == feeds
        assert ledger.catalogue.runs.feeds(run + 1) == []

    def test_the_values_that_a_run_rejected_are_stored_whatever_they_are_called(self, ledger: Ledger) -> None:
        rejects = {("customers", "email", "not text"): 5_000_000_000, ("a\0b", "\ud800", 'ü "'): 1}
        with ledger.transaction():
            run = ledger.catalogue.runs.begin("main", {}, 1.0)
            ledger.catalogue.runs.note_rejects(run, rejects)
            other = ledger.catalogue.runs.begin("other", {}, 1.0)
        assert [each.rejects for each in ledger.catalogue.runs.recent(2)] == [{}, rejects]
        newest = ledger.catalogue.runs.newest("main")
        assert newest is not None
        assert (newest.number, other - run, newest.rejects) == (run, 1, rejects)

    def test_clean_overwrites_come_newest_first(self, ledger: Ledger) -> None:
        catalogue = ledger.catalogue

        def run(outcome: str, feed: RunFeed, configuration: str = "main") -> int:
            number = catalogue.runs.begin(configuration, {}, 1.0)
            catalogue.runs.end(number, outcome, 2.0, [feed._replace(mark=100 + number)])
            return number

        good = RunFeed(1, 1, 10, incremental=False, overwrites=True, mark=0)
        with ledger.transaction():
            clean = [run("clean", good) for _ in range(3)]
            run("failed", good)
            for other in (
                good._replace(list_number=2),
                good._replace(source=2),
                good._replace(rows=0),
                good._replace(overwrites=False),
            ):
                run("clean", other)
            run("clean", good, "another")
            newest = run("clean", good)
            run("clean", good)
        marks = [100 + number for number in (newest, *clean[::-1])]
        assert catalogue.runs.clean_marks(newest, 1, 1, 10) == marks
        assert catalogue.runs.clean_marks(newest, 1, 1, 2) == marks[:2]
        assert catalogue.runs.clean_marks(newest, 3, 1, 2) == []


class TestThreads:
    def test_another_thread_waits_for_the_end_of_a_transaction(self, ledger: Ledger) -> None:
        writing, goes_on = threading.Event(), threading.Event()

        def work() -> None:
            with ledger.transaction():
                ledger.rows.write(1, 1, {key(1): b"half"})
                writing.set()
                assert goes_on.wait(20)
                ledger.rows.write(1, 1, {key(1): b"whole"})

        with futures.ThreadPoolExecutor() as threads:
            working = threads.submit(work)
            assert writing.wait(20)
            reading = threads.submit(ledger.rows.read, [key(1)])
            with pytest.raises(futures.TimeoutError):
                reading.result(timeout=0.3)
            goes_on.set()
            working.result(timeout=20)
            assert reading.result(timeout=20) == {key(1): b"whole"}

    def test_another_threads_transaction_is_aborted_and_rolled_back(self, ledger: Ledger) -> None:
        working, many = threading.Event(), [key(number) for number in range(50_000)]

        def work() -> None:
            with ledger.transaction():
                ledger.rows.write(1, 1, {key(1): b"one"})
                working.set()
                while True:
                    ledger.rows.read(many)

        with futures.ThreadPoolExecutor() as threads:
            done = threads.submit(work)
            assert working.wait(20)
            while not done.done():
                ledger.interrupt()
                futures.wait([done], timeout=0.05)
            with pytest.raises(LedgerError):
                done.result()
        assert ledger.rows.read([key(1)]) == {}
        ledger.interrupt()
        write(ledger, {key(2): b"two"})
        assert ledger.rows.read([key(2)]) == {key(2): b"two"}


class TestAudit:
    def test_acts_are_kept_with_their_end_newest_first_and_apart_for_each_ad_account(self, opened: Opened) -> None:
        ledger, other = opened(), opened(account="77")
        begun = Act("clear", 5.0, None, None, "ada", "worker", "DSR-1", 1, {})
        with ledger.transaction():
            number = ledger.audit.begin(begun)
            ledger.audit.begin(begun._replace(command="forget", reference=None, list_number=None))
        with other.transaction():
            other.audit.begin(begun._replace(command="readmit"))
        with ledger.transaction():
            ledger.audit.end(number, 6.5, 0, {"removed": 3})
        newest, oldest = ledger.audit.acts(9)
        assert newest == begun._replace(command="forget", reference=None, list_number=None)
        assert oldest == begun._replace(ended=6.5, exit_code=0, counts={"removed": 3})
        assert ledger.audit.acts(1) == [newest]
        assert [each.command for each in other.audit.acts(9)] == ["readmit"]
