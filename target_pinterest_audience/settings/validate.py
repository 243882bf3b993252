"""Checks a raw configuration against its JSON schema. Messages name the setting and the rule, never the value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.text.near import nearest

_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "object": "an object of names and values",
    "string": "text",
}
_MALFORMED = "does not have the form that its description requires"


def refuse_unknown(names: Iterable[str], known: Iterable[str], where: str = "") -> None:
    """Refuse names that are not settings, and suggest the most similar setting.

    Raises:
        ConfigurationError: a name is not a setting. With a misspelt `consent_column`, people without consent would be
            added.
    """
    known = list(known)
    for name in names:
        if name in known:
            continue
        near = nearest(name, known)
        hint = f"Did you mean `{near}`?" if near is not None else "docs/reference/settings.md lists all settings."
        msg = f"`{where}{name}` is not a setting. {hint}"
        raise ConfigurationError(msg)


def check(config: Mapping[str, Any], schema: Mapping[str, Any], where: str = "") -> None:
    """Check the values of a configuration.

    Args:
        config: setting names and values.
        schema: a JSON schema of type object.
        where: the prefix of settings' names in messages, such as `streams.customers.`.

    Raises:
        ConfigurationError: a setting breaks a rule; the message names the first one in the order of the schema.
    """
    for name in schema.get("required", ()):
        if config.get(name) is None:
            msg = f"`{where}{name}` is not set, but it is required. Set it in the configuration."
            raise ConfigurationError(msg)
    for name, rules in schema["properties"].items():
        value = config.get(name)
        if value is None:
            continue
        if isinstance(value, str) and not value.strip():
            msg = f"`{where}{name}` is empty. Give it a value, or remove it."
            raise ConfigurationError(msg)
        broken = _broken_rule(value, rules)
        if broken is not None:
            msg = f"`{where}{name}` {broken}."
            raise ConfigurationError(msg)


def _broken_rule(value: object, rules: Mapping[str, Any]) -> str | None:
    """Return the rule that a value breaks, in words from the schema: the library's own message shows the value."""
    # The import takes a tenth of a second, which `--help` need not.
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    error = next(Draft202012Validator(rules).iter_errors(value), None)
    if error is None:
        return None
    limit: Any = error.validator_value
    if error.validator == "type":
        kinds = [limit] if isinstance(limit, str) else limit
        words = " or ".join(_KINDS[kind] for kind in kinds if kind in _KINDS)
        is_of_a_list = error.path and "array" in rules["type"]
        return f"must be a list of {words}" if is_of_a_list else f"must be {words}"
    if error.validator == "enum":
        return f"must be one of {', '.join(str(choice) for choice in limit if choice is not None)}"
    if error.validator == "pattern":
        return "must consist of digits, at most 18"
    if error.validator == "minimum":
        return f"must be at least {limit}"
    if error.validator == "maximum":
        return f"must be at most {limit}"
    return _MALFORMED
