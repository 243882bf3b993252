"""Finds the environment variables that are meant for this target, and those of them that are read. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from target_pinterest_audience.errors import ConfigurationError

_SERVICE_LINK: Final = re.compile(
    r"(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?)?)"
).fullmatch
"""The suffixes that Kubernetes appends to the name of a service: every pod of the namespace gets these variables."""

FILE_SUFFIX: Final = "_file"
"""The end of the name of a variable that names a file with a secret, as Docker and Kubernetes provide it."""

_LOG_LEVEL: Final = "loglevel"
"""The variable that the SDK itself reads under our prefix."""


class Variables(NamedTuple):
    """The variables that are meant for this target.

    Attributes:
        settings: variable that is read → its setting.
        files: variable that names a file → the setting whose value is in the file.
        unknown: variable that begins with the prefix, but names no setting → the name after the prefix.
        misspelt: variable that is not read because of its spelling → the spelling that is read.
    """

    settings: dict[str, str]
    files: dict[str, str]
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

    def refuse_doubles(self) -> None:
        """Refuse a secret that has both a variable with its value and one with its file.

        Raises:
            ConfigurationError: there is one. Which of the two is older is not known.
        """
        variables = {setting: variable for variable, setting in self.settings.items()}
        for variable, setting in self.files.items():
            if setting in variables:
                msg = f"The variables {variables[setting]} and {variable} are both set. Keep one of them."
                raise ConfigurationError(msg)


def sort_out(variables: Iterable[str], prefix: str, known: Mapping[str, Mapping[str, Any]]) -> Variables:
    """Find the variables that are meant for this target, in any case and with any separators.

    Kubernetes' service links, and Meltano's own extras that begin with an underscore, are not settings.

    Args:
        variables: the names of all variables.
        prefix: the prefix of this target's variables in upper case, such as `TARGET_PINTEREST_AUDIENCE_`.
        known: the JSON schema of each setting.
    """
    files = {f"{name}{FILE_SUFFIX}": name for name, rules in known.items() if rules.get("secret")}
    by_letters = {_letters(name): name for name in (*known, *files, _LOG_LEVEL)}
    result = Variables({}, {}, {}, {})
    for variable in variables:
        if not _letters(variable).startswith(_letters(prefix)):
            continue
        rest = variable[len(prefix) :]
        begins = variable.upper().startswith(prefix)
        setting = by_letters.get(_letters(variable).removeprefix(_letters(prefix)))
        if setting is not None and variable != f"{prefix}{setting.upper()}":
            result.misspelt[variable] = f"{prefix}{setting.upper()}"
        elif setting in files:
            result.files[variable] = files[setting]
        elif setting is not None and setting != _LOG_LEVEL:
            result.settings[variable] = setting
        elif setting is None and begins and rest[:1] != "_" and not _SERVICE_LINK(rest):
            result.unknown[variable] = rest.lower()
    return result


def _letters(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
