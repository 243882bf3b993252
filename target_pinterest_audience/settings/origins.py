"""Where settings come from, and that no token goes where a file says that nobody named. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.text.urls import parse_address

_SECRETS: Final = ("access_token", "client_secret", "refresh_token")
"""What is sent to the address in `api_url`."""

_PINTEREST: Final = frozenset({"api.pinterest.com", "api-sandbox.pinterest.com"})


class Source(NamedTuple):
    """A place that settings come from.

    Attributes:
        name: for people, such as `target.json` or `the environment`.
        config: the settings in it.
        is_found: whether it is only read because it lies where the program is started; the user may not know of it.
    """

    name: str
    config: Mapping[str, Any]
    is_found: bool = False


def merged(sources: Iterable[Source]) -> dict[str, Any]:
    """Return all settings; of two values for one setting, the later source's counts."""
    return {name: value for source in sources for name, value in source.config.items()}


def origins(sources: Iterable[Source]) -> dict[str, Source]:
    """Return each setting's source, that whose value counts."""
    return {name: source for source in sources for name in source.config}


def described(sources: Iterable[Source]) -> str:
    """Return for people which settings come from where; their values are not shown."""
    names: dict[str, list[str]] = {}
    for name, source in origins(sources).items():
        names.setdefault(source.name, []).append(name)
    places = [f"{', '.join(sorted(settings))} from {place}" for place, settings in names.items()]
    return f"{'; '.join(places)}; the others have their defaults."


def refuse_to_leak(sources: Iterable[Source]) -> None:
    """Make sure that secrets go only where their own source sends them, or another that the user has named.

    A `.env` counts only because of the folder that a program is started in. If that folder is somebody else's, their
    `api_url` must not get the token in the user's environment.

    Raises:
        ConfigurationError: a secret would go where it must not.
    """
    sources = list(sources)
    origin, config = origins(sources), merged(sources)
    for place, secrets in _destinations(config).items():
        strangers = [name for name in secrets if name in origin and origin[name] is not origin[place]]
        if origin[place].is_found and strangers:
            secret = strangers[0]
            msg = (
                f"`{secret}` comes from {origin[secret].name}, and `{place}`, which says where it goes, from "
                f"{origin[place].name}. It was not sent: that file may be somebody else's. Set both in one place, or "
                f"take `{place}` out of that file."
            )
            raise ConfigurationError(msg)


def _destinations(config: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the settings that say where secrets go, each with these secrets."""
    found: dict[str, tuple[str, ...]] = {}
    address = parse_address(str(config.get("api_url") or "").strip())
    if config.get("api_url") is not None and not (
        address is not None and address.scheme == "https" and address.hostname in _PINTEREST
    ):
        found["api_url"] = _SECRETS
    if str(config.get("ledger_url") or "").strip().startswith("postgres") and not config.get("credentials_file"):
        # Who signs in by these keeps the refresh token in it.
        found["ledger_url"] = ("client_secret", "refresh_token")
    return found
