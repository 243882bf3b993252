"""Every reason for removal and every exit code has words."""

from __future__ import annotations

import pytest

from target_pinterest_audience.reporting.words import CauseWords, cause_words, outcome_words
from target_pinterest_audience.vocabulary import Cause


@pytest.mark.parametrize("cause", [each.name.lower() for each in Cause])
def test_every_cause_has_a_title_and_an_explanation(cause: str) -> None:
    words = cause_words(cause)
    assert words.title != cause
    assert words.sentence == f"{words.because[0].upper()}{words.because[1:]}."


def test_a_cause_of_another_version_keeps_its_name() -> None:
    assert cause_words("expired") == CauseWords("expired", "")
    assert cause_words("expired").sentence == ""


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (None, "killed, or still running"),
        (0, "done"),
        (1, "failed: output closed, disk full, or a bug"),
        (6, "stopped: more people would have been removed than allowed"),
        (9, "failed: exit code 9"),
        (143, "stopped by signal 15"),
    ],
)
def test_the_exit_code_describes_how_a_run_ended(exit_code: int | None, words: str) -> None:
    assert outcome_words(exit_code) == words


def test_only_a_run_without_an_error_is_called_empty() -> None:
    assert outcome_words(0, empty=True) == "no rows: the tap sent neither a row nor a STATE"
    assert outcome_words(8, empty=True) == outcome_words(8)
