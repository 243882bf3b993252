"""An older ledger is taken over with the same membership, and digests that were counted as one are told apart."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
from contextlib import closing
from typing import Final

import pytest

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.packed import member_key, pack_identity
from target_pinterest_audience.ledger.catalogue.loaders import Loader
from target_pinterest_audience.ledger.schema import LOADERS, MIGRATIONS
from target_pinterest_audience.membership.counts import Count
from target_pinterest_audience.membership.statements import Stance, Statement, encode_statements
from target_pinterest_audience.reconcile.books import Books
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.singer.target import TargetPinterestAudience
from target_pinterest_audience.vocabulary import ListType
from tests.support.account import ACCOUNT
from tests.support.accounts import Pinterest
from tests.support.ledgers import API, Opened
from tests.support.messages import address, sha256

BEFORE: Final = MIGRATIONS[: MIGRATIONS.index(LOADERS)]


def digest(algorithm: str, number: int) -> bytes:
    return hashlib.new(algorithm, address(number).encode()).digest()


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def says(*statements: tuple[int, Stance, bytes]) -> bytes:
    return encode_statements([Statement(number, 1, stance, identity) for number, stance, identity in statements])


CUT: Final = digest("sha256", 1)[:16]
ROWS: Final = {
    key(1): says((1, Stance.CONTRIBUTES, digest("sha256", 1))),
    key(2): says((1, Stance.CONTRIBUTES, digest("sha1", 2)), (1, Stance.CONTRIBUTES, pack_identity("XY1"))),
    key(3): says((1, Stance.REFUSES, digest("md5", 3)), (1, Stance.ASKED, b"a" * 16)),
    key(4): says((1, Stance.CONTRIBUTES, CUT)),
}
# As the version before counted them: by 16 bytes of each.
MEMBERS: Final = {
    digest("sha256", 1)[:16]: Count(2, 0),
    digest("sha1", 2)[:16]: Count(1, 0),
    pack_identity("XY1"): Count(1, 0),
    digest("md5", 3)[:16]: Count(0, 1),
    digest("sha1", 9)[:16]: Count(0, 1),
}


def literal(value: bytes, postgres: bool) -> str:  # noqa: FBT001 - a choice of words
    return f"'\\x{value.hex()}'" if postgres else f"x'{value.hex()}'"


def statements(*, postgres: bool) -> list[str]:
    """The statements that make a ledger of the version before, with a list and its rows."""
    blob, clustered = ("BYTEA", "") if postgres else ("BLOB", "WITHOUT ROWID")
    made = [each.format(blob=blob, clustered=clustered) for step in BEFORE for each in step]
    made += [
        f"INSERT INTO meta VALUES ('secret', {literal(bytes(32), postgres)})",  # noqa: S608
        f"INSERT INTO realms VALUES (1, '{API}', '{ACCOUNT}')",  # noqa: S608
        "INSERT INTO sources VALUES (1, 1, 'customers', '[\"id\"]', 5.0)",
        "INSERT INTO lists VALUES (1, 1, '77', 'customers', 4, 4, 0, 1)",
        "INSERT INTO feeds VALUES (1, 1)",
        "INSERT INTO runs VALUES (7, 1, 'main', 5.0, 6.0, 'clean', 0, '{}')",
        "INSERT INTO run_feeds VALUES (7, 1, 1, 4, 0, 1)",
        f"INSERT INTO suppressions VALUES (1, {literal(digest('sha1', 9)[:16], postgres)}, 1.0)",  # noqa: S608
    ]
    made += [
        f"INSERT INTO row_says VALUES ({literal(row, postgres)}, 1, 7, {literal(said, postgres)})"  # noqa: S608
        for row, said in ROWS.items()
    ]
    made += [
        f"INSERT INTO members VALUES (1, {literal(member, postgres)}, {count.contributors}, {count.refusers})"  # noqa: S608
        for member, count in MEMBERS.items()
    ]
    return made


@pytest.fixture
def old_ledger(request: pytest.FixtureRequest, url: str) -> None:
    """A ledger of the version before, where `opened` finds it."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.executescript(";\n".join([*statements(postgres=False), f"PRAGMA user_version = {len(BEFORE)}"]))
        return
    request.getfixturevalue("database").execute(
        ";\n".join(
            [
                "CREATE SCHEMA target_pinterest_audience",
                "SET search_path TO target_pinterest_audience",
                "CREATE TABLE schema_version (version INTEGER NOT NULL)",
                f"INSERT INTO schema_version VALUES ({len(BEFORE)})",  # noqa: S608
                "CREATE TABLE lock_holders (name_digest BIGINT PRIMARY KEY, holder BYTEA NOT NULL)",
                *statements(postgres=True),
            ]
        )
    )


