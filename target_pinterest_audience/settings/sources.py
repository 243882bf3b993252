"""Where configurations come from: JSON files, and the environment with the `.env` of the working directory."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.settings.check import refuse_unknown

_YES = {"true", "1", "yes", "on"}
_NO = {"false", "0", "no", "off"}


def read_config_files(paths: tuple[str, ...]) -> dict[str, Any]:
    """Read JSON configuration files; of two values for one setting, the later file's counts.

    Raises:
        ConfigurationError: a file cannot be read, or does not hold a JSON object. Its contents are never shown.
    """
    config: dict[str, Any] = {}
    for path in paths:
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        except OSError as error:
            msg = f"The configuration file {path} cannot be read: {error.strerror}. Check the path after `--config`."
            raise ConfigurationError(msg) from None
        except json.JSONDecodeError as error:
            msg = f"The configuration file {path} is not JSON: look at line {error.lineno}, column {error.colno}."
            raise ConfigurationError(msg) from None
        except UnicodeDecodeError:
            msg = f"The configuration file {path} is not UTF-8 text."
            raise ConfigurationError(msg) from None
        except (ValueError, RecursionError):
            msg = f"The configuration file {path} holds a number or a nesting beyond all bounds."
            raise ConfigurationError(msg) from None
        if not isinstance(values, dict):
            msg = f"The configuration file {path} must hold a JSON object of settings."
            raise ConfigurationError(msg)
        config |= values
    return config


def read_environment(schema: Mapping[str, Any], prefix: str, directory: Path) -> dict[str, Any]:
    """Read settings from environment variables and from `.env`; the environment wins.

    Args:
        schema: the JSON schema whose properties are looked for.
        prefix: what the variables' names begin with, such as `TARGET_PINTEREST_AUDIENCE_`.
        directory: where `.env` is looked for, and nowhere else.

    Raises:
        ConfigurationError: a value does not have its setting's type, or a variable with the prefix names no setting.
    """
    try:
        variables = {**dotenv_values(directory / ".env"), **os.environ}
    except (OSError, UnicodeDecodeError):
        msg = f"{directory / '.env'} cannot be read, or is not UTF-8 text."
        raise ConfigurationError(msg) from None
    names = [name.removeprefix(prefix).lower() for name in variables if name.startswith(prefix)]
    if "MELTANO_UTILITY_NAME" in variables:
        names = _without_splinters(names, schema)
    # The SDK reads the log level by the same prefix; Meltano adds extras of its own that begin with an underscore.
    refuse_unknown([name for name in names if name != "loglevel" and name[:1] != "_"], schema["properties"])
    config: dict[str, Any] = {}
    for name, rules in schema["properties"].items():
        text = variables.get(f"{prefix}{name.upper()}")
        if text is not None:
            config[name] = _parse(name, text, rules.get("type", "string"))
    return config


def _without_splinters(names: list[str], schema: Mapping[str, Any]) -> list[str]:
    """Leave out the variables that Meltano makes of the single values inside an object setting in meltano.yml.

    A utility gets them whether or not it gets the whole object too; their names cannot be brought back to keys.

    Raises:
        ConfigurationError: the whole object did not come.
    """
    objects = [name for name, rules in schema["properties"].items() if "object" in rules.get("type", ())]
    kept = []
    for name in names:
        whole = next(
            (each for each in objects if name.startswith(f"{each}_") and name not in schema["properties"]), None
        )
        if whole is None:
            kept.append(name)
        elif whole not in names:
            msg = (
                f"Meltano has broken `{whole}` into single variables, which cannot be put together again. Declare the "
                "setting with `kind: object` in the utility, as our meltano.yml does, or write it as JSON text."
            )
            raise ConfigurationError(msg)
    return kept


def _parse(name: str, text: str, kinds: str | list[str]) -> Any:  # noqa: ANN401 - any JSON value
    if "object" in kinds or "array" in kinds:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            msg = f"`{name}` in the environment is not JSON: look at column {error.colno}."
            raise ConfigurationError(msg) from None
        except RecursionError:
            msg = f"`{name}` in the environment is nested beyond all bounds."
            raise ConfigurationError(msg) from None
    if "boolean" in kinds:
        if text.strip().lower() in _YES | _NO:
            return text.strip().lower() in _YES
        msg = f"`{name}` in the environment must be true or false."
        raise ConfigurationError(msg)
    if "integer" in kinds:
        try:
            return int(text)
        except ValueError:
            msg = f"`{name}` in the environment must be a whole number."
            raise ConfigurationError(msg) from None
    return text
