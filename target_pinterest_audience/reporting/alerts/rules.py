"""The rules that say what is worth an alert after a run. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.errors import RemovalCeilingError
from target_pinterest_audience.pinterest.tokens import WARN_BEFORE_SECONDS
from target_pinterest_audience.reconcile.refused_members import RefusedMembers
from target_pinterest_audience.reporting.alerts.alert import Alert, Kind
from target_pinterest_audience.reporting.alerts.match_rules import Matching, match_dropped, nobody_matched
from target_pinterest_audience.reporting.matching import USABLE_PEOPLE
from target_pinterest_audience.text.counts import several

if TYPE_CHECKING:
    from target_pinterest_audience.identities.tally import NobodyConsents
    from target_pinterest_audience.settings import Settings

_HOUR_SECONDS: Final = 3_600.0
_DAY_SECONDS: Final = 24 * _HOUR_SECONDS

MATCHING_SECONDS: Final = 2 * _DAY_SECONDS
"""How long Pinterest takes at most to match the people of a list, as several other integrations report."""

_FEW: Final = 10
"""A change of a list by at most this many members is never worth an alert, however small the list is."""

_TOO_SMALL_STATUS: Final = "TOO_SMALL"


class Thresholds(NamedTuple):
    """The limits beyond which something is worth an alert: the settings `notify_…`."""

    rejected_percent: int
    size_change_percent: int
    stale_hours: int
    match_drop_percent: int

    @classmethod
    def of(cls, settings: Settings) -> Thresholds:
        """Return the limits of the settings."""
        return cls(
            settings.notify_rejected_percent,
            settings.notify_size_change_percent,
            settings.notify_stale_hours,
            settings.notify_match_drop_percent,
        )


class ListState(NamedTuple):
    """A list after a run.

    Attributes:
        list_id: its id at Pinterest.
        label: what messages call the list.
        before: its members after the previous run; None if that is not known.
        after: its members now; None if that is not known.
        status: Pinterest's status of the list or of its audience.
        matching: its rows and matched people.
    """

    list_id: str
    label: str
    before: int | None
    after: int | None
    status: str | None
    matching: Matching = Matching(None, None)


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run or a prune ended.

    Attributes:
        command: `run` or `prune`.
        exit_code: the exit code of the process.
        error: the error message on standard error; None if the exit code is 0.
        received: how many values were read.
        rejected: how many of them were rejected.
        sign_in_seconds: seconds until the sign-in at Pinterest expires; None if the run did not find out.
        nobody_consents: the streams in which no row consents.
        empty: whether the tap sent neither a row nor a STATE.
        refused: the lists that lost most of their members because rows refuse them.
    """

    command: str
    exit_code: int
    error: str | None
    received: int
    rejected: int
    sign_in_seconds: float | None
    nobody_consents: tuple[NobodyConsents, ...] = ()
    empty: bool = False
    refused: tuple[RefusedMembers, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether it counts as a success. An empty run does not: a tap that fails before its first row leaves one."""
        return self.exit_code == 0 and not self.empty


def find_alerts(result: RunResult, lists: Iterable[ListState], thresholds: Thresholds) -> list[Alert]:
    """Return the alerts that a run or a prune gives rise to.

    Args:
        result: how it ended.
        lists: the lists that it wrote to.
        thresholds: the limits that the settings give.
    """
    lists = list(lists)
    found = [
        _failure(result),
        _rejected(result, thresholds.rejected_percent),
        *(_nobody_consents(result.command, each) for each in result.nobody_consents),
        _sign_in(result),
        *(_size_changed(result.command, each, thresholds.size_change_percent) for each in lists),
        *(each for state in lists for each in _people(result.command, state, thresholds.match_drop_percent)),
        *(_refused(result.command, each) for each in result.refused),
    ]
    return [alert for alert in found if alert is not None]


def stale_alert(last_success: float | None, now: float, hours: int) -> Alert | None:
    """Return the alert that no run has succeeded for too long; None if one has.

    Args:
        last_success: Unix time when the newest successful run ended; None if there is none.
        now: Unix time.
        hours: how many hours are too long.
    """
    advice = "Check whether runs are still started, and read the log of the last one."
    if last_success is None:
        title = "No run has succeeded yet"
        return Alert("run", Kind.STALE, "", title, f"The ledger has no successful run with these settings. {advice}")
    since = (now - last_success) / _HOUR_SECONDS
    if since <= hours:
        return None
    title = f"No run has succeeded for {several(round(since), 'hour', 'hours')}"
    return Alert(
        "run", Kind.STALE, "", title, f"The limit is {several(hours, 'hour', 'hours')} (`notify_stale_hours`). {advice}"
    )


def _failure(result: RunResult) -> Alert | None:
    if result.exit_code == 0:
        return None
    words = result.error or ""
    name = "A run" if result.command == "run" else f"`pinterest-audience {result.command}`"
    if result.exit_code == RemovalCeilingError.exit_code:
        title = f"{name} was stopped: more people would have been removed than allowed (exit code 6)"
        return Alert(result.command, Kind.REMOVAL_CEILING, "", title, words)
    title = f"{name} failed (exit code {result.exit_code})"
    return Alert(result.command, Kind.FAILURE, str(result.exit_code), title, words)


def _rejected(result: RunResult, percent: int) -> Alert | None:
    if result.rejected * 100 <= result.received * percent:
        return None
    share = result.rejected * 100 / result.received
    title = f"{share:,.0f} % of all values were rejected"
    text = (
        f"{result.rejected:,} of {result.received:,}: more than {percent} % (`notify_rejected_percent`). The log names "
        "the columns and the reasons; set `rejects_path` to list every rejected value by line and column."
    )
    return Alert(result.command, Kind.REJECTED, "", title, text)


def _nobody_consents(command: str, found: NobodyConsents) -> Alert:
    title = found.title[0].upper() + found.title[1:]
    return Alert(command, Kind.NOBODY_CONSENTS, found.stream, title, found.text)


def _refused(command: str, members: RefusedMembers) -> Alert:
    share = members.refused * 100 / members.members
    title = f"{share:,.0f} % of the members left {members.label} because of refusals"
    return Alert(command, Kind.REFUSED, members.list_id, title, members.told())


def _sign_in(result: RunResult) -> Alert | None:
    if result.sign_in_seconds is None or result.sign_in_seconds >= WARN_BEFORE_SECONDS:
        return None
    title = (
        f"The sign-in at Pinterest expires in {several(round(result.sign_in_seconds / _DAY_SECONDS), 'day', 'days')}"
    )
    text = (
        "Before then, sign in again with `pinterest-audience login`, and update `refresh_token` if you set it. Without "
        "a valid refresh token, runs fail."
    )
    return Alert(result.command, Kind.SIGN_IN_ENDS, "", title, text)


def _size_changed(command: str, state: ListState, percent: int) -> Alert | None:
    if not state.before or state.after is None:
        return None
    change = state.after - state.before
    if abs(change) <= _FEW or abs(change) * 100 <= state.before * percent:
        return None
    word = "grew" if change > 0 else "shrank"
    title = f"{state.label} {word} by {abs(change) * 100 / state.before:,.0f} %"
    text = (
        f"It had {several(state.before, 'member', 'members')} after the previous run and has {state.after:,} now: a "
        f"change of more than {percent} % (`notify_size_change_percent`). Check the table or query that feeds it."
    )
    return Alert(command, Kind.SIZE_CHANGED, state.list_id, title, text)


def _people(command: str, state: ListState, match_drop_percent: int) -> list[Alert | None]:
    """Return the alerts about the people whom Pinterest recognises on a list."""
    nobody = nobody_matched(command, state.list_id, state.label, state.matching)
    if nobody is not None:
        # It says more than that the list is too small.
        return [nobody]
    dropped = match_dropped(command, state.list_id, state.label, state.matching, match_drop_percent)
    return [_too_small(command, state), dropped]


def _too_small(command: str, state: ListState) -> Alert | None:
    advice = f"Before a list can be targeted, Pinterest must have matched at least {USABLE_PEOPLE} people on it."
    if state.before is not None and state.after is not None and state.before >= USABLE_PEOPLE > state.after:
        title = f"{state.label} fell below {USABLE_PEOPLE} members"
        text = f"It had {state.before:,} and has {state.after:,} now. {advice}"
        return Alert(command, Kind.TOO_SMALL, state.list_id, title, text)
    if state.status != _TOO_SMALL_STATUS:
        return None
    title = f"{state.label} is too small to be targeted"
    members = "" if state.after is None else f" It has {several(state.after, 'member', 'members')}."
    text = f"Its status at Pinterest has been TOO_SMALL for at least two days. {advice}{members}"
    return Alert(command, Kind.TOO_SMALL, state.list_id, title, text, waits_seconds=MATCHING_SECONDS)
