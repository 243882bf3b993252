from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing
from target_pinterest_audience.settings import (
    LoadMethod,
    Mode,
    Settings,
    config_jsonschema,
    read_config_files,
    read_environment,
    resolve,
)
from tests.support.settings import NEEDED

PREFIX = "TARGET_PINTEREST_AUDIENCE_"


def settle(environ: dict[str, str] | None = None, **values: Any) -> Settings:
    return resolve({**NEEDED, **values}, environ or {})[0]


def test_the_names_are_public() -> None:
    assert list(config_jsonschema()["properties"]) == [
        "ad_account_id", "access_token", "client_id", "client_secret", "refresh_token", "credentials_file", "api_url",
        "customer_list_id", "customer_list_name", "audience_id", "create_audience", "is_nca", "audience_name",
        "audience_description", "identity_columns", "phone_country", "phone_country_column",
        "one_list_per_type", "load_method", "operation", "removal_column",
        "consent_column", "consent_values", "list_name_column", "holdout_percent", "holdout_salt", "source_name",
        "hashing", "hash_algorithm", "bad_records", "max_rejected_percent", "rejects_path", "holdout_path",
        "max_removal_percent", "max_deleted_percent",
        "missing_ledger", "empty_stream",
        "batch_size_rows", "max_request_bytes", "max_retries", "initial_backoff_ms", "max_backoff_ms",
        "connect_timeout_seconds", "read_timeout_seconds", "streams", "unmapped_streams", "ledger_url",
        "lock_wait_seconds", "report_path", "metrics_path", "dry_run", "validate_records",
        "notify_urls", "notify_rejected_percent", "notify_size_change_percent", "notify_match_drop_percent",
        "notify_stale_hours",
    ]  # fmt: skip


def test_the_defaults_are_public() -> None:
    defaults = {
        name: rules["default"] for name, rules in config_jsonschema()["properties"].items() if "default" in rules
    }
    assert defaults == {
        "api_url": "https://api.pinterest.com/v5", "create_audience": True, "one_list_per_type": False,
        "load_method": "upsert", "operation": "add", "removal_column": "_sdc_deleted_at", "hashing": "auto",
        "consent_values": [
            "1", "true", "t", "yes", "y", "on", "granted", "subscribed", "opted_in", "opt_in",
        ],
        "hash_algorithm": "sha256", "bad_records": "skip", "max_rejected_percent": 100, "max_removal_percent": 20,
        "holdout_percent": 0, "max_deleted_percent": 50, "missing_ledger": "warn", "empty_stream": "warn",
        "batch_size_rows": 10000, "max_request_bytes": 1000000, "max_retries": 8,
        "initial_backoff_ms": 500, "max_backoff_ms": 300000, "connect_timeout_seconds": 30,
        "read_timeout_seconds": 180, "unmapped_streams": "fail", "lock_wait_seconds": 600, "dry_run": False,
        "validate_records": False, "notify_rejected_percent": 5, "notify_size_change_percent": 30,
        "notify_match_drop_percent": 20, "notify_stale_hours": 26,
    }  # fmt: skip


def test_every_setting_is_documented_and_secrets_are_marked() -> None:
    properties = config_jsonschema()["properties"]
    assert all(rules["title"] and rules["description"] for rules in properties.values())
    secret = {name for name, rules in properties.items() if rules.get("secret")}
    assert secret == {"access_token", "client_secret", "refresh_token", "ledger_url", "notify_urls"}


def test_defaults_fill_what_is_not_set() -> None:
    settings = settle(customer_list_name=None)
    assert (settings.hashing, settings.hash_algorithm) == (Hashing.AUTO, HashAlgorithm.SHA256)
    stream = settings.for_stream("any")
    assert (stream.load_method, stream.operation, stream.create_audience) == (LoadMethod.UPSERT, Mode.ADD, True)


