"""The plugin definitions for MeltanoHub: the loader, from the target's description of itself, and the utility.

The format is that of the hub's repository (meltano/hub, schemas/plugin_definitions/ and the schemas that they refer to,
August 2026); `tests/docs/test_hub.py` checks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from docgen.about import REPOSITORY, choices_of, kind_of

VARIANT: Final = "unpublished"
"""The hub names each variant of a plugin after the owner of its public repository, which does not exist yet."""

LOADER: Final[Path] = REPOSITORY / "hub" / "loaders" / "target-pinterest-audience" / f"{VARIANT}.yml"
UTILITY: Final[Path] = REPOSITORY / "hub" / "utilities" / "pinterest-audience" / f"{VARIANT}.yml"

_PREREQUISITES: Final = """\
A Pinterest business account with an ad account, an app with API access, and a token with the scopes `ads:read` and
`ads:write` from an owner, admin or audience manager of that ad account.
"""

_SETTINGS_PREAMBLE: Final = """\
Set `ad_account_id`, and either `access_token`, or `client_id` and `client_secret` together with a `refresh_token` or a
sign-in by `pinterest-audience login`. All other settings have defaults: each stream goes to the customer list of the
same name, and the target finds identities by the names of columns.
"""

_NEXT_STEPS: Final = """\
Add the utility `pinterest-audience` too, and check your setup before the first run:

```sh
meltano invoke pinterest-audience:check
meltano config set target-pinterest-audience dry_run true
meltano run tap-postgres target-pinterest-audience
```

With `dry_run`, the run logs what it would send, and sends nothing.
"""

_UTILITY_PREAMBLE: Final = """\
The utility reads the variables of the loader `target-pinterest-audience` (`TARGET_PINTEREST_AUDIENCE_*`), so settings
in the environment and in `.env` apply to both. Share those in `meltano.yml` by an anchor: `config: &pinterest` at the
loader, `config: *pinterest` at the utility.
"""

_UTILITY_NEXT_STEPS: Final = """\
Sign in, check your setup, and remove people who are gone after a complete run:

```sh
meltano invoke pinterest-audience:login
meltano invoke pinterest-audience:check
meltano run tap-postgres target-pinterest-audience pinterest-audience:prune
```
"""

_COMMON: Final = {
    "variant": VARIANT,
    "label": "Pinterest Customer Lists",
    "domain_url": "https://developers.pinterest.com/docs/api/v5/",
    "maintenance_status": "beta",
    "quality": "unknown",
    "prereq": _PREREQUISITES,
}


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Dumper.add_representer(str, _Dumper.represent_str)


def loader(about: Mapping[str, Any]) -> str:
    """Return the loader's definition.

    Args:
        about: the target's description of itself.
    """
    schema = about["settings"]
    return _as_yaml(
        {
            **_COMMON,
            "name": about["name"],
            "namespace": about["name"].replace("-", "_"),
            "executable": about["name"],
            "pip_url": about["name"],
            "description": about["description"],
            "definition": "keeps Pinterest customer lists, and the audiences on them, in step with your own tables.",
            "keywords": ["meltano_sdk", "reverse_etl", "advertising"],
            "capabilities": sorted(about["capabilities"]),
            "supported_python_versions": about["supported_python_versions"],
            "settings_preamble": _SETTINGS_PREAMBLE,
            "next_steps": _NEXT_STEPS,
            "settings": [_setting(*each) for each in schema["properties"].items()],
            "settings_group_validation": [
                [*schema["required"], "access_token"],
                [*schema["required"], "client_id", "client_secret"],
            ],
        }
    )


def utility(about: Mapping[str, Any], declared: Mapping[str, Any]) -> str:
    """Return the utility's definition.

    Args:
        about: the target's description of itself.
        declared: the utility in this repository's meltano.yml.
    """
    return _as_yaml(
        {
            **_COMMON,
            **{name: declared[name] for name in ("name", "namespace", "executable", "settings", "commands")},
            "pip_url": about["name"],
            "description": "The companion of target-pinterest-audience: checks, sign-in, prune, reports.",
            "definition": "checks your setup, signs in, removes people who are gone, and shows lists and runs.",
            "keywords": ["reverse_etl", "advertising"],
            "supported_python_versions": about["supported_python_versions"],
            "settings_preamble": _UTILITY_PREAMBLE,
            "next_steps": _UTILITY_NEXT_STEPS,
        }
    )


def _as_yaml(plugin: Mapping[str, Any]) -> str:
    """Return a definition as YAML with sorted keys, as in the hub's own files."""
    settings = sorted(plugin["settings"], key=lambda each: str(each["name"]))
    content = {**plugin, "settings": settings}
    return yaml.dump(content, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=100)


def _setting(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    setting = {"name": name, "label": schema["title"], "description": schema["description"]}
    if choices := choices_of(schema):
        setting["kind"] = "options"
        setting["options"] = [{"label": choice, "value": choice} for choice in choices]
    elif kind_of(schema) != "object":
        # An object gets no kind, so that Meltano leaves keys with dots intact in the environment variable.
        setting["kind"] = kind_of(schema)
    if "default" in schema:
        setting["value"] = schema["default"]
    if schema.get("secret"):
        setting["sensitive"] = True
    return setting
