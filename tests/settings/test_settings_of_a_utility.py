"""What Meltano hands to a utility, which gets its settings as variables only."""

from __future__ import annotations

from pathlib import Path

import pytest

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.settings import config_jsonschema, read_environment

PREFIX = "TARGET_PINTEREST_AUDIENCE_"
SPLINTER = f"{PREFIX}STREAMS_PUBLIC_CRM_LEADS_SOURCE_NAME"


@pytest.fixture
def utility(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a process that Meltano starts as a utility."""
    monkeypatch.setenv("MELTANO_UTILITY_NAME", "pinterest-audience")
    monkeypatch.setenv(SPLINTER, "crm")
    return monkeypatch


def test_the_single_values_of_an_object_that_arrived_whole_are_ignored(
    utility: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    utility.setenv(f"{PREFIX}STREAMS", '{"public-crm.leads.source_name": "crm"}')

    read = read_environment(config_jsonschema(), PREFIX, tmp_path)

    assert read == {"streams": {"public-crm.leads.source_name": "crm"}}


@pytest.mark.usefixtures("utility")
def test_the_single_values_of_an_object_that_did_not_arrive_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Meltano has split `streams`"):
        read_environment(config_jsonschema(), PREFIX, tmp_path)


def test_a_misspelt_variable_is_refused_all_the_same(utility: pytest.MonkeyPatch, tmp_path: Path) -> None:
    utility.setenv(f"{PREFIX}STREAMS", "{}")
    utility.setenv(f"{PREFIX}CONSENT_COLUM", "ok")

    with pytest.raises(ConfigurationError, match="Did you mean `consent_column`"):
        read_environment(config_jsonschema(), PREFIX, tmp_path)


def test_outside_a_utility_such_a_variable_is_not_a_setting(utility: pytest.MonkeyPatch, tmp_path: Path) -> None:
    utility.delenv("MELTANO_UTILITY_NAME")
    utility.setenv(f"{PREFIX}STREAMS", "{}")

    with pytest.raises(ConfigurationError, match="is not a setting"):
        read_environment(config_jsonschema(), PREFIX, tmp_path)
