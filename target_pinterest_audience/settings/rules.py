"""The rules that the JSON schema of a single setting cannot express. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.phones import COUNTRIES
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.text.urls import is_safe, parse_address

LIST_CHOICES: Final = ("customer_list_id", "customer_list_name", "audience_id", "list_name_column")
"""The settings that choose the list; a stream may have one of them."""

_APP: Final = ("client_id", "client_secret")


def check_stream(config: Mapping[str, Any], where: str, own: Collection[str] = ()) -> None:
    """Check the settings of one stream.

    Args:
        config: the settings, defaults included.
        where: the prefix of settings' names in messages, such as `streams.customers.`.
        own: the settings that `streams` gives the stream; empty for the top level.

    Raises:
        ConfigurationError: settings contradict each other, a type of identity or a country is unknown, or an empty
            text would mean consent.
    """
    chosen = [f"`{where}{name}`" for name in LIST_CHOICES if config.get(name) is not None]
    if len(chosen) > 1:
        msg = f"{' and '.join(chosen)} are both set, and each chooses the list. Keep one of them."
        raise ConfigurationError(msg)
    if config.get("list_name_column") is not None and config.get("audience_name") is not None:
        msg = (
            f"`{where}list_name_column` creates many audiences, but `audience_name` names only one. Remove "
            "`audience_name`: each audience then has the name of its list."
        )
        raise ConfigurationError(msg)
    if config["operation"] == "remove" and config["holdout_percent"] and (not where or "holdout_percent" in own):
        msg = (
            f"`{where}holdout_percent` keeps people off a list, but with `{where}operation: remove` the stream adds "
            "no one. Remove `holdout_percent`, or set it for the streams that add people."
        )
        raise ConfigurationError(msg)
    for column, name in config.get("identity_columns", {}).items():
        if not isinstance(name, str) or name not in IDENTITY_TYPES:
            msg = f"`{where}identity_columns`: the type of column {column} must be one of {', '.join(IDENTITY_TYPES)}."
            raise ConfigurationError(msg)
    country = country_code(config.get("phone_country"))
    if country is not None and country not in COUNTRIES:
        msg = (
            f"`{where}phone_country` must be an ISO 3166 code of two letters, such as DE or US. The code of the United "
            "Kingdom is GB."
        )
        raise ConfigurationError(msg)
    if not all(value.strip() for value in config["consent_values"]):
        msg = (
            f"`{where}consent_values` contains an empty text, so people who were never asked would count as "
            "consenting. Remove it."
        )
        raise ConfigurationError(msg)


def country_code(value: str | None) -> str | None:
    """Return a country code as the phone library writes it."""
    return value.strip().upper() if value is not None else None


def check_sign_in(config: Mapping[str, Any], *, is_needed: bool) -> None:
    """Check that the settings suffice to sign in.

    Args:
        config: the settings.
        is_needed: whether Pinterest will be asked; if not, all of them may be missing.

    Raises:
        ConfigurationError: there is neither an access token nor an app, or a token has characters that no HTTP header
            can carry.
    """
    missing = [f"`{name}`" for name in _APP if config.get(name) is None]
    if is_needed and config.get("access_token") is None and missing:
        msg = (
            "There is no way to sign in. Set `access_token`; or set `client_id` and `client_secret` (missing: "
            f"{', '.join(missing)}) and run `pinterest-audience login` or set `refresh_token`."
        )
        raise ConfigurationError(msg)
    for name in ("access_token", *_APP, "refresh_token"):
        if config.get(name) is not None and not (config[name].isascii() and config[name].isprintable()):
            msg = f"`{name}` has characters that no token has. Copy it again."
            raise ConfigurationError(msg)


def check_api_url(url: str) -> None:
    """Check the address of the API.

    Raises:
        ConfigurationError: it is malformed, or would send tokens unencrypted.
    """
    parts = parse_address(url)
    if parts is None or parts.query:
        msg = "`api_url` must be a URL such as https://host/v5, with nothing after the path."
        raise ConfigurationError(msg)
    if not is_safe(parts):
        msg = (
            "`api_url` must begin with https, because tokens are sent to it. http is allowed only on the loopback "
            "interface."
        )
        raise ConfigurationError(msg)