@pytest.mark.parametrize("name", list(config_jsonschema()["properties"]))
def test_a_misspelt_setting_is_refused_with_the_nearest_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not a setting\. Did you mean `") as refused:
        settle(None, **{f"{name}x": "s3cr3t"})
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ad_account_id": None}, "`ad_account_id` is not set"),
        ({"ad_account_id": "54975588517x"}, "`ad_account_id` must consist of digits"),
        ({"ad_account_id": "1" * 19}, "`ad_account_id` must consist of digits"),
        ({"load_method": "insert-s3cr3t"}, "`load_method` must be one of upsert, append-only, overwrite"),
        ({"batch_size_rows": "s3cr3t"}, "`batch_size_rows` must be a whole number"),
        ({"batch_size_rows": 0}, "`batch_size_rows` must be at least 1"),
        ({"create_audience": "s3cr3t"}, "`create_audience` must be true or false"),
        ({"identity_columns": ["s3cr3t"]}, "`identity_columns` must be an object"),
        ({"identity_columns": "{s3cr3t"}, "`identity_columns` must be an object, or the JSON text"),
        ({"identity_columns": {"email": "s3cr3t"}}, "the type of column email must be one of EMAIL, IDFA"),
        ({"streams": {"a": "s3cr3t"}}, "`streams.a` must be an object"),
        ({"streams": {"a": {"operation": "s3cr3t"}}}, "`streams.a.operation` must be one of add, remove"),
        ({"streams": {"a": {"consent_colum": "s3cr3t"}}}, "`streams.a.consent_colum` is not a setting. Did you mean"),
        ({"streams": {"a": {"batch_size_rows": 5}}}, "`batch_size_rows` cannot differ from stream to stream"),
        ({"customer_list_name": "  "}, "`customer_list_name` is empty"),
        ({"customer_list_id": "1", "audience_id": "2"}, "are both set"),
        ({"access_token": None}, "There is no way to sign in"),
        ({"access_token": None, "client_id": "s3cr3t"}, "missing: `client_secret`)"),
        ({"access_token": None, "client_secret": "s3cr3t", "refresh_token": "s3cr3t"}, "missing: `client_id`)"),
        ({"api_url": "http://api.example.com/v5"}, "`api_url` must begin with https"),
        ({"api_url": "ftp://127.0.0.1/v5"}, "`api_url` must begin with https"),
        ({"api_url": "https://s3cr3t:s3cr3t@host/v5"}, "`api_url` must be a URL"),
        ({"api_url": "s3cr3t"}, "`api_url` must be a URL"),
        ({"ledger_url": "mysql://s3cr3t"}, "`ledger_url` must have the form"),
        ({"access_token": "s3cr3t\u20ac"}, "`access_token` has characters that no token has"),
        ({"api_url": "https://host:99999/v5"}, "`api_url` must be a URL"),
        ({"api_url": "https://s3cr3t host/v5"}, "`api_url` must be a URL"),
        ({"notify_urls": "s3cr3t"}, "`notify_urls` must be a list, or the JSON text of one. Check column 1"),
        ({"notify_urls": {"s3cr3t": 1}}, "`notify_urls` must be a list"),
        ({"notify_urls": [5]}, "`notify_urls` must be a list of text"),
        ({"max_backoff_ms": 10**400}, "`max_backoff_ms` must be at most"),
        ({"holdout_percent": 51}, "`holdout_percent` must be at most 50"),
        ({"holdout_percent": 10, "operation": "remove"}, "`operation: remove` the stream adds no one. Remove"),
        (
            {"streams": {"a": {"holdout_percent": 10, "operation": "remove"}}},
            "`streams.a.holdout_percent` keeps people off a list, but with `streams.a.operation: remove`",
        ),
        ({"operation": "remove", "streams": {"a": {"holdout_percent": 10}}}, "`streams.a.holdout_percent` keeps"),
        ({"consent_values": "s3cr3t"}, "`consent_values` must be a list, or the JSON text of one. Check column 1"),
        ({"consent_values": ["s3cr3t", True]}, "`consent_values` must be a list of text"),
        ({"consent_values": ["s3cr3t", " "]}, "`consent_values` contains an empty text"),
        ({"streams": {"a": {"consent_values": "s3cr3t"}}}, "`streams.a.consent_values` must be a list, or the JSON"),
        ({"streams": {"a": {"consent_values": ["s3cr3t", {}]}}}, "`streams.a.consent_values` must be a list of text"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_named_and_the_value_is_not(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settle(None, **values)
    assert words in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_a_path_that_lost_its_slash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="sqlite:////usr/… with four slashes"):
        settle(ledger_url="sqlite:///usr/lib/ledger.db")
    for relative in ("./usr/ledger.db", "data/of/ours/ledger.db", "usr"):
        assert settle(ledger_url=f"sqlite:///{relative}").ledger_url == f"sqlite:///{tmp_path / relative}"
    (tmp_path / "usr").mkdir()
    assert settle(ledger_url="sqlite:///usr/lib/ledger.db").ledger_url == f"sqlite:///{tmp_path}/usr/lib/ledger.db"
    assert settle(ledger_url="sqlite:////usr/lib/ledger.db").ledger_url == "sqlite:////usr/lib/ledger.db"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/v5", "http://localhost:1/v5/", "http://[::1]:1/v5", "https://h/v5"]
)
def test_http_is_allowed_only_for_the_loopback_interface(url: str) -> None:
    assert settle(api_url=url).api_url == url.rstrip("/")


def test_an_id_that_yaml_read_as_a_number_is_its_digits() -> None:
    assert settle(ad_account_id=549755885175).ad_account_id == "549755885175"
    assert settle(streams={"a": {"customer_list_id": 77}}).for_stream("a").customer_list_id == "77"


def test_values_from_files_and_yaml_are_normalised() -> None:
    assert settle(access_token="tok\n").access_token == "tok"
    assert settle(ad_account_id=" 123\n").ad_account_id == "123"
    retries = settle(max_retries=3.0).max_retries
    assert (retries, type(retries)) == (3, int)


def test_a_stream_overrides_and_inherits() -> None:
    settings = settle(
        customer_list_id="1",
        audience_name="Everybody",
        streams={"leads": {"customer_list_name": "Leads", "create_audience": False}},
    )
    leads, other = settings.for_stream("leads"), settings.for_stream("customers")
    assert (leads.customer_list_id, leads.customer_list_name, leads.audience_name) == (None, "Leads", "Everybody")
    assert (leads.create_audience, other.create_audience) == (False, True)
    assert other.customer_list_id == "1"


@pytest.mark.parametrize(
    "values",
    [
        {"streams": {"crm.leads": {"operation": "remove", "identity_columns": {"e.mail": "EMAIL"}}}},
        {"streams": {"crm": {"leads": {"operation": "remove", "identity_columns": {"e": {"mail": "EMAIL"}}}}}},
        {"streams": {"crm.leads.operation": "remove", "crm.leads.identity_columns.e.mail": "EMAIL"}},
        {"streams.crm.leads.operation": "remove", "streams.crm.leads.identity_columns": {"e.mail": "EMAIL"}},
        {"streams": '{"crm.leads": {"operation": "remove", "identity_columns": {"e.mail": "EMAIL"}}}'},
    ],
)
def test_names_with_dots_are_read_however_meltano_sends_them(values: dict[str, Any]) -> None:
    stream = settle(**values).for_stream("crm.leads")
    assert stream.operation is Mode.REMOVE
    assert {column: kind.name for column, kind in stream.identity_columns.items()} == {"e.mail": "EMAIL"}


@pytest.mark.parametrize("nothing", [{"a.b": {}}, {"a.b": None}, {"a": {"b": {}}}, {"a.b.operation": None}])
def test_a_stream_may_have_no_settings(nothing: dict[str, Any]) -> None:
    assert settle(streams=nothing).for_stream("a.b").operation is Mode.ADD


@pytest.mark.parametrize("given", [[" Ja ", "OUI", 1], '["ja", "oui", "1"]'])
@pytest.mark.parametrize("inside", [False, True])
def test_words_for_consent_are_compared_without_case_and_blanks(given: object, *, inside: bool) -> None:
    values: dict[str, Any] = {"consent_values": given}
    settings = settle(**({"streams": {"crm.leads": values}} if inside else values))
    assert settings.for_stream("crm.leads").consent_values == {"ja", "oui", "1"}
    assert ("yes" in settings.for_stream("others").consent_values) == inside


@pytest.mark.parametrize(
    "values",
    [
        {"streams": {"crm": {"leads": {"consent_values": ["ja"]}}}},
        {"streams": {"crm.leads.consent_values": ["ja"]}},
        {"streams.crm.leads.consent_values": '["ja"]'},
    ],
)
def test_a_list_in_a_stream_with_dots_is_read_however_meltano_sends_it(values: dict[str, Any]) -> None:
    assert settle(**values).for_stream("crm.leads").consent_values == {"ja"}


def test_the_default_words_for_consent_do_not_count_as_a_changed_setting() -> None:
    assert "consent_values" not in settle().effects
    assert settle(consent_values=["ja"]).effects["consent_values"] == ["ja"]


def test_a_stream_that_removes_inherits_no_holdout() -> None:
    settings = settle(None, holdout_percent=10, streams={"gone": {"operation": "remove"}, "a": {"holdout_salt": "x"}})
    assert settings.for_stream("any").holdout == (10, "")
    assert settings.for_stream("a").holdout == (10, "x")
    assert settings.for_stream("gone").holdout is None
    assert settle(None).for_stream("any").holdout is None


def test_no_holdout_is_no_changed_setting() -> None:
    assert "holdout_percent" not in settle(None).effects
    assert settle(None, holdout_percent=1).effects["holdout_percent"] == 1


def test_a_removal_column_is_set_if_it_is_not_the_default() -> None:
    settings = settle(removal_column="gone", streams={"a": {"removal_column": "_sdc_deleted_at"}, "b": {}})
    assert [settings.for_stream(name).removal_column for name in "ab"] == [None, "gone"]
    assert settle(removal_column="_sdc_deleted_at").default_stream.removal_column is None


@pytest.mark.parametrize(
    "values",
    [
        {"streams": {"crm.*": {"operation": "remove", "identity_columns": {"e.mail": "EMAIL"}}, "*": {}}},
        {"streams": {"crm": {"*": {"operation": "remove", "identity_columns": {"e": {"mail": "EMAIL"}}}}, "*": {}}},
        {"streams": {"crm.*.operation": "remove", "crm.*.identity_columns.e.mail": "EMAIL", "*": {}}},
        {"streams.crm.*.operation": "remove", "streams.crm.*.identity_columns": {"e.mail": "EMAIL"}},
    ],
)
def test_patterns_with_dots_are_read_however_meltano_sends_them(values: dict[str, Any]) -> None:
    settings = settle(**values)
    for stream in ("crm.leads", "crm.old.leads"):
        assert settings.for_stream(stream).operation is Mode.REMOVE
        assert list(settings.for_stream(stream).identity_columns) == ["e.mail"]
    assert settings.for_stream("CRM.leads").operation is Mode.ADD


@pytest.mark.parametrize("backwards", [False, True])
def test_a_stream_gets_the_settings_of_all_its_patterns_in_whatever_order(*, backwards: bool) -> None:
    entries: dict[str, Any] = {
        "*": {"consent_column": "ok", "customer_list_name": "all"},
        "pub*": {"consent_column": "ok", "source_name": "shop"},
        "public-leads": {"audience_id": "7", "source_name": "crm"},
        "a[b]c": {"source_name": "brackets"},
    }
    settings = settle(streams=dict(reversed(entries.items())) if backwards else entries, customer_list_id="1")
    public, leads = settings.for_stream("public-users"), settings.for_stream("public-leads")
    assert (public.consent_column, public.source_name) == ("ok", "shop")
    assert (public.customer_list_name, public.customer_list_id) == ("all", None)
    assert public.own == {"consent_column", "customer_list_name", "source_name"}
    assert (leads.consent_column, leads.source_name) == ("ok", "crm")
    assert (leads.audience_id, leads.customer_list_name) == ("7", None)
    assert settings.for_stream("a[b]c").source_name == settings.for_stream("abc").source_name == "brackets"


def test_disagreeing_patterns_are_refused_unless_the_name_of_the_stream_decides() -> None:
    settings = settle(streams={"a*": {"operation": "remove"}, "*b": {"operation": "add"}, "a-b": {"operation": "add"}})
    assert settings.for_stream("a-b").operation is Mode.ADD
    with pytest.raises(ConfigurationError, match=r"`streams.a\*.operation` and `streams.\*b.operation` disagree"):
        settings.for_stream("ab")


def test_a_key_that_meltano_dropped_is_detected() -> None:
    environ = {
        "MELTANO_LOADER_NAME": "target-vip",
        "TARGET_VIP_IDENTITY_COLUMNS": '{"user.email":"EMAIL","idfa":"IDFA"}',
    }
    assert (
        len(
            settle(
                environ, identity_columns={"user": {"email": "EMAIL"}, "idfa": "IDFA"}
            ).default_stream.identity_columns
        )
        == 2
    )
    with pytest.raises(ConfigurationError, match=r"Meltano has dropped `identity_columns.user.email`"):
        settle(environ, identity_columns={"idfa": "IDFA"})


def test_a_stream_map_that_meltano_dropped_is_detected() -> None:
    environ = {"MELTANO_LOADER_NAME": "target-vip", "TARGET_VIP_STREAM_MAPS": '{"crm.leads": {"__filter__": "ok"}}'}
    with pytest.raises(ConfigurationError, match=r"Meltano has dropped `stream_maps.crm.leads.__filter__`"):
        settle(environ, stream_maps={})
    assert settle(environ, stream_maps={"crm.leads": {"__filter__": "ok"}})


def test_stream_maps_are_read_from_json_text_and_refused_if_nested() -> None:
    resolved = resolve({**NEEDED, "stream_maps": '{"crm.leads": {"a": "b"}}'}, {})[1]
    assert resolved["stream_maps"] == {"crm.leads": {"a": "b"}}
    with pytest.raises(ConfigurationError, match="put a backslash before each dot"):
        settle(stream_maps={"crm": {"leads": {"a": "b"}}})


@pytest.mark.parametrize("rest", [":memory:", "file::memory:", "/data/l.db?mode=ro", "file:/data/l.db", "l.db?"])
def test_a_ledger_is_a_file_without_options(rest: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="must have the path of a file and nothing else") as raised:
        settle(ledger_url=f"sqlite:///{rest}")
    assert "l.db" not in str(raised.value)
    assert settle(ledger_url=f"sqlite:///{tmp_path}/l%3F.db").ledger_url == f"sqlite:///{tmp_path}/l?.db"


def test_credentials_lie_beside_the_ledger(tmp_path: Path) -> None:
    assert settle(credentials_file=f"{tmp_path}/c").credentials_file == tmp_path / "c"
    assert settle(ledger_url=f"sqlite:///{tmp_path}/l.db").credentials_file == tmp_path / "credentials.json"
    in_meltano = settle({"MELTANO_PROJECT_ROOT": str(tmp_path)}).credentials_file
    assert in_meltano == tmp_path / ".meltano" / "target-pinterest-audience" / "credentials.json"
    by_default = settle().credentials_file
    assert by_default is not None
    assert by_default.parent.name == "target-pinterest-audience"
    assert settle(ledger_url="postgresql://host/database").credentials_file is None


def test_the_later_of_two_files_counts(tmp_path: Path) -> None:
    for name, values in (("a", {"x": 1, "y": 1}), ("b", {"y": 2})):
        (tmp_path / name).write_text(json.dumps(values))
    assert read_config_files((f"{tmp_path}/a", f"{tmp_path}/b")) == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"access_token": "s3cr3t', "is not JSON"),
        (b'["s3cr3t"]', "must contain a JSON object"),
        (b"\xff", "not UTF-8"),
        (b"[" * 200_000, "too deeply|is not JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_not_shown(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=words) as refused:
        read_config_files((str(path),))
    assert "s3cr3t" not in str(refused.value)


def test_the_environment_is_read_by_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{PREFIX}AD_ACCOUNT_ID=1\n{PREFIX}ACCESS_TOKEN='from file'\n")
    monkeypatch.setenv(f"{PREFIX}AD_ACCOUNT_ID", "2")
    monkeypatch.setenv(f"{PREFIX}CREATE_AUDIENCE", "False")
    monkeypatch.setenv(f"{PREFIX}MAX_RETRIES", "3")
    monkeypatch.setenv(f"{PREFIX}IDENTITY_COLUMNS", '{"user.email": "EMAIL"}')
    monkeypatch.setenv(f"{PREFIX}LOGLEVEL", "DEBUG")
    assert read_environment(config_jsonschema(), PREFIX, tmp_path) == {
        "ad_account_id": "2",
        "access_token": "from file",
        "create_audience": False,
        "identity_columns": {"user.email": "EMAIL"},
        "max_retries": 3,
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MAX_RETRIES", "`max_retries` in the environment must be a whole number"),
        ("DRY_RUN", "`dry_run` in the environment must be true or false"),
        ("STREAMS", "`streams` in the environment is not JSON"),
        ("CONSENT_COLUM", "Did you mean `consent_column`"),
    ],
)
def test_a_bad_variable_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, words: str
) -> None:
    monkeypatch.setenv(PREFIX + name, "s3cr3t")
    with pytest.raises(ConfigurationError, match=words) as refused:
        read_environment(config_jsonschema(), PREFIX, tmp_path)
    assert "s3cr3t" not in str(refused.value)


def test_addresses_for_alerts_can_be_a_list_or_its_json_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    addresses = ("json://host/one", "xml://host/two")
    assert settle().notify_urls == ()
    assert settle(notify_urls=list(addresses)).notify_urls == addresses
    assert settle(notify_urls=json.dumps(addresses)).notify_urls == addresses
    monkeypatch.setenv(f"{PREFIX}NOTIFY_URLS", json.dumps(addresses))
    assert settle(**read_environment(config_jsonschema(), PREFIX, tmp_path)).notify_urls == addresses
    assert set(addresses) <= set(settle(notify_urls=list(addresses)).secrets)
