"""The questions about the ad account and the app: rate limit headers, audiences, and uploads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final

from target_pinterest_audience.companion.probe.findings import Findings, Sure
from target_pinterest_audience.companion.probe.own_list import LIST_NAME, OwnList, http_words
from target_pinterest_audience.companion.probe.shapes import limit_shape
from target_pinterest_audience.pinterest.errors import (
    NotFoundError,
    NotPermittedError,
    OutcomeUnclearError,
    RefusedError,
    RestrictedError,
)
from target_pinterest_audience.pinterest.models import Audience
from target_pinterest_audience.pinterest.request import Request
from target_pinterest_audience.pinterest.signed_requests import OLDEST_FIRST, SignedRequests

_WAIT_SECONDS: Final = 3.0
"""How long to wait between two readings of the headers."""

_READINGS: Final = 3
_TOLERANCE_SECONDS: Final = 1.5
"""By how much a whole number of seconds may differ from the time that has passed."""

_EPOCH_FLOOR: Final = 1e9
_MILLISECOND_EPOCH_FLOOR: Final = 1e11
_NO_METHOD: Final = 405
_PROCESSING: Final = frozenset({"PROCESSING", "UPLOADING"})


def ask_headers(own: OwnList, findings: Findings, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
    """Read the list a few times, and compare the rate limit headers with the time that passed in between.

    Args:
        own: the probe's list.
        findings: the findings so far.
        clock: monotonic time in seconds.
        sleep: waits for seconds.
    """
    evidence: list[dict[str, Any]] = []
    readings: list[tuple[float, float]] = []
    begin = clock()
    for number in range(_READINGS):
        if number:
            sleep(_WAIT_SECONDS)
        headers = own.read().headers
        evidence.append(_shown(headers, clock() - begin))
        raw = headers.get("x-ratelimit-reset", "").strip()
        try:
            readings.append((clock(), float(raw)))
        except ValueError:
            answer = "The response has no such header." if not raw else "It is not a number."
            findings.add("reset_unit", Sure.SEEN, answer, evidence)
            return
    findings.add("reset_unit", *_unit(readings), evidence)


def _shown(headers: Mapping[str, str], seconds: float) -> dict[str, Any]:
    """Return the rate limit headers for the report."""
    raw = headers.get("x-ratelimit-reset", "").strip()
    return {
        "request": "GET customer_lists/{id}",
        "seconds": round(seconds, 1),
        "x-ratelimit-limit": limit_shape(headers.get("x-ratelimit-limit")),
        "x-ratelimit-remaining": _number_or_word(headers.get("x-ratelimit-remaining", "")),
        "x-ratelimit-reset": _number_or_word(raw),
        "Retry-After": "Retry-After" in headers,
    }


def _number_or_word(raw: str) -> str:
    raw = raw.strip()
    return raw if raw.replace(".", "", 1).isdigit() else ("<another form>" if raw else "<absent>")


def _unit(readings: list[tuple[float, float]]) -> tuple[Sure, str]:
    """Return the unit of readings of the header, each with its time in seconds."""
    if all(value >= _MILLISECOND_EPOCH_FLOOR for _, value in readings):
        return Sure.INFERRED, "Milliseconds since 1970."
    if all(value >= _EPOCH_FLOOR for _, value in readings):
        return Sure.SEEN, "Seconds since 1970."
    for (then, before), (now, after) in pairwise(readings):
        passed, fell = now - then, before - after
        if passed > _TOLERANCE_SECONDS and abs(fell - passed) <= _TOLERANCE_SECONDS:
            return Sure.SEEN, "Seconds until the reset: it falls as time passes."
        if passed > _TOLERANCE_SECONDS and abs(fell / 1000 - passed) <= _TOLERANCE_SECONDS:
            return Sure.SEEN, "Milliseconds until the reset: it falls as time passes."
    if len({value for _, value in readings}) == 1:
        return Sure.INFERRED, f"It stays {readings[0][1]:g}: the length of a window, not the time until the reset."
    return Sure.UNDECIDED, "Its values do not match the time that passed. The report has them."


class OwnAudience:
    """The audience of the probe's list.

    Attributes:
        id: its id; None if there is none, or if it was there before.
        was_there: whether an earlier probe left it.
    """

    def __init__(self, requests: SignedRequests, account: str, own: OwnList) -> None:
        """Create it; nothing is sent yet. The arguments are those of `OwnList`."""
        self._requests = requests
        self._path = f"{account}/audiences"
        self._own = own
        self.id: str | None = None
        self.was_there = False

    def ask_ownership(self, findings: Findings) -> None:
        """Read the listing of audiences with each `ownership_type` and without, and compare."""
        owned, received, default = (
            self._listing(ownership) for ownership in ({"ownership_type": "OWNED"}, {"ownership_type": "RECEIVED"}, {})
        )
        self.was_there = any(each.customer_list_id == self._own.id for each in owned.values())
        of_others = received.keys() - owned.keys()
        evidence = [
            {
                "request": "GET audiences",
                "received_audiences": bool(of_others),
                "default_has_owned": owned.keys() <= default.keys(),
                "default_has_received": bool(of_others & default.keys()),
            }
        ]
        findings.add("ownership_type", *_of_default(set(owned), of_others, set(default)), evidence)

    def ask_creation(self, findings: Findings) -> None:
        """Create the audience of the list right after a change of the list.

        Raises:
            PinterestError: the request failed.
        """
        if self.was_there:
            findings.add("audience_while_processing", Sure.NOT_ASKED, "An earlier probe left the audience of the list.")
            return
        status = self._own.status
        body = {"audience_type": "CUSTOMER_LIST", "name": LIST_NAME, "rule": {"customer_list_id": self._own.id}}
        self._own.writes += 1
        http = "HTTP 200"
        refused = False
        try:
            answer = self._requests.ask(Request("POST", self._path, body=body, creates=True), Audience)
            self.id, http = answer.body.id, http_words(answer.status, None)
        except RefusedError as error:
            refused, http = True, http_words(error.status, error.code)
        except OutcomeUnclearError:
            found = [each for each in self._listing({"ownership_type": "OWNED"}).values() if self._is_own(each)]
            if not found:
                raise
            self.id, http = found[0].id, "a lost answer"
        evidence = [{"request": "POST audiences", "list_status": status, "accepted": not refused, "answer": http}]
        findings.add("audience_while_processing", *_of_audience(status, http, refused=refused), evidence)

    def delete(self) -> None:
        """Delete the audience that this probe created."""
        if self.id is not None:
            self._own.writes += 1
            request = Request("PATCH", f"{self._path}/{self.id}", body={"operation_type": "REMOVE"})
            self._requests.ask(request, Any)
            self.id = None

    def _is_own(self, audience: Audience) -> bool:
        return audience.customer_list_id == self._own.id

    def _listing(self, params: Mapping[str, str]) -> dict[str, Audience]:
        pages = self._requests.pages(self._path, Audience, {**OLDEST_FIRST, **params})
        return {each.id: each for each in pages}


def _of_default(owned: set[str], of_others: set[str], default: set[str]) -> tuple[Sure, str]:
    if not of_others:
        return Sure.UNDECIDED, "Nobody shares audiences with this ad account, so both listings are the same."
    if of_others <= default and owned <= default:
        return Sure.SEEN, "Audiences that the account owns, and those that others share with it."
    if not of_others & default and owned <= default:
        return Sure.SEEN, "Only audiences that the account owns, as with OWNED."
    return Sure.UNDECIDED, "Neither all audiences nor only those that the account owns."


def _of_audience(status: str | None, http: str, *, refused: bool) -> tuple[Sure, str]:
    if status not in _PROCESSING:
        what = "refused" if refused else "accepted"
        return Sure.UNDECIDED, f"The list was {status or 'of unknown status'} already; the audience is {what} ({http})."
    if refused:
        return Sure.INFERRED, f"No ({http}), unless the list is refused for its size."
    return Sure.SEEN, f"Yes ({http})."


def ask_uploads(own: OwnList, findings: Findings, requests: SignedRequests) -> None:
    """Ask for an upload of no parts, which Pinterest has to refuse, so that no upload stays.

    Raises:
        NotPermittedError: the app is not permitted, for another reason than a part of the API that is not open to it.
    """
    request = Request("POST", f"{own.path}/uploads", body={"operation": "ADD", "total_parts": 0}, creates=True)
    own.writes += 1
    failure: Exception | None = None
    try:
        answer = requests.ask(request, Any)
        sure, words, http = Sure.SEEN, "Yes", http_words(answer.status, None)
    except RestrictedError as error:
        sure, words, http = Sure.SEEN, "No: it is restricted to other apps", http_words(error.status, error.code)
    except NotFoundError as error:
        sure, words, http = Sure.INFERRED, "No: it is not found", http_words(error.status, error.code)
    except RefusedError as error:
        is_there = error.status != _NO_METHOD
        words = "Yes: a request that breaks a rule is refused for that" if is_there else "No"
        sure, http = Sure.INFERRED, http_words(error.status, error.code)
    except NotPermittedError as error:
        sure, words, http = Sure.UNDECIDED, "The request is not permitted", http_words(error.status, error.code)
        failure = error
    evidence = [{"request": "POST customer_lists/{id}/uploads, 0 parts", "answer": http}]
    findings.add("uploads", sure, f"{words} ({http}).", evidence)
    if failure is not None:
        raise failure