@pytest.mark.usefixtures("old_ledger")
def test_the_rows_that_contribute_to_each_list_are_counted(opened: Opened) -> None:
    # Rows 1, 2 and 4; row 2 contributes two identities, and row 3 refuses.
    assert [each.contributing_rows for each in opened().catalogue.lists.all()] == [3]


@pytest.mark.usefixtures("old_ledger")
def test_identities_counted_as_one_get_their_own_keys_and_are_sent_again(opened: Opened) -> None:
    ledger = opened()
    whole, sha1, md5 = digest("sha256", 1), digest("sha1", 2), digest("md5", 3)
    known = ledger.members.read(1, [member_key(each) for each in (whole, CUT, sha1, md5, pack_identity("XY1"))])
    assert known == {
        member_key(whole): Count(1, 0),
        member_key(CUT): Count(1, 0),
        member_key(sha1): Count(1, 0),
        member_key(md5): Count(0, 1),
        member_key(pack_identity("XY1")): Count(1, 0),
    }
    assert len(known) == 5
    assert [sorted(named) for _, named in ledger.notes.unsettled(1)] == [sorted([whole, CUT])]


@pytest.mark.usefixtures("old_ledger")
def test_forgotten_people_stay_out_under_every_algorithm(opened: Opened) -> None:
    ledger = opened()
    assert member_key(digest("sha1", 9)) in ledger.catalogue.suppressions.all()
    assert ledger.members.read(1, [member_key(digest("sha1", 9))]) == {member_key(digest("sha1", 9)): Count(0, 1)}


@pytest.mark.usefixtures("old_ledger")
def test_marks_and_loaders_continue_from_the_former_runs(opened: Opened) -> None:
    ledger = opened()
    catalogue = ledger.catalogue
    assert catalogue.loaders.all() == [Loader(1, 1, "main", 7, 7)]
    assert catalogue.runs.clean_marks(7, 1, 1, 5) == [7]
    with ledger.transaction():
        assert catalogue.sources.next_mark(1) == 8
    assert catalogue.lists.algorithm(1) == (None, True)


@pytest.mark.usefixtures("old_ledger")
def test_a_dry_run_migrates_a_copy_and_leaves_the_ledger_unchanged(opened: Opened) -> None:
    dry = opened(dry=True)
    assert dry.members.read(1, [member_key(digest("sha1", 2))])
    dry.close()
    assert opened().members.read(1, [member_key(digest("sha1", 2))])


@pytest.mark.usefixtures("old_ledger")
def test_the_algorithm_of_the_last_run_decides_what_old_refusals_are(opened: Opened, url: str) -> None:
    def settings(algorithm: str) -> Settings:
        config = {
            "ad_account_id": ACCOUNT, "access_token": "x", "api_url": API, "ledger_url": url,
            "customer_list_name": "customers", "hash_algorithm": algorithm,
        }  # fmt: skip
        return TargetPinterestAudience(config=config).settings

    ledger = opened()
    former = settings("md5")
    with ledger.transaction():
        digest = ledger.digester.setting("hash_algorithm", "md5")
        run = ledger.catalogue.runs.begin(ledger.digester.configuration(former), {"hash_algorithm": digest}, 1.0)
        ledger.catalogue.runs.end(run, "clean", 1.5, [])
    account = Pinterest()
    account.names["77"], account.members["77"] = "customers", set()
    plan = ListPlan(ListReference(customer_list_name="customers"), ListType.EMAIL, IfMissing.CREATE, audience=None)
    for algorithm, allowed in (("sha1", False), ("sha1", False), ("md5", True), ("sha1", False)):
        given = settings(algorithm)
        logger = logging.getLogger("test")
        books = Books.make(ledger, given, account.delivery(given, logger), logger, lambda: 2.0)
        books.recorder.begin_run()
        with contextlib.nullcontext() if allowed else pytest.raises(ConfigurationError, match="was md5"):
            books.lists.open(plan)


def test_the_digests_of_the_test_rows_are_correct() -> None:
    assert digest("sha256", 1).hex() == sha256(address(1))
