"""The reference of the settings, from what the target says of itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from docgen.about import as_text, choices_of, kind_of

_INTRODUCTION: Final = """\
# Settings

<!-- Written by `python -m docgen` from the declarations in settings/; change it there. -->

They go into a JSON file (`--config target.json`), into variables of the environment or of a `.env` file in the working
directory (`--config ENV`), or into `meltano.yml`. The names are public: they do not change without a major version.

An unknown setting is refused with the nearest known name; a message names the setting and the rule, never the value.
Settings that are marked *per stream* can also stand under [`streams`](#streams), below the name of a stream.
"""

_CHAPTERS: Final[Mapping[str, str]] = {
    "ad_account_id": "The ad account, and how to sign in",
    "customer_list_id": "Which list, and what the rows mean",
    "hashing": "Hashing",
    "bad_records": "Bad rows and removals",
    "batch_size_rows": "Requests",
    "streams": "The run",
    "notify_urls": "Alerts",
    "stream_maps": "From the Singer SDK",
}
"""The setting that begins a chapter → its heading."""

_OF_THE_SDK: Final[Mapping[str, str]] = {
    "stream_maps": "Changes streams on the way: rename, filter, compute columns. The Singer SDK's documentation "
    "describes them.",
    "stream_map_config": "Values for the expressions of stream maps.",
    "faker_config": "For stream maps that invent values.",
    "flattening_enabled": "Whether nested columns become columns of their own, such as `user__email`.",
    "flattening_max_depth": "How many levels deep.",
    "flattening_max_key_length": "How long a flattened name may be.",
    "flattening_separator": "What joins the parts of a flattened name.",
    "add_record_metadata": "Taken for the SDK's sake: no `_sdc_` column is sent to Pinterest. Removal works either "
    "way.",
}
"""What the SDK's own settings do here; its descriptions are written for databases."""


def settings_page(about: Mapping[str, Any], per_stream: Collection[str]) -> str:
    """Return the page.

    Args:
        about: what the target says of itself.
        per_stream: the settings that `streams` may override.
    """
    schema = about["settings"]
    parts = [_INTRODUCTION]
    for name, setting in schema["properties"].items():
        if name in _CHAPTERS:
            parts.append(f"## {_CHAPTERS[name]}\n")
        parts.append(_entry(name, setting, required=name in schema["required"], per_stream=name in per_stream))
    return "\n".join(parts)


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
    text = _OF_THE_SDK.get(name, setting["description"])
    return f"### `{name}`\n\n{', '.join(facts)}. Variable: {variable}\n\n{text}\n"
