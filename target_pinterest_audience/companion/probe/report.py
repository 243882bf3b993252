"""The report of a probe, as JSON. It has no ids, names, tokens or values, so that it can be attached to an issue."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from target_pinterest_audience.companion.probe.probe import Probe
from target_pinterest_audience.errors import TargetError
from target_pinterest_audience.pinterest.errors import PinterestError
from target_pinterest_audience.settings.target_settings import DEFAULT_API_URL

FORMAT: Final = 1
"""The version of the report's form."""


def as_report(
    probe: Probe, version: str, day: str, api_url: str, stopped_by: BaseException | None, *, has_ended: bool = True
) -> dict[str, Any]:
    """Return the report.

    Args:
        probe: the probe, finished or not.
        version: the version of the package.
        day: the day in UTC, as ISO 8601.
        api_url: the address of the API; only whether it is Pinterest's is shown.
        stopped_by: what ended the probe early; None if nothing did.
        has_ended: whether the probe has ended.
    """
    return {
        "report": "pinterest-audience probe",
        "format": FORMAT,
        "version": version,
        "day": day,
        "asked": "Pinterest" if urlsplit(api_url).hostname == urlsplit(DEFAULT_API_URL).hostname else "another server",
        "complete": has_ended and stopped_by is None,
        "stopped_by": None if stopped_by is None else _named(stopped_by),
        "writes": probe.own.writes,
        "list_was_emptied": probe.is_emptied,
        "findings": [
            {
                "key": each.key,
                "question": each.question,
                "answer": each.answer,
                "sure": each.sure.value,
                "evidence": each.evidence,
            }
            for each in probe.findings.all()
        ],
    }


def _named(error: BaseException) -> dict[str, Any]:
    """Return what an error was, without its message, which may name the ad account."""
    named: dict[str, Any] = {"error": type(error).__name__}
    if isinstance(error, PinterestError):
        named.update(status=error.status, code=error.code)
    elif isinstance(error, TargetError):
        named.update(exit_code=error.exit_code)
    return named
