"""Tells which environment variables are meant for this target, and which of these are read. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from target_pinterest_audience.errors import ConfigurationError

_SERVICE_LINK: Final = re.compile(
    r"(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?)?)"
).fullmatch
"""What Kubernetes appends to the name of a service: every pod of the namespace gets these variables."""

_LOG_LEVEL: Final = "loglevel"
"""What the SDK itself reads under our prefix."""


class Variables(NamedTuple):
    """The variables that are meant for this target.

    Attributes:
        settings: variable that is read → its setting.
        unknown: variable that begins with the prefix → what it names, which is not a setting.
        misspelt: variable that is not read → the spelling that would be.
    """

    settings: dict[str, str]
    unknown: dict[str, str]
    misspelt: dict[str, str]

    def refuse_misspelt(self) -> None:
        """Refuse variables that nobody reads, because only the upper-case name is.

        Raises:
            ConfigurationError: there is one; a `consent_column` that is not read would add people who said no.
        """
        for variable, right in self.misspelt.items():
            msg = f"The variable {variable} is set, but only {right} is read. Rename it."
            raise ConfigurationError(msg)


def sort_out(variables: Iterable[str], prefix: str, known: Collection[str]) -> Variables:
    """Find the variables that are meant for this target, in whatever case and with whatever separators.

    Kubernetes' service links are nobody's settings, and Meltano adds extras of its own that begin with an underscore.

    Args:
        variables: the names of all variables.
        prefix: what the names of ours begin with, in upper case, such as `TARGET_PINTEREST_AUDIENCE_`.
        known: the names of all settings.
    """
    by_letters = {_letters(name): name for name in (*known, _LOG_LEVEL)}
    result = Variables({}, {}, {})
    for variable in variables:
        if not _letters(variable).startswith(_letters(prefix)):
            continue
        rest = variable[len(prefix) :]
        begins = variable.upper().startswith(prefix)
        setting = by_letters.get(_letters(variable).removeprefix(_letters(prefix)))
        if setting is not None and variable != f"{prefix}{setting.upper()}":
            result.misspelt[variable] = f"{prefix}{setting.upper()}"
        elif setting is not None and setting != _LOG_LEVEL:
            result.settings[variable] = setting
        elif setting is None and begins and rest[:1] != "_" and not _SERVICE_LINK(rest):
            result.unknown[variable] = rest.lower()
    return result


def _letters(name: str) -> str:
    """Return a name without case and separators."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
