"""Which names and columns were likely meant for another."""

from __future__ import annotations

from typing import Any

import pytest

from target_pinterest_audience.routing.near_names import (
    as_written_for,
    nearest_column,
    nearly_names,
    resembles,
    suggestion,
)
from target_pinterest_audience.routing.wrong_names import hint_about


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("unsubscribes", "Unsubscribes"),
        ("UNSUBSCRIBES", "unsubscribes"),
        ("opt-outs", "opt_outs"),
        ("opt_outs", "optOuts"),
        ("crm.opt outs", "crm-opt_outs"),
        ("unsubscribes", "public-unsubscribes"),
        ("public-unsubscribes", "unsubscribes"),
        ("unsubscribes", "crm.Unsubscribes"),
        ("unsubscribes", "shop-public-unsubscribes"),
        ("public-unsubscribes", "shop-public-unsubscribes"),
        ("unsubscribes", "public_unsubscribes"),
        ("dbo_Unsubscribes", "unsubscribes"),
        ("unsub*", "Unsubscribes"),
        ("unsub*", "public-unsubscribes"),
        ("public-unsub*", "unsubscribes"),
        ("Public-*", "public_unsubscribes"),
    ],
)
def test_a_name_resembles_the_one_it_was_likely_meant_for(name: str, stream: str) -> None:
    assert resembles(name, stream)


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("unsubscribes", "subscribes"),
        ("customers", "old_customers"),
        ("shop-customers", "crm-customers"),
        ("custmers", "customers"),
        ("*_test", "latest"),
        ("public-*", "publications"),
        ("public-*", "users"),
        ("public-*s", "users"),
        ("*-*", "order_items"),
        ("[ab]_x", "cx"),
    ],
)
def test_a_name_does_not_resemble_another_stream(name: str, stream: str) -> None:
    assert not resembles(name, stream)


@pytest.mark.parametrize(
    ("name", "stream", "is_near"),
    [
        ("unsubscribes", "stg_unsubscribes", True),
        ("Unsubscribes", "unsubscribes_v2", True),
        ("unsubscribes", "unsubscribe", True),
        ("opt_out", "crm/public:Opt-Outs", True),
        ("unsubscribers", "subscribers", False),
        ("subscribes", "unsubscribes", False),
        ("unsubscribes", "customers", False),
        ("deleted_customers", "customers", False),
        ("unsub*", "stg_unsubscribes", False),
    ],
)
def test_a_name_that_is_a_part_of_the_other_nearly_names_it(name: str, stream: str, *, is_near: bool) -> None:
    assert nearly_names(name, stream) is is_near


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("Email Address", "EMAIL"), ("E-mail", "EMAIL"), ("E-Mail", "EMAIL"), ("emailAddress", "EMAIL"),
        ("customer_email", "EMAIL"), ("Email__c", "EMAIL"), ("contact__email", "EMAIL"), ("user_email", "EMAIL"),
        ("mail", "EMAIL"), ("user_e_mail", "EMAIL"), ("PersonEmail", "EMAIL"), ("email1", "EMAIL"),
        ("workemail", "EMAIL"), ("emailaddr", "EMAIL"), ("email_id", "EMAIL"), ("Hashed-Email", "EMAIL"),
        ("device_idfa", "IDFA"), ("IDFA__c", "IDFA"), ("user.gaid", "GAID"), ("Ramp-ID", "LR_ID"),
    ],
)  # fmt: skip
def test_a_column_that_looks_like_an_identity_is_found(column: str, kind: str) -> None:
    found = nearest_column({"id": {"type": "integer"}, "city": {}, column: {"type": ["null", "string"]}})
    assert found is not None
    assert (found.column, found.kind.name) == (column, kind)
    assert found.mapping() == f'{{"{column}": "{kind}"}}'


@pytest.mark.parametrize(
    ("column", "rules"),
    [
        ("email_sent_at", {}),
        ("email_verified", {"type": ["string", "null"]}),
        ("has_email", {}),
        ("email_opt_in", {}),
        ("last_email", {"type": "string", "format": "date-time"}),
        ("marketing_email", {"type": ["null", "boolean"]}),
        ("email_id", {"type": "integer"}),
        ("mailing_city", {"type": "string"}),
        ("voicemail", {"type": "string"}),
        ("contact_email", {"anyOf": [{"type": "object"}, {"type": "null"}]}),
    ],
)
def test_a_column_about_addresses_does_not_look_like_addresses(column: str, rules: dict[str, Any]) -> None:
    assert nearest_column({column: rules}) is None


def test_the_nearest_of_several_columns_is_found() -> None:
    columns: dict[str, dict[str, Any]] = {"device_idfa": {}, "billing_email": {}, "contact": {"format": "email"}}
    found = nearest_column(columns)
    assert found is not None
    assert found.column == "contact"
    exact = nearest_column({**columns, "EmailAddress": {"anyOf": [{"type": "string"}, {"type": "null"}]}})
    assert exact is not None
    assert exact.column == "EmailAddress"
    assert nearest_column({"device_idfa": {}}, addresses_only=True) is None
    assert nearest_column({"billing_email": {}}, {"billing_email", None}) is None


