"""One probe: asks the questions one after the other, and removes what it added."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from target_pinterest_audience.companion.probe.account_questions import OwnAudience, ask_headers, ask_uploads
from target_pinterest_audience.companion.probe.findings import Findings
from target_pinterest_audience.companion.probe.own_list import OwnList
from target_pinterest_audience.companion.probe.sign_in_questions import StoredSignIn, ask_rotation
from target_pinterest_audience.companion.probe.size_questions import STEPS, Steps, ask_sizes, remove_all
from target_pinterest_audience.companion.probe.value_questions import (
    ask_creation,
    ask_device_ids,
    ask_exceptions,
    ask_rows,
)
from target_pinterest_audience.pinterest.signed_requests import SignedRequests


@dataclass(frozen=True, slots=True)
class Choices:
    """What the person who starts a probe decides.

    Attributes:
        with_type_first: whether to create the list with a list type first.
        reuse: whether to try the old refresh token.
        steps: the sizes of requests to try.
    """

    with_type_first: bool = False
    reuse: bool = False
    steps: Steps = STEPS


class Probe:
    """Asks the questions of `findings.QUESTIONS`.

    Attributes:
        findings: the findings so far, also after a failure.
        own: the probe's list.
        audience: the audience of the list.
        is_emptied: whether Pinterest accepted the removal of everything that was added; None before that.
    """

    def __init__(
        self,
        requests: SignedRequests,
        account: str,
        stored: StoredSignIn | None,
        choices: Choices,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Create it; nothing is sent yet.

        Args:
            requests: sends requests.
            account: the path of the ad account.
            stored: how to exchange refresh tokens; None if the settings name no app.
            choices: what the person who starts it decides.
            clock: monotonic time in seconds.
            sleep: waits for seconds.
        """
        self._requests = requests
        self._stored = stored
        self._choices = choices
        self._clock = clock
        self._sleep = sleep
        self.findings = Findings()
        self.own = OwnList(requests, account, clock=clock, sleep=sleep)
        self.audience = OwnAudience(requests, account, self.own)
        self.is_emptied: bool | None = None

    def ask(self) -> None:
        """Ask the questions about lists, audiences and uploads, and empty the list.

        Raises:
            PinterestError: a request failed in a way that is no answer. What was found out before is in `findings`.
            ConfigurationError: several lists have the name of the probe's list.
            NoListError: Pinterest does not create the probe's list.
        """
        self.own.find()
        ask_creation(self.own, self.findings, with_type_first=self._choices.with_type_first)
        ask_headers(self.own, self.findings, self._clock, self._sleep)
        ask_rows(self.own, self.findings)
        ask_device_ids(self.own, self.findings)
        ask_exceptions(self.own, self.findings)
        ask_sizes(self.own, self.findings, self._choices.steps)
        self.audience.ask_ownership(self.findings)
        self.audience.ask_creation(self.findings)
        self.is_emptied = remove_all(self.own, self._choices.steps)
        ask_uploads(self.own, self.findings, self._requests)

    def ask_sign_in(self) -> None:
        """Ask the questions about the refresh token. They come last: a failure could end the sign-in.

        Raises:
            PinterestError: a request failed.
        """
        ask_rotation(self._stored, self.findings, reuse=self._choices.reuse)
