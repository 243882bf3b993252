"""A setting in the environment or in `.env` is read, or the run does not start."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.settings import config_jsonschema, read_config_files, read_environment
from target_pinterest_audience.settings.load import read_config

PREFIX = "TARGET_PINTEREST_AUDIENCE_"
RIGHT = f"{PREFIX}CONSENT_COLUMN"


def read(folder: Path) -> dict[str, object]:
    return read_environment(config_jsonschema(), PREFIX, folder)


@pytest.mark.parametrize(
    "variable",
    [
        f"{PREFIX}consent_column",
        f"{PREFIX}Consent_Column",
        RIGHT.lower(),
        RIGHT.title(),
        f"{PREFIX}_CONSENT_COLUMN",
        f"{PREFIX}CONSENTCOLUMN",
        f"{PREFIX}CONSENT-COLUMN",
        "TARGET-PINTEREST-AUDIENCE-CONSENT-COLUMN",
        "target.pinterest.audience.consent_column",
        "TARGET_PINTEREST_AUDIENCE__CONSENT_COLUMN",
    ],
)
def test_a_misspelt_variable_is_refused_with_the_right_spelling(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    monkeypatch.setenv(variable, "s3cr3t")
    with pytest.raises(ConfigurationError, match=f"variable {variable} is set, but only {RIGHT} is read") as refused:
        read(tmp_path)
    assert "s3cr3t" not in str(refused.value)


def test_a_misspelt_name_in_lower_case_is_refused_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("target_pinterest_audience_consent_colum", "s3cr3t")
    with pytest.raises(ConfigurationError, match="Did you mean `consent_column`"):
        read(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP", "PORT_8080_TCP_ADDR",
        "PORT_8080_TCP_PORT", "PORT_8080_TCP_PROTO", "PORT_53_UDP", "EMULATOR_SERVICE_HOST", "EMULATOR_PORT_8080_TCP",
        "_LOAD_SCHEMA", "LOGLEVEL",
    ],
)  # fmt: skip
def test_variables_of_kubernetes_meltano_and_the_sdk_are_not_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv(PREFIX + name, "INFO")
    monkeypatch.setenv("MELTANO_LOADER_NAMESPACE", "target_pinterest_audience")
    assert read(tmp_path) == {}


@pytest.mark.parametrize(
    "statement",
    [
        f"{RIGHT}: s3cr3t", f"{RIGHT}:s3cr3t", RIGHT, f"{RIGHT}='s3cr3t", f'{RIGHT}="s3cr3t', f"export {RIGHT}",
        f"set {RIGHT}=s3cr3t", f"- {RIGHT}=s3cr3t", f'"{RIGHT}"=s3cr3t', f"$env:{RIGHT}=s3cr3t", f'{RIGHT}="s3cr3t" x',
        f"{RIGHT.lower()}: s3cr3t", f'NOTE="s3cr3t\n{RIGHT}=s3cr3t\nOTHER="x', f"NOTE='s3cr3t\n{RIGHT}=s3cr3t\n'",
    ],
)  # fmt: skip
def test_a_line_of_dotenv_that_would_be_skipped_is_refused_with_its_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, statement: str
) -> None:
    monkeypatch.setenv(f"{PREFIX}AD_ACCOUNT_ID", "1")
    (tmp_path / ".env").write_text(f"# {RIGHT}: a comment\nFOO=bar\n\n{statement}\n")
    with pytest.raises(ConfigurationError, match=r"Line 4 of \S+\.env") as refused:
        read(tmp_path)
    assert "s3cr3t" not in str(refused.value)


def test_lines_of_dotenv_for_other_programs_are_ignored(tmp_path: Path) -> None:
    text = f"OTHER: value\nALONE\n\n export {RIGHT} = 'it is\nread' # yes\nBROKEN='x\n"
    (tmp_path / ".env").write_text(f"\ufeff{text}", encoding="utf-8")
    assert read(tmp_path) == {"consent_column": "it is\nread"}


@pytest.mark.parametrize(
    "text",
    [
        f"{RIGHT}=${{FOREIGN}}",
        f"{RIGHT}='a${{FOREIGN}}b'",
        f"{RIGHT}=${{FOREIGN:-consent}}",
        f"{RIGHT}=${{FOREIGN}}\nFOREIGN=later",
        f"{RIGHT}_FILE=/run/${{FOREIGN}}",
    ],
)
def test_a_line_of_dotenv_gets_no_variable_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.setenv("FOREIGN", "s3cr3t")
    (tmp_path / ".env").write_text(f"OTHER=${{FOREIGN}}\n\n{text}\n")
    with pytest.raises(
        ConfigurationError, match=r"Line 3 of \S+\.env refers to the variable FOREIGN, .*Set TARGET"
    ) as refused:
        read(tmp_path)
    assert "s3cr3t" not in str(refused.value)


def test_a_line_that_the_environment_overrides_may_refer_to_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(RIGHT, "exported")
    (tmp_path / ".env").write_text(f"{RIGHT}=${{FOREIGN}}\n")
    assert read(tmp_path) == {"consent_column": "exported"}


def test_a_variable_of_the_environment_does_not_come_by_way_of_another_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FOREIGN", "s3cr3t")
    (tmp_path / ".env").write_text(f"NAME=x\nNAME=a${{FOREIGN}}\n{RIGHT}=${{NAME}}\n")
    with pytest.raises(ConfigurationError, match=r"Line 3 of \S+\.env refers to the variable FOREIGN,"):
        read(tmp_path)


def test_what_is_no_name_in_a_reference_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{RIGHT}=pass${{w0rd&s3cr3t}}\n")
    with pytest.raises(ConfigurationError, match="refers to a variable, which") as refused:
        read(tmp_path)
    assert "s3cr3t" not in str(refused.value)


def test_a_line_of_dotenv_may_refer_to_an_earlier_one_of_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NAME", "of the environment")
    (tmp_path / ".env").write_text(f"NAME=con\nWHOLE=${{NAME}}sent\n{RIGHT}=${{WHOLE}}_$NAME\n")
    assert read(tmp_path) == {"consent_column": "consent_$NAME"}


def test_a_folder_called_dotenv_holds_no_settings(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert read(tmp_path) == {}


def test_a_dotenv_in_utf16_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{RIGHT}=consent\n", encoding="utf-16-le")
    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        read(tmp_path)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder to work in, with a configuration file."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.json"
    path.write_text('{"ad_account_id": "1", "streams.a.operation": "remove"}')
    return path


def warnings(caplog: pytest.LogCaptureFixture, *config: str) -> list[str]:
    with caplog.at_level(logging.WARNING):
        read_config(config)
    return [record.getMessage() for record in caplog.records]


def test_variables_that_are_not_read_are_named_in_one_warning(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (RIGHT, f"{PREFIX}operation", f"{PREFIX}SERVICE_HOST", f"{PREFIX}LOGLEVEL"):
        monkeypatch.setenv(name, "s3cr3t")
    (elsewhere.parent / ".env").write_text(f"{PREFIX}SOURCE_NAME=s3cr3t\n{PREFIX}HALF='\n")
    (warning,) = warnings(caplog, str(elsewhere))
    assert f"{RIGHT}, {PREFIX}SOURCE_NAME, {PREFIX}operation." in warning
    assert "s3cr3t" not in warning


def test_variables_that_meltano_also_writes_to_the_file_are_not_a_warning(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MELTANO_LOADER_NAME", "target-pinterest-audience")
    for name in ("AD_ACCOUNT_ID", "STREAMS", "STREAMS_A_OPERATION", "_LOAD_SCHEMA", "_VIP_STREAMS", "VIP_STREAMS"):
        monkeypatch.setenv(PREFIX + name, "x")
    assert warnings(caplog, str(elsewhere)) == []
    monkeypatch.setenv(RIGHT, "not declared in meltano.yml")
    (warning,) = warnings(caplog, str(elsewhere))
    assert f": {RIGHT}." in warning


def test_a_name_that_occurs_twice_in_one_object_is_refused(monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> None:
    twice = '{"streams": {"left": {"operation": "remove"}, "left": {"source_name": "s3cr3t"}}}'
    elsewhere.write_text(twice)
    with pytest.raises(ConfigurationError, match="has `left` twice") as refused:
        read_config_files((str(elsewhere),))
    assert "s3cr3t" not in str(refused.value)
    monkeypatch.setenv(f"{PREFIX}STREAMS", '{"left": {}, "left": {}}')
    with pytest.raises(ConfigurationError, match="`streams` in the environment has `left` twice"):
        read(elsewhere.parent)