@pytest.mark.parametrize(
    ("name", "stream", "right"),
    [
        ("public_*", "public-a", "public-*"),
        ("Public_Un*", "public-unsubscribes", "public-un*"),
        ("public-*", "PUBLIC_A", "PUBLIC_*"),
        ("public_[a-c]*", "public.b", "public.[a-c]*"),
        ("public_a", "public-a", "public-a"),
        ("unsubs*", "public-unsubscribes", "public-unsubscribes"),
    ],
)
def test_a_pattern_is_advised_for_a_pattern(name: str, stream: str, right: str) -> None:
    assert as_written_for(name, stream) == right


TEXT: dict[str, Any] = {"type": ["null", "string"]}
ANY = {"type": ["string", "number", "integer", "array", "object", "boolean", "null"]}
OBJECT = {"type": ["object", "null"]}


def arrays(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["null", "array"], "items": items}


@pytest.mark.parametrize(
    ("columns", "holders", "path", "kind"),
    [
        ({"document": {**OBJECT, "additionalProperties": True}}, ("document",), "document.email", "EMAIL"),
        ({"document": OBJECT}, ("document",), "document.email", "EMAIL"),
        ({"data": ANY, "document": OBJECT}, ("document", "data"), "document.email", "EMAIL"),
        ({"data": {**ANY, "additionalProperties": True}}, ("data",), "data.email", "EMAIL"),
        ({"properties": {"additionalProperties": True}}, ("properties",), "properties.email", "EMAIL"),
        ({"customer": {"$ref": "#/definitions/customer"}}, ("customer",), "customer.email", "EMAIL"),
        ({"a": {"anyOf": [OBJECT, {"type": "null"}]}}, ("a",), "a.email", "EMAIL"),
        ({"a": {**OBJECT, "properties": {"b": OBJECT}}}, ("a.b",), "a.b.email", "EMAIL"),
        ({"contacts": arrays(OBJECT)}, ("contacts[]",), "contacts[].email", "EMAIL"),
        ({"email": OBJECT}, ("email",), "email.value", "EMAIL"),
        ({"phone": OBJECT}, ("phone",), "phone.value", "PHONE"),
    ],
)
def test_objects_that_the_schema_leaves_open_give_an_example_of_a_path(
    columns: dict[str, Any], holders: tuple[str, ...], path: str, kind: str
) -> None:
    found = suggestion({"id": {"type": "integer"}, "city": TEXT, "untyped": {}, **columns})
    assert found is not None
    assert (found.holders, found.column, found.kind.name) == (holders, path, kind)


def test_a_column_that_looks_like_an_identity_comes_before_open_objects() -> None:
    found = suggestion({"document": OBJECT, "login_email": TEXT})
    assert found is not None
    assert (found.column, found.holders) == ("login_email", ())
    assert suggestion({"id": {}, "city": TEXT, "closed": {**OBJECT, "properties": {"city": TEXT}}}) is None


@pytest.mark.parametrize(
    ("columns", "path"),
    [
        ({"phones": arrays({**OBJECT, "properties": {"type": TEXT, "number": TEXT}})}, "phones[].number"),
        ({"mobile": {**OBJECT, "properties": {"value": TEXT}}}, "mobile.value"),
        ({"phone_numbers": arrays(TEXT)}, "phone_numbers[]"),
        ({"phone_numbers": arrays({"type": "integer"})}, "phone_numbers[]"),
    ],
)
def test_nested_phone_numbers_are_found(columns: dict[str, Any], path: str) -> None:
    found = nearest_column({"id": {"type": "integer"}, **columns})
    assert found is not None
    assert (found.column, found.kind.name) == (path, "PHONE")


@pytest.mark.parametrize(
    ("name", "columns", "words"),
    [
        ("Email Adress", {"Email Address": TEXT}, "It has Email Address, which may be meant."),
        ("customer.mail", {"customer": {**OBJECT, "properties": {"email": TEXT}}}, "customer.email, which may"),
        ("contact_email", {"contactEmail": TEXT}, "It has contactEmail: a name must be exact."),
        ("emails[0]", {"emails": arrays(TEXT)}, "It has emails[]: a name must be exact."),
        ("emails[][]", {"emails": arrays(arrays(TEXT))}, "does not take arrays in arrays apart"),
        ("data.email", {"data": TEXT}, "data is declared as text, so data.email is not in it."),
        ("a.b.email", {"a": {**OBJECT, "properties": {"b": {"type": "integer"}}}}, "a.b is declared as integer, so"),
        ("shoe_size", {"city": TEXT}, ""),
        ("document.x", {"document": {**OBJECT, "properties": {"city": TEXT}}}, ""),
    ],
)
def test_what_is_wrong_with_a_name_is_told(name: str, columns: dict[str, Any], words: str) -> None:
    hint = hint_about(name, {"id": {"type": "integer"}, **columns})
    assert words in hint
    assert bool(hint) == bool(words)


def test_a_suggestion_leaves_out_the_name_that_was_meant_for_it() -> None:
    found = nearest_column({"emails": arrays(TEXT)})
    assert found is not None
    kind = found.kind
    assert found.mapping({"emails[0]": kind, "Emails": kind, "idfa": kind}) == '{"idfa": "EMAIL", "emails[]": "EMAIL"}'
