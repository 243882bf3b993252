"""What uses a list is shown to people, and stops whoever would show ads to all customers."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import members
from tests.support.messages import digests, people, record, schema
from tests.support.processes import Companion, Prune, Target

EMAIL = schema("email")
LIST = "customers"
AD_GROUPS, CAMPAIGNS, SEGMENTS = ("/ad_groups$", "/campaigns$", "/customer_segments$")


class Made(NamedTuple):
    """A list with people, and its audience."""

    list_id: str
    audience_id: str


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "load_method": "overwrite", "max_retries": 0}


@pytest.fixture
def made(emulator: Emulator, run_target: Target) -> Made:
    assert run_target([EMAIL, *people(range(120))]).code == 0
    (known,), (audience,) = emulator.backend.customer_lists(), emulator.backend.audiences()
    return Made(known.id, audience.id)


def hide(emulator: Emulator, path: str, status: int = 403) -> None:
    emulator.backend.inject(Fault(method="GET", path=path, status=status, times=None))


class TestShown:
    @pytest.mark.parametrize("by", ["list_id", "audience_id"])
    def test_ad_groups_campaigns_and_segments_are_named(
        self, emulator: Emulator, run_companion: Companion, made: Made, by: str
    ) -> None:
        given, backend = getattr(made, by), emulator.backend
        ids = [
            backend.create_ad_group("Prospecting", exclude=["77", given]),
            backend.create_campaign("Performance", exclude=[given], status="PAUSED"),
            backend.create_ad_group("Regulars", include=[given]),
        ]
        segment = backend.create_segment("Existing", [made.audience_id]).id
        backend.create_ad_group("Others", include=["77"], exclude=["78"])
        for command in (("lists", "show", LIST), ("audiences", "show", made.audience_id)):
            shown = run_companion(*command).stdout
            assert f'Ad group "Prospecting" (id {ids[0]}, ACTIVE) excludes it.' in shown
            assert f'Campaign "Performance" (id {ids[1]}, PAUSED) excludes it.' in shown
            assert f'Ad group "Regulars" (id {ids[2]}, ACTIVE) includes it.' in shown
            assert f'Customer segment "Existing" (id {segment}, ACTIVE) holds it.' in shown
            assert "Others" not in shown
            told = json.loads(run_companion(*command, "--json").stdout)
            assert [(each["name"], each["how"], each["active"]) for each in told["uses"]] == [
                ("Prospecting", "excludes", True), ("Existing", "holds", True), ("Regulars", "includes", True),
                ("Performance", "excludes", False),
            ]  # fmt: skip
            assert told["uses_unread"] == []

    def test_nothing_that_uses_it_is_said_too(self, run_companion: Companion, made: Made) -> None:
        assert "No ad group and no campaign uses it." in run_companion("lists", "show", made.list_id).stdout

    def test_what_may_not_be_read_is_said(self, emulator: Emulator, run_companion: Companion, made: Made) -> None:
        hide(emulator, CAMPAIGNS)
        shown = run_companion("audiences", "show", made.audience_id)
        assert shown.code == 0
        assert "Pinterest did not show the campaigns of the ad account." in shown.stdout
        assert "No ad group and no campaign" not in shown.stdout


class TestClear:
    CLEAR = ("clear", "--list", LIST, "--yes")

    @pytest.mark.parametrize(
        ("kind", "arguments"),
        [
            ("ad_group", {"exclude": ["list"]}),
            ("ad_group", {"exclude": ["audience"]}),
            ("campaign", {"exclude": ["list"]}),
            ("campaign", {"exclude": ["audience"]}),
            ("ad_group", {"customer_segment_id": "segment"}),
        ],
    )
    def test_what_keeps_ads_away_from_people_must_be_allowed(
        self, emulator: Emulator, run_companion: Companion, made: Made, kind: str, arguments: dict[str, Any]
    ) -> None:
        segment = emulator.backend.create_segment("Existing", [made.audience_id]).id
        ids = {"list": made.list_id, "audience": made.audience_id}
        arguments = {
            name: segment if value == "segment" else [ids[each] for each in value] for name, value in arguments.items()
        }
        getattr(emulator.backend, f"create_{kind}")("Newcomers", **arguments)
        refused = run_companion(*self.CLEAR)
        assert refused.code == 2
        assert "the ads are shown to them" in refused.stderr
        assert "--in-use" in refused.stderr
        assert members(emulator) == digests(range(120))
        dry = run_companion("clear", "--list", LIST, "--dry-run")
        assert (dry.code, "Newcomers" in dry.stderr, "this needs --in-use" in dry.stderr) == (0, True, True)
        meant = run_companion("clear", "--list", LIST, "--dry-run", "--in-use")
        assert (meant.code, "this needs --in-use" in meant.stderr) == (0, False)
        cleared = run_companion(*self.CLEAR, "--in-use", "--json")
        assert cleared.code == 0, cleared.stderr
        assert "Newcomers" in cleared.stderr
        assert json.loads(cleared.stdout)["removed"] == 120
        assert members(emulator) == frozenset()

    def test_in_use_is_no_confirmation(self, emulator: Emulator, run_companion: Companion, made: Made) -> None:
        emulator.backend.create_campaign("Performance", exclude=[made.list_id])
        refused = run_companion("clear", "--list", LIST, "--in-use")
        assert (refused.code, "pass --yes to confirm" in refused.stderr) == (2, True)
        assert members(emulator) == digests(range(120))

    def test_what_shows_no_ads_or_shows_them_to_these_people_is_only_told(
        self, emulator: Emulator, run_companion: Companion, made: Made
    ) -> None:
        emulator.backend.create_ad_group("Later", exclude=[made.list_id], status="PAUSED")
        emulator.backend.create_ad_group("Regulars", include=[made.audience_id])
        emulator.backend.create_segment("Existing", [made.audience_id])
        cleared = run_companion(*self.CLEAR)
        assert cleared.code == 0, cleared.stderr
        for name in ("Later", "Regulars", "Existing"):
            assert name in cleared.stderr

    @pytest.mark.parametrize("path", [AD_GROUPS, CAMPAIGNS])
    @pytest.mark.parametrize("status", [403, 404, 500])
    def test_what_pinterest_does_not_show_must_be_allowed_too(
        self, emulator: Emulator, run_companion: Companion, made: Made, path: str, status: int
    ) -> None:
        assert made.list_id
        hide(emulator, path, status)
        refused = run_companion(*self.CLEAR)
        assert refused.code == 2
        assert f'does not show whether an active ad group or campaign excludes customer list "{LIST}" (id ' in (
            refused.stderr
        )
        assert members(emulator) == digests(range(120))
        assert run_companion(*self.CLEAR, "--in-use").code == 0

    @pytest.mark.parametrize(("segment", "code"), [(None, 0), ("0", 0), ("17", 2)])
    def test_segments_that_are_not_shown_matter_only_if_an_ad_group_uses_one(
        self, emulator: Emulator, run_companion: Companion, made: Made, segment: str | None, code: int
    ) -> None:
        assert made.list_id
        hide(emulator, SEGMENTS)
        emulator.backend.create_ad_group("Newcomers", customer_segment_id=segment)
        cleared = run_companion(*self.CLEAR)
        assert cleared.code == code
        assert "Pinterest did not show the customer segments" in cleared.stderr

    def test_a_form_that_is_not_known_is_not_taken_for_no_exclusion(
        self, emulator: Emulator, run_companion: Companion, made: Made
    ) -> None:
        odd = [{"id": "5", "status": "ACTIVE", "targeting_spec": {"AUDIENCE_EXCLUDE": [{"id": made.audience_id}]}}]
        body = {"items": odd, "bookmark": None}
        emulator.backend.inject(Fault(method="GET", path=AD_GROUPS, status=200, body=body, times=None))
        assert run_companion(*self.CLEAR).code == 2
        assert members(emulator) == digests(range(120))

    def test_a_token_that_is_not_valid_is_the_error(
        self, emulator: Emulator, run_companion: Companion, made: Made
    ) -> None:
        assert made.list_id
        assert run_companion(*self.CLEAR, access_token="wrong").code == 3
        assert members(emulator) == digests(range(120))


class TestDelete:
    def test_an_audience_that_keeps_ads_away_is_deleted_only_if_that_is_meant(
        self, emulator: Emulator, run_companion: Companion, made: Made
    ) -> None:
        emulator.backend.create_ad_group("Prospecting", exclude=[made.audience_id])
        delete = ("audiences", "delete", made.audience_id, "--yes")
        refused = run_companion(*delete)
        assert (refused.code, "Prospecting" in refused.stderr) == (2, True)
        assert len(emulator.backend.audiences()) == 1
        assert run_companion(*delete, "--in-use").code == 0
        assert emulator.backend.audiences() == []

    def test_an_audience_that_nothing_uses_is_deleted(
        self, emulator: Emulator, run_companion: Companion, made: Made
    ) -> None:
        done = run_companion("audiences", "delete", made.audience_id, "--yes")
        assert (done.code, emulator.backend.audiences()) == (0, [])
        assert "No ad group and no campaign uses audience" in done.stderr


class TestPrune:
    @pytest.fixture(autouse=True)
    def half_of_them_left(self, emulator: Emulator, run_target: Target, made: Made) -> None:
        emulator.backend.create_campaign("Performance", exclude=[made.list_id])
        assert run_target([EMAIL, *people(range(60))]).code == 0

    def test_below_the_ceiling_nobody_asks(self, emulator: Emulator, run_prune: Prune) -> None:
        pruned = run_prune(max_removal_percent=60)
        assert (pruned.code, "Performance" in pruned.stderr) == (0, False)
        assert members(emulator) == digests(range(60))

    def test_above_it_nobody_is_removed_as_ever(self, emulator: Emulator, run_prune: Prune) -> None:
        assert run_prune().code == 6
        refused = run_prune("--allow-removal-percent", "40")
        assert (refused.code, "Performance" in refused.stderr) == (6, False)
        assert members(emulator) == digests(range(120))

    def test_what_is_allowed_by_hand_must_be_meant(
        self, emulator: Emulator, run_prune: Prune, run_companion: Companion
    ) -> None:
        refused = run_prune("--allow-removal-percent", "60")
        assert refused.code == 2
        assert 'campaign "Performance"' in refused.stderr
        assert members(emulator) == digests(range(120))
        dry = run_prune("--allow-removal-percent", "60", dry_run=True)
        assert (dry.code, "Performance" in dry.stderr, "60 to remove" in dry.stdout) == (0, True, True)
        assert "this needs --in-use" in dry.stderr
        done = run_prune("--allow-removal-percent", "60", "--in-use", "--json")
        assert done.code == 0, done.stderr
        assert json.loads(done.stdout)["lists"][0]["removed"] == 60
        assert members(emulator) == digests(range(60))
        (known,) = json.loads(run_companion("report", "--json").stdout)["lists"]
        assert (known["members"], known["contributing_rows"]) == (60, 60)

    def test_a_list_that_nothing_excludes_is_pruned_as_before(
        self, emulator: Emulator, run_prune: Prune, run_target: Target
    ) -> None:
        settings = {"customer_list_name": "others", "source_name": "other"}
        for count in (40, 20):
            run_target([EMAIL, *people(range(count))], **settings)
        pruned = run_prune("--allow-removal-percent", "60", **settings)
        assert pruned.code == 0, pruned.stderr
        assert "No ad group and no campaign uses" in pruned.stderr
        assert members(emulator, "others") == digests(range(20))


class TestRun:
    """A run asks nobody, so its message must say who would see the ads before a person raises the setting."""

    CHANGED = (EMAIL, *(record(id=n, email=None) for n in range(60)))

    def test_the_ceiling_says_what_uses_the_list(self, emulator: Emulator, run_target: Target, made: Made) -> None:
        backend = emulator.backend
        group = backend.create_ad_group("Newcomers", exclude=[made.audience_id])
        campaign = backend.create_campaign("Performance", exclude=[made.list_id], status="PAUSED")
        stopped = run_target([*self.CHANGED])
        assert stopped.code == 6
        last = stopped.stderr.splitlines()[-1]
        assert f'ad group "Newcomers" (id {group}, ACTIVE) excludes it' in last
        assert f'campaign "Performance" (id {campaign}, PAUSED) excludes it' in last
        assert "--in-use" in last
        assert members(emulator) == digests(range(120))

    def test_an_inclusion_is_named_without_advice(self, emulator: Emulator, run_target: Target, made: Made) -> None:
        emulator.backend.create_ad_group("Regulars", include=[made.list_id])
        last = run_target([*self.CHANGED]).stderr.splitlines()[-1]
        assert 'ad group "Regulars"' in last
        assert "--in-use" not in last

    def test_without_a_use_the_message_stays_short(self, run_target: Target, made: Made) -> None:  # noqa: ARG002 - the list exists
        stopped = run_target([*self.CHANGED])
        assert stopped.stderr.splitlines()[-1].endswith("If this is intended, raise the setting for one run.")

    def test_what_pinterest_does_not_show_is_said(self, emulator: Emulator, run_target: Target, made: Made) -> None:  # noqa: ARG002 - the list exists
        hide(emulator, CAMPAIGNS)
        last = run_target([*self.CHANGED]).stderr.splitlines()[-1]
        assert "Pinterest does not show whether an active ad group or campaign excludes the list" in last

    def test_a_failing_question_does_not_replace_the_error(
        self,
        emulator: Emulator,
        run_target: Target,
        made: Made,  # noqa: ARG002 - the list exists
    ) -> None:
        hide(emulator, "/audiences$", 500)
        assert run_target([*self.CHANGED]).code == 6

    @pytest.mark.parametrize("percent", [50, 100])
    def test_a_run_that_may_remove_more_warns_of_the_use(
        self, emulator: Emulator, run_target: Target, made: Made, percent: int
    ) -> None:
        emulator.backend.create_ad_group("Newcomers", exclude=[made.audience_id])
        done = run_target([*self.CHANGED], max_removal_percent=percent)
        assert done.code == 0, done.stderr
        (warning,) = [line for line in done.stderr.splitlines() if "Newcomers" in line]
        assert f"60 of the 120 members of customer list {made.list_id} left in this run" in warning

    @pytest.mark.parametrize(("gone", "use"), [(60, "include"), (60, None), (12, "exclude"), (24, "exclude")])
    def test_it_does_not_warn_without_need(
        self, emulator: Emulator, run_target: Target, made: Made, gone: int, use: str | None
    ) -> None:
        if use is not None:
            other, own = ["77"], [made.list_id]
            include, exclude = (own, other) if use == "include" else (other, own)
            emulator.backend.create_ad_group("Regulars", include=include, exclude=exclude)
        asked = len(emulator.backend.calls)
        done = run_target([EMAIL, *(record(id=n, email=None) for n in range(gone))], max_removal_percent=100)
        assert (done.code, "Regulars" in done.stderr) == (0, False), done.stderr
        if gone < 60:
            assert not [call for call in emulator.backend.calls[asked:] if "ad_groups" in call.path]
