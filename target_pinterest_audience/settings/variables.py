"""Finds the environment variables that are meant for this target, and those of them that are read. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from target_pinterest_audience.errors import ConfigurationError

_SERVICE_LINK: Final = re.compile(
    r"(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?)?)"
).fullmatch
"""The suffixes that Kubernetes appends to the name of a service: every pod of the namespace gets these variables."""

_LOG_LEVEL: Final = "loglevel"
"""The variable that the SDK itself reads under our prefix."""


class Variables(NamedTuple):
    """The variables that are meant for this target.

    Attributes:
        settings: variable that is read → its setting.
        unknown: variable that begins with the prefix, but names no setting → the name after the prefix.
        misspelt: variable that is not read because of its spelling → the spelling that is read.
    """

    settings: dict[str, str]
    unknown: dict[str, str]
    misspelt: dict[str, str]

    def refuse_misspelt(self) -> None:
        """Refuse variables that are not read because of their spelling.

        Raises:
            ConfigurationError: there is one. If `consent_column` were not read, people without consent would be added.
        """
        for variable, right in self.misspelt.items():
            msg = f"The variable {variable} is set, but only {right} is read. Rename it."
            raise ConfigurationError(msg)


def sort_out(variables: Iterable[str], prefix: str, known: Collection[str]) -> Variables:
    """Find the variables that are meant for this target, in any case and with any separators.

    Kubernetes' service links, and Meltano's own extras that begin with an underscore, are not settings.

    Args:
        variables: the names of all variables.
        prefix: the prefix of this target's variables in upper case, such as `TARGET_PINTEREST_AUDIENCE_`.
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
    """Return the letters and digits of a name, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
