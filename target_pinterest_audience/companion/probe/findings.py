"""The questions, what was found out about each, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, NamedTuple


class Sure(str, Enum):
    """How sure an answer is."""

    SEEN = "seen"
    """Pinterest's responses show it."""
    INFERRED = "inferred"
    """It explains the responses best, but they could have another cause."""
    UNDECIDED = "undecided"
    """The question was asked, and the responses fit several answers."""
    NOT_ASKED = "not asked"
    """The question was not asked."""


QUESTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "rows_without_list_type": "Is a list created from records_v2 without list_type?",
        "rows_with_list_type": "Is a list created from records_v2 with list_type?",
        "row_of_two_fields": "Is a row of two fields accepted?",
        "removal_of_one_field": "What does a removal of one field of such a row do?",
        "device_id_case": "Does the case of a device id matter?",
        "exceptions": "How does Pinterest answer a value that is not an identity?",
        "reset_unit": "What is the unit of x-ratelimit-reset?",
        "records_size": "How many values may one request have in records?",
        "rows_size": "How many rows may one request have in records_v2?",
        "ownership_type": "What does the listing of audiences show without ownership_type?",
        "audience_while_processing": "Can an audience be created while its list is PROCESSING?",
        "uploads": "Is the uploads API open to this app?",
        "refresh_rotation": "Does a refresh return a new refresh token?",
        "old_refresh_token": "Does the old refresh token work after a refresh?",
    }
)
"""The questions that are open in Pinterest's API description 5.28, by key, in the order of the report."""

_STOPPED: Final = "The probe ended before it reached this question."


class Finding(NamedTuple):
    """What was found out about a question.

    Attributes:
        key: the question, a key of `QUESTIONS`.
        answer: a sentence for people.
        sure: how sure it is.
        evidence: what Pinterest answered, without ids and values.
    """

    key: str
    answer: str
    sure: Sure
    evidence: Sequence[Mapping[str, Any]]

    @property
    def question(self) -> str:
        """The question for people."""
        return QUESTIONS[self.key]


class Findings:
    """The findings of one probe."""

    def __init__(self) -> None:
        """Create it without findings."""
        self._found: dict[str, Finding] = {}

    def add(self, key: str, sure: Sure, answer: str, evidence: Sequence[Mapping[str, Any]] = ()) -> None:
        """Record what was found out about a question. The arguments are the attributes of `Finding`."""
        self._found[key] = Finding(key, answer, sure, list(evidence))

    def all(self) -> list[Finding]:
        """Return a finding for each question, in the order of `QUESTIONS`."""
        return [self._found.get(key) or Finding(key, _STOPPED, Sure.NOT_ASKED, ()) for key in QUESTIONS]
