"""Reads configurations from JSON files, from environment variables, and from the `.env` of the working directory."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.settings.dotenv_file import names_in_dotenv, read_dotenv
from target_pinterest_audience.settings.origins import Source, merged, overridden
from target_pinterest_audience.settings.validate import refuse_unknown
from target_pinterest_audience.settings.variables import sort_out
from target_pinterest_audience.text.json_text import RepeatedNameError, read_json

_YES = {"true", "1", "yes", "on"}
_NO = {"false", "0", "no", "off"}

_LONGEST_SECRET: Final = 65_536
"""How many bytes a file with a secret may have: what is longer is another file, or never ends."""


def read_config_files(paths: tuple[str, ...]) -> dict[str, Any]:
    """Read JSON configuration files; later files override earlier ones.

    Raises:
        ConfigurationError: a file cannot be read, or does not contain a JSON object. The message never shows its
            content.
    """
    config: dict[str, Any] = {}
    for path in paths:
        try:
            values = read_json(Path(path).read_text(encoding="utf-8-sig"))
        except OSError as error:
            msg = f"The configuration file {path} cannot be read: {error.strerror}. Check the path after `--config`."
            raise ConfigurationError(msg) from None
        except json.JSONDecodeError as error:
            msg = f"The configuration file {path} is not JSON. Check line {error.lineno}, column {error.colno}."
            raise ConfigurationError(msg) from None
        except UnicodeDecodeError:
            msg = f"The configuration file {path} is not UTF-8 text."
            raise ConfigurationError(msg) from None
        except RepeatedNameError as error:
            msg = (
                f"The configuration file {path} has `{error.name}` twice in one object, and only one would be read. "
                "Keep one."
            )
            raise ConfigurationError(msg) from None
        except (ValueError, RecursionError):
            msg = f"The configuration file {path} is nested too deeply, or contains a number that is too long."
            raise ConfigurationError(msg) from None
        if not isinstance(values, dict):
            msg = f"The configuration file {path} must contain a JSON object of settings."
            raise ConfigurationError(msg)
        config = overridden(config, values)
    return config


def read_environment(schema: Mapping[str, Any], prefix: str, directory: Path) -> dict[str, Any]:
    """Read settings as `environment_sources` does, and return all of them together."""
    return merged(environment_sources(schema, prefix, directory))


def environment_sources(schema: Mapping[str, Any], prefix: str, directory: Path) -> list[Source]:
    """Read settings from `.env`, from environment variables, which override it, and from the files with secrets.

    Args:
        schema: the JSON schema of all settings.
        prefix: the prefix of the variables' names, such as `TARGET_PINTEREST_AUDIENCE_`.
        directory: the only folder in which `.env` is searched.

    Raises:
        ConfigurationError: a value does not have its setting's type, or a variable or a line of `.env` that is meant
            for this target would not be read, or a secret cannot be read from its file.
    """
    variables = {**read_dotenv(directory / ".env", prefix, os.environ), **os.environ}
    ours = sort_out(variables, prefix, schema["properties"])
    ours.refuse_misspelt()
    ours.refuse_doubles()
    unknown: Iterable[str] = ours.unknown.values()
    if "MELTANO_UTILITY_NAME" in variables:
        unknown = _without_parts_of_objects(unknown, ours.settings.values(), schema)
    refuse_unknown(unknown, schema["properties"])
    exported: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, rules in schema["properties"].items():
        variable = f"{prefix}{name.upper()}"
        text = variables.get(variable)
        if text is not None:
            (exported if variable in os.environ else rest)[name] = _parse(name, text, rules.get("type", "string"))
    # Each file is a source of its own: a `.env` that was found may name a file, but not where to send what is in it.
    files = [
        Source(f"the file {variables[variable]}", {name: _secret(variable, variables[variable], name, schema)})
        for variable, name in ours.files.items()
    ]
    return [Source(str(directory / ".env"), rest, is_found=True), Source("the environment", exported), *files]


def _secret(variable: str, path: str | None, name: str, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """Return the secret in the file that a variable names.

    Raises:
        ConfigurationError: the file cannot be read, is empty, or does not contain a value of the setting's type. The
            message never shows its content.
    """
    if not path:
        msg = f"The variable {variable} is set, but names no file. Name the file with `{name}`, or remove the variable."
        raise ConfigurationError(msg)
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LONGEST_SECRET + 1)
        text = content.decode("utf-8-sig").strip()
    # ValueError: the path has a null character.
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        msg = f"The file {path}, which {variable} names, cannot be read: {why}. Check the path and the file."
        raise ConfigurationError(msg) from None
    if not text or len(content) > _LONGEST_SECRET:
        why = "is empty" if not text else "is too long for a secret"
        msg = f"The file {path}, which {variable} names, {why}. Write `{name}` to it, and nothing else."
        raise ConfigurationError(msg)
    return _parse(name, text, schema["properties"][name].get("type", "string"), f"the file {path}")


def unread_variables(
    config: Mapping[str, Any], schema: Mapping[str, Any], prefix: str, directory: Path, environ: Mapping[str, str]
) -> list[str]:
    """Return the variables that are meant for this target, but are not read because `--config` names only files.

    Meltano sets a variable for each setting that it also writes to the file, and others that name no setting: these are
    left out.

    Args:
        config: the settings in the files.
        schema: the JSON schema of all settings.
        prefix: the prefix of the variables' names.
        directory: the folder that may contain a `.env`.
        environ: the process's environment.
    """
    ours = sort_out({**dict.fromkeys(names_in_dotenv(directory / ".env")), **environ}, prefix, schema["properties"])
    if "MELTANO_LOADER_NAME" in environ or "MELTANO_UTILITY_NAME" in environ:
        given = {key.partition(".")[0] for key in config}
        missing = [variable for variable, name in (ours.settings | ours.files).items() if name not in given]
        return sorted([*missing, *ours.misspelt])
    return sorted([*ours.settings, *ours.files, *ours.unknown, *ours.misspelt])


def _objects(schema: Mapping[str, Any]) -> list[str]:
    """Return the settings that are objects."""
    return [name for name, rules in schema["properties"].items() if "object" in rules.get("type", ())]


def _without_parts_of_objects(unknown: Iterable[str], known: Collection[str], schema: Mapping[str, Any]) -> list[str]:
    """Leave out the variables that Meltano sets for the single values inside an object setting in meltano.yml.

    A utility gets them whether or not it also gets the whole object. Keys cannot be restored from their names.

    Args:
        unknown: names in variables that are not settings.
        known: the settings that variables give.
        schema: the JSON schema of all settings.

    Raises:
        ConfigurationError: only parts of an object setting were given, not the whole object.
    """
    kept = []
    for name in unknown:
        whole = next((each for each in _objects(schema) if name.startswith(f"{each}_")), None)
        if whole is None:
            kept.append(name)
        elif whole not in known:
            msg = (
                f"Meltano has split `{whole}` into single variables, which cannot be put together again. Declare the "
                "setting with `kind: object` in the utility, as the meltano.yml of this project does, or write it as "
                "JSON text."
            )
            raise ConfigurationError(msg)
    return kept


def _parse(name: str, text: str, kinds: str | list[str], place: str = "the environment") -> Any:  # noqa: ANN401 - any JSON value
    if "object" in kinds or "array" in kinds:
        try:
            return read_json(text)
        except json.JSONDecodeError as error:
            msg = f"`{name}` in {place} is not JSON. Check column {error.colno}."
            raise ConfigurationError(msg) from None
        except RepeatedNameError as error:
            msg = f"`{name}` in {place} has `{error.name}` twice in one object. Keep one."
            raise ConfigurationError(msg) from None
        except RecursionError:
            msg = f"`{name}` in {place} is nested too deeply."
            raise ConfigurationError(msg) from None
    if "boolean" in kinds:
        if text.strip().lower() in _YES | _NO:
            return text.strip().lower() in _YES
        msg = f"`{name}` in {place} must be true or false."
        raise ConfigurationError(msg)
    if "integer" in kinds:
        try:
            return int(text)
        except ValueError:
            msg = f"`{name}` in {place} must be a whole number."
            raise ConfigurationError(msg) from None
    return text
