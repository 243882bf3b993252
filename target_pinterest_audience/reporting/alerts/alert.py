"""An alert, and the message that sends alerts to people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from target_pinterest_audience.reporting.alerts.fed_lists import in_words
from target_pinterest_audience.text.safe_text import one_line


class Kind(str, Enum):
    """What an alert is about. The values are shown to people and stored in the ledger."""

    FAILURE = "failure"
    REMOVAL_CEILING = "removal_ceiling"
    REJECTED = "rejected"
    NOBODY_CONSENTS = "nobody_consents"
    SIGN_IN_ENDS = "sign_in_ends"
    SIZE_CHANGED = "size_changed"
    TOO_SMALL = "too_small"
    MATCH_DROPPED = "match_dropped"
    NOBODY_MATCHED = "nobody_matched"
    REFUSED = "refused"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Alert:
    """A problem that a person should know about. The ledger stores it with these field names.

    Attributes:
        command: the command that found it: `run` or `prune`.
        kind: what it is about.
        subject: distinguishes alerts of the same kind, for example by a list's id; may be empty.
        title: one line.
        text: what happened, and what to do.
        waits_seconds: how long the problem must have lasted before the alert is sent.
    """

    command: str
    kind: Kind
    subject: str
    title: str
    text: str
    waits_seconds: float = 0.0

    @property
    def name(self) -> str:
        """Identifies the alert from run to run."""
        return f"{self.command}/{self.kind.value}/{self.subject}"


def compose_message(alerts: Iterable[Alert], ad_account_id: str, lists: Sequence[str] = ()) -> tuple[str, str]:
    """Return the title and the text of one message with all alerts.

    Args:
        alerts: the alerts, of which there is at least one.
        ad_account_id: the ad account.
        lists: the lists that the settings feed, as messages call them.
    """
    # Titles and texts contain names of lists, which may hold line breaks and control characters.
    safe = [replace(each, title=one_line(each.title), text=one_line(each.text)) for each in alerts]
    more = f" (and {len(safe) - 1} more)" if len(safe) > 1 else ""
    parts = [f"{each.title}\n{each.text}" for each in safe]
    named = one_line(in_words(lists))
    fed = f"{named} of " if named else ""
    parts.append(
        f"Sent by target-pinterest-audience for {fed}ad account {ad_account_id}, and again once a day while the "
        "problem lasts."
    )
    # A title about one list names it already.
    says_which = any(one_line(each.removeprefix("customer list ")) in safe[0].title for each in lists)
    of_what = named if named and not says_which else "audience"
    return f"Pinterest {of_what}: {safe[0].title}{more}", "\n\n".join(parts)
