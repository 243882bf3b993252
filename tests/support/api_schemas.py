"""The facts of Pinterest's API description that the tests hold bodies against, as JSON Schema in our own words.

Types, required fields, enumerations, patterns and lengths are those of version 5.23.0, with the fields that came by
5.28.0. Objects are closed where the description is open: neither our requests nor the emulator's answers may have a
field that Pinterest does not have. `status` in an error and `is_ctv_enabled` are what only recorded live answers show.
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_NUMBER: Final[Schema] = {"type": "number"}
_INTEGER: Final[Schema] = {"type": "integer"}
_FLAG: Final[Schema] = {"type": "boolean"}
_ID: Final[Schema] = {"type": "string", "pattern": "^[0-9]+$"}
_SHORT_ID: Final[Schema] = {**_ID, "maxLength": 18}


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _closed(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _page_of(item: Schema) -> Schema:
    return _closed(("items",), items={"type": "array", "items": item}, bookmark=_nullable(_TEXT))


_ROLES: Final = (
    "OWNER",
    "ADMIN",
    "ANALYST",
    "SOS_READER",
    "FINANCE_MANAGER",
    "FINANCE_VIEW",
    "FINANCE_EDIT",
    "AUDIENCE_MANAGER",
    "CAMPAIGN_MANAGER",
    "CATALOGS_MANAGER",
    "RESTRICTED_OWNER",
    "PROFILE_MANAGER",
    "PROFILE_PUBLISHER",
    "RESOURCE_PINNER_LIST_OWNER",
    "RESOURCE_PINNER_LIST_READER",
    "BIZ_PINNER_LIST_SHARER",
    "RESOURCE_CONVERSION_TAGS_READER",
)

ERROR: Final = _closed(("code", "message"), code=_INTEGER, message=_TEXT, status={"const": "failure"})

AD_ACCOUNT: Final = _closed(
    ("id",),
    id=_SHORT_ID,
    name={"type": "string", "maxLength": 256},
    country={"type": "string", "pattern": "^[A-Z]{2}$"},
    currency={"type": "string", "pattern": "^[A-Z]{3}$"},
    owner=_closed(id=_TEXT, username=_TEXT),
    permissions={"type": "array", "items": _one_of(*_ROLES)},
    created_time=_nullable(_INTEGER),
    updated_time=_nullable(_INTEGER),
)

CUSTOMER_LIST: Final = _closed(
    ("id", "name"),
    id=_SHORT_ID,
    name=_TEXT,
    ad_account_id=_TEXT,
    created_time=_NUMBER,
    updated_time=_NUMBER,
    exceptions={"type": "object"},
    num_batches=_NUMBER,
    num_removed_user_records=_NUMBER,
    num_uploaded_user_records=_NUMBER,
    status=_one_of("PROCESSING", "READY", "TOO_SMALL", "UPLOADING"),
    type={"const": "customerlist"},
    is_nca=_FLAG,
)

_RECORD_ROW: Final = _closed(
    email=_TEXT,
    maid=_TEXT,
    hashed_phone_number=_TEXT,
    hashed_pinner_id=_TEXT,
    external_id=_TEXT,
    ip_address=_TEXT,
    user_agent=_TEXT,
    liveramp_envelope=_TEXT,
)
_ROWS: Final[Schema] = {"type": "array", "items": _RECORD_ROW}
_EITHER_RECORDS: Final[Schema] = {"oneOf": [{"required": ["records"]}, {"required": ["records_v2"]}]}

CUSTOMER_LIST_CREATE: Final[Schema] = {
    **_closed(
        ("name",),
        name=_TEXT,
        list_type=_one_of("EMAIL", "IDFA", "MAID", "LR_ID", "DLX_ID", "HASHED_PINNER_ID"),
        records=_TEXT,
        records_v2=_ROWS,
        is_nca=_FLAG,
    ),
    **_EITHER_RECORDS,
}

CUSTOMER_LIST_UPDATE: Final[Schema] = {
    **_closed(("operation_type",), operation_type=_one_of("ADD", "REMOVE"), records=_TEXT, records_v2=_ROWS),
    **_EITHER_RECORDS,
}

_ONE_OR_MORE: Final[Schema] = {"anyOf": [_ID, {"type": "array", "items": _ID}]}
# The description knows two dozen more fields of a rule, for audiences of other types.
_RULE: Final[Schema] = {
    "anyOf": [
        _closed(("customer_list_id",), customer_list_id=_ID),
        _closed(
            ("seed_id", "country", "percentage"),
            seed_id=_ONE_OR_MORE,
            country=_TEXT,
            percentage={"anyOf": [{**_INTEGER, "minimum": 1, "maximum": 10}, _one_of(*map(str, range(1, 11)))]},
        ),
        _closed(("visitor_source_id",), visitor_source_id=_ONE_OR_MORE, retention_days=_INTEGER),
    ]
}
_AUDIENCE_TYPE: Final = _one_of("CUSTOMER_LIST", "VISITOR", "ENGAGEMENT", "ACTALIKE", "PERSONA")

AUDIENCE: Final = _closed(
    id=_ID,
    ad_account_id=_ID,
    name=_TEXT,
    description=_nullable(_TEXT),
    audience_type=_TEXT,
    rule=_RULE,
    size=_nullable(_INTEGER),
    status=_one_of(
        "INITIALIZING", "READY", "TOO_SMALL", "ELIGIBLE", "PERSONAS_INELIGIBLE_SIZE", "PERSONAS_INITIALIZING"
    ),
    type={"const": "audience"},
    created_timestamp=_nullable(_INTEGER),
    updated_timestamp=_nullable(_INTEGER),
    created_by_company_name=_nullable(_TEXT),
    is_nca=_FLAG,
    is_ctv_enabled=_FLAG,
)

AUDIENCE_CREATE: Final = _closed(
    ("audience_type", "name", "rule"),
    audience_type=_AUDIENCE_TYPE,
    name=_TEXT,
    rule=_RULE,
    description=_TEXT,
    ad_account_id=_ID,
)

AUDIENCE_UPDATE: Final = _closed(
    operation_type=_one_of("UPDATE", "REMOVE"),
    name=_TEXT,
    rule=_RULE,
    description=_TEXT,
    ad_account_id=_ID,
)

_IDS: Final[Schema] = {"type": "array", "items": _ID}
_ENTITY_STATUS: Final = _one_of("ACTIVE", "PAUSED", "ARCHIVED", "DRAFT", "DELETED_DRAFT")

# The description knows dozens more fields of an ad group and of a campaign, which say nothing of audiences.
AD_GROUP: Final = _closed(
    ("id",),
    id=_ID,
    ad_account_id=_ID,
    campaign_id=_nullable(_ID),
    name=_TEXT,
    status=_ENTITY_STATUS,
    targeting_spec=_nullable(_closed(AUDIENCE_INCLUDE=_IDS, AUDIENCE_EXCLUDE=_IDS)),
    customer_segment_id=_nullable(_ID),
    type={"const": "adgroup"},
)

CAMPAIGN: Final = _closed(
    ("id",),
    id=_ID,
    ad_account_id=_ID,
    name=_TEXT,
    status=_ENTITY_STATUS,
    performance_plus_campaign_settings=_nullable(_closed(pinner_list_exclusions=_IDS)),
    type={"const": "campaign"},
)

SEGMENT: Final = _closed(
    ("name", "audience_ids"),
    id=_ID,
    ad_account_id=_ID,
    name=_TEXT,
    audience_ids=_IDS,
    status=_one_of("ACTIVE", "DELETED"),
    created_time=_INTEGER,
    updated_time=_INTEGER,
)

SEGMENT_CREATE: Final = _closed(("name", "audience_ids"), name=_TEXT, audience_ids=_IDS)

SEGMENT_UPDATE: Final = _closed(
    ("id", "operation_type"), id=_ID, operation_type=_one_of("UPDATE", "REMOVE"), audience_ids=_IDS
)

UPLOAD_CREATE: Final = _closed(
    ("operation", "total_parts"),
    operation=_one_of("ADD", "REMOVE"),
    total_parts={**_INTEGER, "minimum": 1, "maximum": 10},
)

UPLOAD_CREATED: Final = _closed(
    ("customer_list_upload", "s3_multipart_upload_data"),
    customer_list_upload=_closed(
        ("ad_account_id", "creation_time", "customer_list_id", "id", "operation", "state", "updated_time"),
        ad_account_id=_ID,
        creation_time=_INTEGER,
        customer_list_id=_ID,
        error_counts=_nullable({"type": "array"}),
        id=_ID,
        operation=_one_of("ADD", "REMOVE"),
        record_counts=_nullable({"type": "object"}),
        state=_one_of("NOT_STARTED", "RUNNING", "PAUSED", "SUCCEEDED", "FAILED"),
        updated_time=_INTEGER,
    ),
    s3_multipart_upload_data=_closed(
        ("file_parts",),
        file_parts={"type": "array", "items": _closed(part_number=_INTEGER, presigned_url=_TEXT)},
    ),
)

_REFRESH_REQUEST: Final = _closed(
    ("grant_type", "refresh_token"),
    grant_type={"const": "refresh_token"},
    refresh_token=_TEXT,
    scope=_TEXT,
    continuous_refresh=_TEXT,
)
_CODE_REQUEST: Final = _closed(
    ("grant_type", "code", "redirect_uri"),
    grant_type={"const": "authorization_code"},
    code=_TEXT,
    redirect_uri=_TEXT,
    continuous_refresh=_TEXT,
)
TOKEN_REQUEST: Final[Schema] = {
    # One after the other, so that a violation names the field.
    "if": {"properties": {"grant_type": {"const": "authorization_code"}}},
    "then": _CODE_REQUEST,
    "else": _REFRESH_REQUEST,
}

TOKEN_RESPONSE: Final = _closed(
    (
        "access_token",
        "token_type",
        "expires_in",
        "scope",
        "refresh_token",
        "refresh_token_expires_in",
        "refresh_token_expires_at",
    ),
    access_token=_TEXT,
    token_type=_TEXT,
    expires_in=_INTEGER,
    scope=_TEXT,
    response_type=_one_of("authorization_code", "refresh_token", "client_credentials"),
    refresh_token=_TEXT,
    refresh_token_expires_in=_INTEGER,
    refresh_token_expires_at=_INTEGER,
)

# Query parameters are strings on the wire.
_BOOKMARK: Final[Schema] = {"type": "string", "minLength": 1}
_PAGE_SIZE: Final[Schema] = {"type": "string", "pattern": "^([1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|250)$"}
_ORDER: Final = _one_of("ASCENDING", "DESCENDING")
_BOOLEAN: Final = _one_of("true", "false")

_NO_QUERY: Final = _closed()
_PAGE_QUERY: Final = _closed(bookmark=_BOOKMARK, page_size=_PAGE_SIZE, include_shared_accounts=_BOOLEAN)
_LISTS_QUERY: Final = _closed(bookmark=_BOOKMARK, page_size=_PAGE_SIZE, order=_ORDER, exclude_nca=_BOOLEAN)
_AUDIENCES_QUERY: Final = _closed(
    bookmark=_BOOKMARK,
    page_size=_PAGE_SIZE,
    order=_ORDER,
    exclude_nca=_BOOLEAN,
    ownership_type=_one_of("OWNED", "RECEIVED"),
)
_ENTITIES_QUERY: Final = _closed(
    bookmark=_BOOKMARK, page_size=_PAGE_SIZE, order=_ORDER, entity_statuses=_ENTITY_STATUS, campaign_ids=_ID
)
_SEGMENTS_QUERY: Final = _closed(
    bookmark=_BOOKMARK, page_size=_PAGE_SIZE, order=_ORDER, include_sizing=_BOOLEAN, search_query=_TEXT
)

_ACCOUNT_PATH: Final = "/v5/ad_accounts/[0-9]{1,18}"
_LISTS_PATH: Final = f"{_ACCOUNT_PATH}/customer_lists"
_AUDIENCES_PATH: Final = f"{_ACCOUNT_PATH}/audiences"
_SEGMENTS_PATH: Final = f"{_ACCOUNT_PATH}/customer_segments"
_ONE: Final = "/[0-9]{1,18}"

# Method, the whole path as a regular expression, query, request body (None: has none), body of a success.
OPERATIONS: Final[tuple[tuple[str, str, Schema, Schema | None, Schema], ...]] = (
    ("POST", "/v5/oauth/token", _NO_QUERY, TOKEN_REQUEST, TOKEN_RESPONSE),
    ("GET", "/v5/ad_accounts", _PAGE_QUERY, None, _page_of(AD_ACCOUNT)),
    ("GET", _ACCOUNT_PATH, _NO_QUERY, None, AD_ACCOUNT),
    ("GET", _LISTS_PATH, _LISTS_QUERY, None, _page_of(CUSTOMER_LIST)),
    ("POST", _LISTS_PATH, _NO_QUERY, CUSTOMER_LIST_CREATE, CUSTOMER_LIST),
    ("GET", _LISTS_PATH + _ONE, _NO_QUERY, None, CUSTOMER_LIST),
    ("PATCH", _LISTS_PATH + _ONE, _NO_QUERY, CUSTOMER_LIST_UPDATE, CUSTOMER_LIST),
    ("POST", f"{_LISTS_PATH}{_ONE}/uploads", _NO_QUERY, UPLOAD_CREATE, UPLOAD_CREATED),
    ("GET", _AUDIENCES_PATH, _AUDIENCES_QUERY, None, _page_of(AUDIENCE)),
    ("POST", _AUDIENCES_PATH, _NO_QUERY, AUDIENCE_CREATE, AUDIENCE),
    ("GET", _AUDIENCES_PATH + _ONE, _NO_QUERY, None, AUDIENCE),
    ("PATCH", _AUDIENCES_PATH + _ONE, _NO_QUERY, AUDIENCE_UPDATE, AUDIENCE),
    ("GET", _SEGMENTS_PATH, _SEGMENTS_QUERY, None, _page_of(SEGMENT)),
    ("POST", _SEGMENTS_PATH, _NO_QUERY, SEGMENT_CREATE, SEGMENT),
    ("PATCH", _SEGMENTS_PATH, _NO_QUERY, SEGMENT_UPDATE, {"type": "null"}),
    ("GET", f"{_ACCOUNT_PATH}/ad_groups", _ENTITIES_QUERY, None, _page_of(AD_GROUP)),
    ("GET", f"{_ACCOUNT_PATH}/campaigns", _ENTITIES_QUERY, None, _page_of(CAMPAIGN)),
)
