"""The reference of the settings, from the target's own description of itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from docgen.about import as_text, choices_of, kind_of

_INTRODUCTION: Final = """\
# Settings

<!-- Written by `python -m docgen` from the declarations in settings/; change it there. -->

Set them in a JSON file (`--config target.json`), in environment variables or a `.env` file in the working directory
(`--config ENV`; `.env.example` in the repository lists all variables), or in `meltano.yml`. Names change only with a
new major version.

An unknown setting is an error, and the message suggests the nearest known name. Messages name the setting and the rule,
never the value.

Docker and Kubernetes provide secrets as files. For each secret there is a variable that ends in `_FILE` and names one:
`TARGET_PINTEREST_AUDIENCE_ACCESS_TOKEN_FILE=/run/secrets/pinterest_token`, and so on for
{secrets}. The file contains the value, in UTF-8,
with or without a line end. To set both variables of a secret is an error.

You can also set settings that are marked *per stream* under [`streams`](#streams), below the name of a stream.
"""

_BRIEF: Final = 130
"""How many characters of a description the table at the top may show, unless its first sentence is longer."""

_CHAPTERS: Final[Mapping[str, str]] = {
    "ad_account_id": "The ad account, and how to sign in",
    "customer_list_id": "Which list, and what the rows mean",
    "hashing": "Hashing",
    "bad_records": "Bad rows and removals",
    "batch_size_rows": "Requests",
    "streams": "The run",
    "notify_urls": "Alerts",
    "add_record_metadata": "From the Singer SDK",
}
"""The setting that begins a chapter → its heading."""

_OF_THE_SDK: Final[Mapping[str, str]] = {
    "stream_maps": "Changes streams before the target reads them: rename, filter or compute columns. See [the "
    "documentation of the Singer SDK](https://sdk.meltano.com/en/latest/stream_maps.html).",
    "stream_map_config": "Values for the expressions of stream maps.",
    "faker_config": "Configures the generator of fake values for stream maps.",
    "flattening_enabled": "Whether nested columns become columns of their own, such as `user__email`.",
    "flattening_max_depth": "How many levels to flatten.",
    "flattening_max_key_length": "The greatest length of a flattened name.",
    "flattening_separator": "The text between the parts of a flattened name.",
    "add_record_metadata": "Has no effect; the target accepts it because the SDK has it. No `_sdc_` column is sent to "
    "Pinterest, and removal works either way.",
}
"""Descriptions of the SDK's own settings; the SDK's descriptions are written for databases."""


def settings_page(about: Mapping[str, Any], per_stream: Collection[str]) -> str:
    """Return the page.

    Args:
        about: the target's description of itself.
        per_stream: the settings that `streams` may override.
    """
    schema = about["settings"]
    parts = [_INTRODUCTION.format(secrets=_names_of_secrets(schema)), *_table(schema)]
    for name, setting in schema["properties"].items():
        if name in _CHAPTERS:
            parts.append(f"## {_CHAPTERS[name]}\n")
        parts.append(_entry(name, setting, required=name in schema["required"], per_stream=name in per_stream))
    return "\n".join(parts)


def _names_of_secrets(schema: Mapping[str, Any]) -> str:
    """Return the secrets other than the access token, in words."""
    *some, last = [
        f"`{name}`" for name, each in schema["properties"].items() if each.get("secret") and name != "access_token"
    ]
    return f"{', '.join(some)} and {last}"


def _table(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "## At a glance\n"
    yield "| setting | default | meaning |\n|---|---|---|"
    for name, setting in schema["properties"].items():
        default = "required" if name in schema["required"] else ""
        if "default" in setting:
            default = f"`{as_text(setting['default'])}`"
        yield f"| [`{name}`](#{name}) | {default} | {_brief(_description(name, setting))} |"
    yield ""


def _brief(description: str) -> str:
    """Return the first sentences of a description."""
    sentences = re.split(r"(?<=\.) (?=[A-Z`])", description)
    brief, *others = sentences
    for each in others:
        if len(brief) + len(each) >= _BRIEF:
            break
        brief += f" {each}"
    return brief.replace("|", "\\|")


def _description(name: str, setting: Mapping[str, Any]) -> str:
    return _OF_THE_SDK.get(name, str(setting["description"]))


def _entry(name: str, setting: Mapping[str, Any], *, required: bool, per_stream: bool) -> str:
    facts = [" or ".join(f"`{each}`" for each in choices_of(setting)) or kind_of(setting)]
    if required:
        facts.append("required")
    elif "default" in setting:
        facts.append(f"default `{as_text(setting['default'])}`")
    if {"minimum", "maximum"} <= setting.keys():
        facts.append(f"{setting['minimum']:,} to {setting['maximum']:,}")
    if setting.get("secret"):
        facts.append("secret")
    if per_stream:
        facts.append("*per stream*")
    variable = f"`TARGET_PINTEREST_AUDIENCE_{name.upper()}`"
    return f"### `{name}`\n\n{', '.join(facts)}. Variable: {variable}\n\n{_description(name, setting)}\n"
