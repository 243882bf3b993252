"""The files that the target keeps between runs: where they are unless a setting says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

import platformdirs

from target_pinterest_audience.errors import ConfigurationError

_NAME = "target-pinterest-audience"
_SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql://", "postgres://")


def ledger_url(configured: str | None, environ: Mapping[str, str]) -> str:
    """Return where the ledger is: `sqlite:///` and an absolute path, or the address of a PostgreSQL database.

    Args:
        configured: the setting.
        environ: the process's environment; Meltano sets `MELTANO_PROJECT_ROOT` for the plugins that it runs.

    Raises:
        ConfigurationError: the setting has a form that is not supported, or looks like an absolute path and is none.
    """
    if configured is None:
        if environ.get("MELTANO_PROJECT_ROOT"):
            folder = Path(environ["MELTANO_PROJECT_ROOT"]) / ".meltano" / _NAME
        else:
            folder = platformdirs.user_state_path(_NAME)
        return f"{_SQLITE}{folder.absolute() / 'ledger.db'}"
    if configured.startswith(_POSTGRESQL):
        return configured
    if not configured.startswith(_SQLITE) or not configured.removeprefix(_SQLITE):
        msg = "`ledger_url` must have the form sqlite:///path or postgresql://user@host/database."
        raise ConfigurationError(msg)
    path = unquote(configured.removeprefix(_SQLITE))
    if not path.startswith(("/", "~", ".")):
        _refuse_lost_slash(Path(path))
    return f"{_SQLITE}{Path(path).expanduser().absolute()}"


def _refuse_lost_slash(path: Path) -> None:
    """Refuse a relative path that looks like an absolute one: its ledger would be a new one in any other folder.

    Raises:
        ConfigurationError: it begins like a folder of the root, and not like one of the working directory.
    """
    first, *rest = path.parts
    if rest and Path("/", first).is_dir() and not Path(first).exists():
        msg = (
            f"`ledger_url` names a file relative to the working directory, which has no folder {first}; the root of "
            f"the file system has one. Write sqlite:////{first}/… with four slashes for the absolute path, or "
            f"sqlite:///./{first}/… for the relative one."
        )
        raise ConfigurationError(msg)


def sqlite_path(url: str) -> Path | None:
    """Return the file of a ledger, by the address that `ledger_url` returned; None if it is in PostgreSQL."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def credentials_path(configured: str | None, url: str) -> Path | None:
    """Return the file in which the newest refresh token is kept: by default beside a SQLite ledger.

    Args:
        configured: the setting `credentials_file`.
        url: what `ledger_url` returned.

    Returns:
        The file; None if the token is kept inside the PostgreSQL ledger.
    """
    if configured:
        return Path(configured).expanduser()
    path = sqlite_path(url)
    return path.with_name("credentials.json") if path is not None else None
