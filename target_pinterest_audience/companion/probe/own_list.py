"""The probe's own customer list: the only list that it changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from target_pinterest_audience.companion.probe.shapes import shape_of
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.errors import NotFoundError, OutcomeUnclearError, PinterestError, RefusedError
from target_pinterest_audience.pinterest.models import CustomerList
from target_pinterest_audience.pinterest.request import Answer, Request
from target_pinterest_audience.pinterest.signed_requests import SignedRequests
from target_pinterest_audience.vocabulary import Operation

LIST_NAME: Final = "pinterest-audience probe (invented identities only)"
"""The name of the list and of its audience. It is how a later probe finds them, so it must not change."""

_NEW_LIST_TRIES: Final = 6
_NEW_LIST_SECONDS: Final = 10.0
"""How often to look for a list that was just created, and how long to wait in between."""


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What Pinterest answered to a request of the probe, without ids and values.

    Attributes:
        request: the request in words.
        accepted: whether it had a status of success and no exceptions; None if the answer was lost.
        status: the HTTP status; None if no answer came.
        code: Pinterest's error code, if there was one.
        uploaded: by how much the counter of uploaded records grew; None if that is not known.
        removed: by how much the counter of removed records grew; None if that is not known.
        list_status: the status of the list afterwards.
        exceptions: the form of the answer's `exceptions`, if there were any.
        num_bytes: the size of the request's body.
        seconds: how long the request took, retries included.
    """

    request: str
    accepted: bool | None
    status: int | None = None
    code: int | None = None
    uploaded: int | None = None
    removed: int | None = None
    list_status: str | None = None
    exceptions: Any = None
    num_bytes: int | None = None
    seconds: float | None = None

    @property
    def http(self) -> str:
        """The status and the code for people."""
        return http_words(self.status, self.code)

    def as_evidence(self) -> dict[str, Any]:
        """Return it for the report, without the attributes that are not known."""
        shown: dict[str, Any] = msgspec.to_builtins(self)
        return shown


def http_words(status: int | None, code: int | None) -> str:
    """Return a status and an error code for people."""
    if status is None:
        return "no answer"
    return f"HTTP {status}" if code is None else f"HTTP {status}, code {code}"


