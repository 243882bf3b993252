"""What is worth an alert, and when it is told: from what a run shows, and from what is known already; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.errors import RemovalCeilingError
from target_pinterest_audience.pinterest.tokens import WARN_BEFORE_SECONDS
from target_pinterest_audience.reconcile.refused_members import RefusedMembers
from target_pinterest_audience.text.counts import several
from target_pinterest_audience.text.safe_text import one_line

if TYPE_CHECKING:
    from target_pinterest_audience.identities.tally import NobodyConsents

_HOUR_SECONDS: Final = 3_600.0
_DAY_SECONDS: Final = 24 * _HOUR_SECONDS

REPEAT_SECONDS: Final = 23 * _HOUR_SECONDS
"""After how long an alert is told again that still holds. A little less than a day, so that a daily run tells daily."""

MATCHING_SECONDS: Final = 2 * _DAY_SECONDS
"""How long Pinterest takes at most to find the people of a list, as several other integrations report it."""

USABLE_MEMBERS: Final = 100
"""What Pinterest wants on a list before it can be targeted (Pinterest's help pages)."""

CLOCK_SLACK_SECONDS: Final = 120.0
"""By how much the clocks of two machines may differ. A time that is further ahead is one of a clock that was wrong."""

_FEW: Final = 10
"""A list may change by as many people without a word, however small it is."""

_TOO_SMALL_STATUS: Final = "TOO_SMALL"


class Kind(str, Enum):
    """What an alert is about. The values are shown, and kept in the ledger."""

    FAILURE = "failure"
    REMOVAL_CEILING = "removal_ceiling"
    REJECTED = "rejected"
    NOBODY_CONSENTS = "nobody_consents"
    SIGN_IN_ENDS = "sign_in_ends"
    SIZE_CHANGED = "size_changed"
    TOO_SMALL = "too_small"
    REFUSED = "refused"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should know of.

    Attributes:
        command: what found it: `run` or `prune`.
        kind: what it is about.
        subject: what tells it from others of its kind, such as a list's id; may be empty.
        title: one line.
        text: what happened and what to do.
        waits_seconds: how long it must have held before it is told.
    """

    command: str
    kind: Kind
    subject: str
    title: str
    text: str
    waits_seconds: float = 0.0

    @property
    def name(self) -> str:
        """What it is known by from run to run."""
        return f"{self.command}/{self.kind.value}/{self.subject}"


@dataclass(frozen=True, slots=True)
class Standing:
    """An alert that holds, or held when it was looked for last.

    Attributes:
        alert: the alert.
        since: when it was found first, in seconds since 1970.
        told: when somebody was told last; None if nobody was yet.
    """

    alert: Alert
    since: float
    told: float | None

    def is_due(self, now: float) -> bool:
        """Tell whether it is to be told now.

        Args:
            now: seconds since 1970.
        """
        return not self.waits(now) and (self.told is None or now - self.told >= REPEAT_SECONDS)

    def waits(self, now: float) -> bool:
        """Tell whether it has not held for long enough yet.

        Args:
            now: seconds since 1970.
        """
        return now - self.since < self.alert.waits_seconds


class Thresholds(NamedTuple):
    """From where on something is worth an alert: the settings `notify_…`."""

    rejected_percent: int
    size_change_percent: int
    stale_hours: int


class ListState(NamedTuple):
    """A list after a run.

    Attributes:
        list_id: its id at Pinterest.
        label: the list for people.
        before: its members after the run before; None if that is not known.
        after: its members now; None likewise.
        status: Pinterest's word for its state, or its audience's.
    """

    list_id: str
    label: str
    before: int | None
    after: int | None
    status: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run, or a prune, ended.

    Attributes:
        command: `run` or `prune`.
        exit_code: the process's.
        error: the line on standard error that says why, if it is not 0.
        received: how many values came.
        rejected: how many of them were rejected.
        sign_in_seconds: for how long the sign-in at Pinterest holds; None if the run did not come to know.
        nobody_consents: the streams in which nobody consents.
        empty: whether neither a row nor a STATE came.
        refused: the lists that most members left by refusals.
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
        """Whether it counts as a success: a tap that died before its first row leaves an empty run without an error."""
        return self.exit_code == 0 and not self.empty


def judge(ended: Ended, lists: Iterable[ListState], thresholds: Thresholds) -> list[Alert]:
    """Return what is worth an alert.

    Args:
        ended: how a run, or a prune, ended.
        lists: the lists that it had to do with.
        thresholds: from where on something is.
    """
    lists = list(lists)
    found = [
        _failure(ended),
        _rejected(ended, thresholds.rejected_percent),
        *(_nobody_consents(ended.command, each) for each in ended.nobody_consents),
        _sign_in(ended),
        *(_size_changed(ended.command, each, thresholds.size_change_percent) for each in lists),
        *(_too_small(ended.command, each) for each in lists),
        *(_refused(ended.command, each) for each in ended.refused),
    ]
    return [alert for alert in found if alert is not None]


def stale(last_success: float | None, now: float, hours: int) -> Alert | None:
    """Return the alert that no run has succeeded for too long.

    Args:
        last_success: when the newest run ended that succeeded, in seconds since 1970; None if none ever did.
        now: seconds since 1970.
        hours: how long is too long.
    """
    advice = "Look whether runs are still started, and at what the last one wrote to standard error."
    if last_success is None:
        title = "No run has succeeded yet"
        return Alert("run", Kind.STALE, "", title, f"The ledger knows no successful run of these settings. {advice}")
    since = (now - last_success) / _HOUR_SECONDS
    if since <= hours:
        return None
    title = f"No run has succeeded for {several(round(since), 'hour', 'hours')}"
    return Alert("run", Kind.STALE, "", title, f"That is more than {hours} (`notify_stale_hours`). {advice}")


def follow(
    known: Iterable[Standing], found: Iterable[Alert], now: float, *, succeeded: str | None = None
) -> list[Standing]:
    """Return what stands now.

    Args:
        known: what stood.
        found: what was found now; it takes the place of what is known by the same name.
        now: seconds since 1970.
        succeeded: the command that has just succeeded, if one has: what it did not find is over. A failed one may not
            have come to look.
    """
    known = [_believable(each, now) for each in known]
    standing = {each.alert.name: each for each in known if each.alert.command != succeeded}
    before = {each.alert.name: each for each in known}
    for alert in found:
        earlier = before.get(alert.name)
        since, told = (now, None) if earlier is None else (earlier.since, earlier.told)
        standing[alert.name] = Standing(alert, since, told)
    return list(standing.values())


def _believable(standing: Standing, now: float) -> Standing:
    """Return an alert without times in the future: by a clock that was years ahead it would be silent for years."""
    told = standing.told if standing.told is not None and standing.told <= now + CLOCK_SLACK_SECONDS else None
    return replace(standing, since=min(standing.since, now), told=told)


def message(alerts: Iterable[Alert], ad_account_id: str) -> tuple[str, str]:
    """Return the title and the text of the one message that tells alerts; there is at least one."""
    # Titles and texts name lists, whatever their names hold.
    told = [replace(each, title=one_line(each.title), text=one_line(each.text)) for each in alerts]
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    parts = [f"{each.title}\n{each.text}" for each in told]
    parts.append(f"target-pinterest-audience, ad account {ad_account_id}. Told again once a day while it lasts.")
    return f"Pinterest audience: {told[0].title}{more}", "\n\n".join(parts)


def _failure(ended: Ended) -> Alert | None:
    if ended.exit_code == 0:
        return None
    words = ended.error or ""
    name = "A run" if ended.command == "run" else f"`pinterest-audience {ended.command}`"
    if ended.exit_code == RemovalCeilingError.exit_code:
        title = f"{name} was stopped: more people would have been removed than allowed (exit code 6)"
        return Alert(ended.command, Kind.REMOVAL_CEILING, "", title, words)
    title = f"{name} failed (exit code {ended.exit_code})"
    return Alert(ended.command, Kind.FAILURE, str(ended.exit_code), title, words)


def _rejected(ended: Ended, percent: int) -> Alert | None:
    if ended.rejected * 100 <= ended.received * percent:
        return None
    share = ended.rejected * 100 / ended.received
    title = f"{share:,.0f} % of all values were rejected"
    text = (
        f"{ended.rejected:,} of {ended.received:,}: more than {percent} % (`notify_rejected_percent`). The log says "
        "which columns and why; `rejects_path` gets each row."
    )
    return Alert(ended.command, Kind.REJECTED, "", title, text)


def _nobody_consents(command: str, found: NobodyConsents) -> Alert:
    title = found.title[0].upper() + found.title[1:]
    return Alert(command, Kind.NOBODY_CONSENTS, found.stream, title, found.text)


def _refused(command: str, members: RefusedMembers) -> Alert:
    share = members.refused * 100 / members.members
    title = f"{share:,.0f} % of the members left {members.label} by refusals"
    return Alert(command, Kind.REFUSED, members.list_id, title, members.told())


def _sign_in(ended: Ended) -> Alert | None:
    if ended.sign_in_seconds is None or ended.sign_in_seconds >= WARN_BEFORE_SECONDS:
        return None
    title = f"The sign-in at Pinterest ends in {several(round(ended.sign_in_seconds / _DAY_SECONDS), 'day', 'days')}"
    text = "Sign in again before that, and set `refresh_token`: without one that is valid no run can do anything."
    return Alert(ended.command, Kind.SIGN_IN_ENDS, "", title, text)


def _size_changed(command: str, state: ListState, percent: int) -> Alert | None:
    if not state.before or state.after is None:
        return None
    change = state.after - state.before
    if abs(change) <= _FEW or abs(change) * 100 <= state.before * percent:
        return None
    word = "grew" if change > 0 else "shrank"
    title = f"{state.label} {word} by {abs(change) * 100 / state.before:,.0f} %"
    text = (
        f"It had {state.before:,} members after the run before and has {state.after:,} now: a change of more than "
        f"{percent} % (`notify_size_change_percent`). Look at the table or query that feeds it."
    )
    return Alert(command, Kind.SIZE_CHANGED, state.list_id, title, text)


def _too_small(command: str, state: ListState) -> Alert | None:
    advice = f"Pinterest wants {USABLE_MEMBERS} people whom it knows before a list can be targeted."
    if state.before is not None and state.after is not None and state.before >= USABLE_MEMBERS > state.after:
        title = f"{state.label} fell under {USABLE_MEMBERS} members"
        text = f"It had {state.before:,} and has {state.after:,} now. {advice}"
        return Alert(command, Kind.TOO_SMALL, state.list_id, title, text)
    if state.status != _TOO_SMALL_STATUS:
        return None
    title = f"{state.label} is too small to be targeted"
    members = "" if state.after is None else f" Of the {state.after:,} people on it Pinterest knows fewer."
    text = f"Its state at Pinterest has been TOO_SMALL for two days or more. {advice}{members}"
    return Alert(command, Kind.TOO_SMALL, state.list_id, title, text, waits_seconds=MATCHING_SECONDS)
