"""The words that people read for a reason of removal and for an exit code: in the history, the report and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class CauseWords(NamedTuple):
    """A reason for removal as the page shows it.

    Attributes:
        title: a word or two.
        because: completes "They were removed because ..."; empty if this version does not know the reason.
    """

    title: str
    because: str

    @property
    def sentence(self) -> str:
        """The explanation as a sentence of its own; empty if there is none."""
        return f"{self.because[0].upper()}{self.because[1:]}." if self.because else ""


_CAUSES: Final[Mapping[str, CauseWords]] = {
    "delete": CauseWords("Deleted", "their row was deleted in your data"),
    "change": CauseWords("Changed", "their row now names a different address, phone number or device id, or none"),
    "refusal": CauseWords("Refused", "they withdrew their consent, or are in a table of people to leave out"),
    "prune": CauseWords("No longer in the table", "their row was missing from a complete read of your table (prune)"),
    "clear": CauseWords("Cleared", "the list was cleared (clear)"),
    "forget": CauseWords("Forgotten", "they asked to be forgotten (forget)"),
    "holdout": CauseWords("Held out", "they are in the share of people that you hold out (`holdout_percent`)"),
    "repeated": CauseWords("Removed again", "an earlier request may have added them back"),
    "unfinished": CauseWords(
        "Interrupted", "an interrupted run had scheduled the removal; its reason was not recorded"
    ),
}

_EXIT_CODES: Final[Mapping[int | None, str]] = {
    None: "killed, or still running",
    0: "done",
    1: "failed: output closed, disk full, or a bug",
    2: "failed: configuration",
    3: "failed: not authorised by Pinterest",
    4: "failed: Pinterest unavailable",
    5: "failed: too many rejected rows, or a refused batch",
    6: "stopped: more people would have been removed than allowed",
    7: "failed: ledger",
    8: "failed: broken stream",
}
_SIGNALS: Final = 128
"""A process that a signal ends has this plus the signal's number as its exit code."""


def cause_words(cause: str) -> CauseWords:
    """Return the words for a reason; a reason that another version recorded keeps its name."""
    return _CAUSES.get(cause, CauseWords(cause, ""))


def outcome_words(exit_code: int | None, *, empty: bool = False) -> str:
    """Return how a run or command ended.

    Args:
        exit_code: the exit code of the process; None if it has not ended.
        empty: whether the tap sent neither a row nor a STATE.
    """
    if exit_code == 0 and empty:
        return "no rows: the tap sent neither a row nor a STATE"
    if exit_code is not None and exit_code > _SIGNALS:
        return f"stopped by signal {exit_code - _SIGNALS}"
    return _EXIT_CODES.get(exit_code, f"failed: exit code {exit_code}")