class OwnList:
    """Creates, finds, reads and changes the probe's list.

    Every method that sends a request raises a `PinterestError` if it fails, except for a refusal where that is an
    answer.

    Attributes:
        writes: how many writes it has sent; retries do not count.
        status: the status of the list in the last answer; None if there was none.
        sent: the contents of all additions that Pinterest may have carried out.
        largest: how many identities the largest accepted addition had, for each field of a body.
    """

    def __init__(
        self,
        requests: SignedRequests,
        account: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Create it; nothing is sent yet.

        Args:
            requests: sends requests.
            account: the path of the ad account.
            clock: monotonic time in seconds.
            sleep: waits for seconds.
        """
        self._requests = requests
        self._path = f"{account}/customer_lists"
        self._clock = clock
        self._sleep = sleep
        self._id: str | None = None
        self._counters: tuple[int | None, int | None] = None, None
        self.writes = 0
        self.status: str | None = None
        self.sent: list[Mapping[str, Any]] = []
        self.largest: dict[str, int] = {}

    @property
    def id(self) -> str:
        """The id of the list.

        Raises:
            RuntimeError: there is no list yet.
        """
        if self._id is None:
            msg = "the probe has no list yet"
            raise RuntimeError(msg)
        return self._id

    @property
    def path(self) -> str:
        """The path of the list. Raises a RuntimeError as `id` does."""
        return f"{self._path}/{self.id}"

    def find(self) -> bool:
        """Look for the list of an earlier probe, and return whether there is one.

        Raises:
            ConfigurationError: several lists have its name.
        """
        found = [each for each in self._requests.pages(self._path, CustomerList) if each.name == LIST_NAME]
        if len(found) > 1:
            msg = (
                f'The ad account has {len(found)} customer lists named "{LIST_NAME}". The probe uses one list only, '
                "and cannot know which one. It changed none of them."
            )
            raise ConfigurationError(msg)
        if not found:
            return False
        self._id = found[0].id
        self._note(self.read().body)
        return True

    def read(self) -> Answer[dict[str, Any]]:
        """Read the list."""
        return self._patiently(Request("GET", self.path))

    def create(self, rows: Sequence[Mapping[str, str]] | str, list_type: str | None) -> Outcome:
        """Try to create the list, and return what Pinterest answered. A refusal is an answer.

        Args:
            rows: rows for `records_v2`, or a text for `records`.
            list_type: the type; None to leave it out.
        """
        field = "records" if isinstance(rows, str) else "records_v2"
        body = {"name": LIST_NAME, field: rows, **({} if list_type is None else {"list_type": list_type})}
        words = f"POST customer_lists, {field}, {'no list_type' if list_type is None else f'list_type {list_type}'}"
        request = Request("POST", self._path, body=body, creates=True, personal=True)
        started = self._clock()
        self.writes += 1
        try:
            answer = self._requests.ask(request, CustomerList)
        except RefusedError as refused:
            # A refused creation must have left nothing, or the next one would leave a second list.
            if self.find():
                self.sent.append({field: rows})
            return self._refused(words, refused, body, started)
        except OutcomeUnclearError as unclear:
            if not self.find():
                raise
            self.sent.append({field: rows})
            return self._refused(words, unclear, body, started, accepted=None)
        self._id = answer.body.id
        self.sent.append({field: rows})
        self._counters = 0, 0
        return self._answered(words, msgspec.structs.asdict(answer.body), answer, body, started)

    @property
    def exists(self) -> bool:
        """Whether the list was created or found."""
        return self._id is not None

    def change(self, operation: Operation, content: Mapping[str, Any], words: str) -> Outcome:
        """Add to the list, or remove from it, and return what Pinterest answered. A refusal is an answer.

        Args:
            operation: what to do.
            content: the field of the body that carries identities.
            words: the content for people.
        """
        body = {"operation_type": operation.value, **content}
        words = f"PATCH {operation.value}, {', '.join(content)}: {words}"
        started = self._clock()
        self.writes += 1
        if operation is Operation.ADD:
            # Also if it seems to fail: Pinterest may carry it out, and the probe removes what it added.
            self.sent.append(content)
        try:
            answer = self._patiently(Request("PATCH", self.path, body=body, personal=True))
        except RefusedError as refused:
            if operation is Operation.ADD:
                self.sent.pop()
            return self._refused(words, refused, body, started)
        outcome = self._answered(words, answer.body, answer, body, started)
        if operation is Operation.ADD and outcome.accepted:
            for field, identities in content.items():
                self.largest[field] = max(self.largest.get(field, 0), _length(identities))
        return outcome

    def failed(self, error: PinterestError, words: str) -> Outcome:
        """Return the outcome of a change that got no clear answer."""
        return Outcome(words, None, error.status, error.code)

    def _patiently(self, request: Request) -> Answer[dict[str, Any]]:
        """Send a request for the list; wait if Pinterest does not find it yet."""
        tries = 0
        while True:
            try:
                return self._requests.ask(request, dict[str, Any])
            except NotFoundError:
                tries += 1
                if tries == _NEW_LIST_TRIES:
                    raise
            self._sleep(_NEW_LIST_SECONDS)

    def _answered(
        self, words: str, answered: Mapping[str, Any], answer: Answer[Any], body: Mapping[str, Any], started: float
    ) -> Outcome:
        before = self._counters
        self._note(answered)
        exceptions = answered.get("exceptions")
        # A request that was sent twice has counted twice.
        uploaded, removed = (None, None) if answer.unanswered else map(_growth, before, self._counters)
        return Outcome(
            words,
            not exceptions,
            answer.status,
            uploaded=uploaded,
            removed=removed,
            list_status=self.status,
            exceptions=shape_of(exceptions) if exceptions else None,
            num_bytes=_size(body),
            seconds=round(self._clock() - started, 1),
        )

    def _refused(
        self,
        words: str,
        error: PinterestError,
        body: Mapping[str, Any],
        started: float,
        *,
        accepted: bool | None = False,
    ) -> Outcome:
        return Outcome(
            words,
            accepted,
            error.status,
            error.code,
            num_bytes=_size(body),
            seconds=round(self._clock() - started, 1),
        )

    def _note(self, answered: Mapping[str, Any]) -> None:
        """Remember the counters and the status in an answer."""
        status = answered.get("status")
        self.status = status if isinstance(status, str) and status.isupper() else None
        self._counters = (
            _count(answered.get("num_uploaded_user_records")),
            _count(answered.get("num_removed_user_records")),
        )


def _count(value: object) -> int | None:
    """Return a counter, which may be a float; None if it is no number."""
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _length(identities: str | Sequence[object]) -> int:
    return identities.count(",") + 1 if isinstance(identities, str) else len(identities)


def _growth(before: int | None, now: int | None) -> int | None:
    return None if before is None or now is None else now - before


def _size(body: Mapping[str, Any]) -> int:
    return len(msgspec.json.encode(body))
