"""Settings that come from several files and the environment: each counts by itself, also under `streams`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.settings.load import read_config, resolve_settings

CONSENT = {"consent_column": "ok"}
BASE = {"ad_account_id": "1", "access_token": "x", "customer_list_name": "L"}
VARIABLE = "TARGET_PINTEREST_AUDIENCE_STREAMS"


def write(folder: Path, *configs: dict[str, Any]) -> tuple[str, ...]:
    paths = [folder / f"{number}.json" for number in range(len(configs))]
    for path, config in zip(paths, configs, strict=True):
        path.write_text(json.dumps(config))
    return tuple(map(str, paths))


@pytest.mark.parametrize("is_text", [True, False])
@pytest.mark.parametrize("way", ["file", "environment"])
def test_a_later_source_does_not_switch_off_the_consent_column_of_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, *, is_text: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    first: Any = {"customers": CONSENT, "staff": {}}
    later = {"customers": {"audience_name": "x"}, "*": {}}
    names = write(tmp_path, {**BASE, "streams": json.dumps(first) if is_text else first})
    if way == "file":
        (tmp_path / "later.json").write_text(json.dumps({"streams": later}))
        names += (str(tmp_path / "later.json"),)
    else:
        monkeypatch.setenv(VARIABLE, json.dumps(later))
        names += ("ENV",)
    settings, _ = resolve_settings(read_config(names))
    assert settings.streams.keys() == {"customers", "staff", "*"}
    stream = settings.for_stream("customers")
    assert (stream.consent_column, stream.audience_name) == ("ok", "x")


def test_names_that_meltano_nests_are_joined_and_columns_are_not(tmp_path: Path) -> None:
    first = {"crm": {"leads": {**CONSENT, "identity_columns": {"a": "EMAIL"}}}}
    later = {"crm": {"leads": {"customer_list_name": "M", "identity_columns": {"b": "EMAIL"}}}}
    names = write(tmp_path, {**BASE, "streams": first}, {"streams": later})
    stream = resolve_settings(read_config(names))[0].for_stream("crm.leads")
    assert (stream.consent_column, stream.customer_list_name) == ("ok", "M")
    assert list(stream.identity_columns) == ["b"]


def test_a_later_null_removes_a_setting_of_a_stream(tmp_path: Path) -> None:
    names = write(tmp_path, {**BASE, "streams": {"c": CONSENT}}, {"streams": {"c": {"consent_column": None}}})
    assert resolve_settings(read_config(names))[0].for_stream("c").consent_column is None
