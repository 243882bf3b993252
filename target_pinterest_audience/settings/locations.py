"""The files that the target keeps between runs: where they are unless a setting says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

import platformdirs

from target_pinterest_audience.errors import ConfigurationError

_NAME = "target-pinterest-audience"
_SQLITE = "sqlite:///"


def credentials_path(credentials_file: str | None, ledger_url: str | None, environ: Mapping[str, str]) -> Path:
    """Return where the newest refresh token is kept: a file of its own, by default beside the SQLite ledger.

    Args:
        credentials_file: the setting.
        ledger_url: the setting.
        environ: the process's environment; Meltano sets `MELTANO_PROJECT_ROOT` for the plugins that it runs.

    Raises:
        ConfigurationError: `ledger_url` has a form that is not supported.
    """
    folder = _ledger_folder(ledger_url, environ)
    return Path(credentials_file).expanduser() if credentials_file else folder / "credentials.json"


def _ledger_folder(ledger_url: str | None, environ: Mapping[str, str]) -> Path:
    if ledger_url is not None:
        if ledger_url.startswith(("postgresql://", "postgres://")):
            msg = "`ledger_url` names a PostgreSQL database, but this version cannot use one yet. Leave it out."
            raise ConfigurationError(msg)
        if not ledger_url.startswith(_SQLITE) or not ledger_url.removeprefix(_SQLITE):
            msg = "`ledger_url` must have the form sqlite:///path."
            raise ConfigurationError(msg)
        return Path(unquote(ledger_url.removeprefix(_SQLITE))).expanduser().parent
    if environ.get("MELTANO_PROJECT_ROOT"):
        return Path(environ["MELTANO_PROJECT_ROOT"]) / ".meltano" / _NAME
    return platformdirs.user_state_path(_NAME)
