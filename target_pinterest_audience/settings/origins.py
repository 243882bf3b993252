"""Where settings come from. Keeps tokens from addresses that only a `.env` found by chance names. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.text.json_text import read_json
from target_pinterest_audience.text.urls import parse_address

_SECRETS: Final = ("access_token", "client_secret", "refresh_token")
"""The secrets that are sent to `api_url`."""

_PINTEREST: Final = frozenset({"api.pinterest.com", "api-sandbox.pinterest.com"})


class Source(NamedTuple):
    """A place that settings come from.

    Attributes:
        name: for messages, such as `target.json` or `the environment`.
        config: the settings in it.
        is_found: whether it is read only because it lies in the working directory; the user may not know about it.
    """

    name: str
    config: Mapping[str, Any]
    is_found: bool = False


def merged(sources: Iterable[Source]) -> dict[str, Any]:
    """Return all settings; of two values for one setting, the later source's counts."""
    config: dict[str, Any] = {}
    for source in sources:
        config = overridden(config, source.config)
    return config


def overridden(config: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with the settings of a later one, which count.

    Under `streams`, each setting of each stream counts by itself: a later file that gives a stream another list must
    not switch off the `consent_column` of an earlier one.
    """
    result = {**config, **later}
    before, after = (_object_in(each.get("streams")) for each in (config, later))
    if before is not None and after is not None:
        result["streams"] = _joined(before, after)
    return result


def _object_in(value: object) -> Mapping[str, Any] | None:
    """Return an object, which may be JSON text; None for anything else."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError, RecursionError):
            value = read_json(value)
    return value if isinstance(value, Mapping) else None


def _joined(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return two objects under `streams` as one. Meltano nests them once more for each dot in a stream's name."""
    joined = {**before, **after}
    for name in before.keys() & after.keys() - {"identity_columns"}:
        former, own = before[name], after[name]
        if isinstance(former, Mapping) and isinstance(own, Mapping):
            joined[name] = _joined(former, own)
    return joined


def origins(sources: Iterable[Source]) -> dict[str, Source]:
    """Return each setting's source; of several, the one whose value counts."""
    return {name: source for source in sources for name in source.config}


def described(sources: Iterable[Source]) -> str:
    """Return a sentence on which settings come from where, without their values."""
    names: dict[str, list[str]] = {}
    for name, source in origins(sources).items():
        names.setdefault(source.name, []).append(name)
    places = [f"{', '.join(sorted(settings))} from {place}" for place, settings in names.items()]
    return f"{'; '.join(places)}; the others have their defaults."


def refuse_to_leak(sources: Iterable[Source]) -> None:
    """Refuse to send a secret to an address that comes from a found `.env` unless the secret comes from there, too.

    A `.env` is read only because the program was started in its folder. If the folder belongs to another person, that
    person's `api_url` must not get the token in the user's environment.

    Raises:
        ConfigurationError: a found `.env` would send a secret of another source to an address of its own.
    """
    sources = list(sources)
    origin, config = origins(sources), merged(sources)
    for place, secrets in _destinations(config).items():
        strangers = [name for name in secrets if name in origin and origin[name] is not origin[place]]
        if origin[place].is_found and strangers:
            secret = strangers[0]
            msg = (
                f"`{secret}` comes from {origin[secret].name}, but `{place}`, which says where to send it, comes from "
                f"{origin[place].name}. It was not sent, because that file may not be yours. Set both in one place, or "
                f"remove `{place}` from that file."
            )
            raise ConfigurationError(msg)


def _destinations(config: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the settings that say where to send secrets, each with these secrets."""
    found: dict[str, tuple[str, ...]] = {}
    address = parse_address(str(config.get("api_url") or "").strip())
    if config.get("api_url") is not None and not (
        address is not None and address.scheme == "https" and address.hostname in _PINTEREST
    ):
        found["api_url"] = _SECRETS
    if str(config.get("ledger_url") or "").strip().startswith("postgres") and not config.get("credentials_file"):
        # A sign-in stores the refresh token in the ledger.
        found["ledger_url"] = ("client_secret", "refresh_token")
    return found
