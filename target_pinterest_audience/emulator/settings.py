"""The options of the emulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypedDict

# The bounds of page_size are those of Pinterest's API description 5.23; the others follow from the meaning.
_BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "creation_status": (200, 201),
    "match_percent": (0, 100),
    "page_size_limit": (1, 250),
    "latency_ms": (0, float("inf")),
    "processing_seconds": (0, float("inf")),
    "audience_minimum": (0, float("inf")),
    "access_token_lifetime_seconds": (0, float("inf")),
    "refresh_token_lifetime_seconds": (0, float("inf")),
    "code_lifetime_seconds": (0, float("inf")),
    "ads_read_per_minute": (0, float("inf")),
    "ads_write_per_minute": (0, float("inf")),
    "org_read_per_minute": (0, float("inf")),
}

_DAY_SECONDS: Final = 86_400

Counting: TypeAlias = Literal["received", "changed"]
HalfRows: TypeAlias = Literal["kept", "shortened", "removed"]
ResetForm: TypeAlias = Literal["seconds", "milliseconds", "epoch", "window", "absent"]
UploadsAccess: TypeAlias = Literal["absent", "restricted", "open"]

_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "counters": ("received", "changed"),
    "half_rows": ("kept", "shortened", "removed"),
    "rate_limit_reset": ("seconds", "milliseconds", "epoch", "window", "absent"),
    "uploads": ("absent", "restricted", "open"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of an emulator; each has a default that suits a test.

    Attributes:
        access_token: the Bearer token that works from the start.
        restricted_tokens: Bearer tokens that are known but get 401 code 3.
        application_tokens: Bearer tokens of an application without a person (client credentials); operations that need
            a person's sign-in answer them with 403 code 3.
        client_id: the application's id, for the token endpoint.
        client_secret: the application's secret, for the token endpoint.
        redirect_uris: the application's redirect links; the consent page accepts exactly these, or, if there are none,
            any on the loopback interface.
        code_lifetime_seconds: how long a code from the consent page works; it works once. Pinterest's lifetime is not
            known; RFC 6749 recommends ten minutes at most.
        refresh_token: the refresh token that works from the start.
        revoke_old_refresh_token: whether a refresh token works only once. Whether Pinterest's does is not known.
        renew_refresh_token: whether an exchange of a refresh token returns a new one.
        revoke_all_on_reuse: whether a revoked refresh token that comes again revokes all others, as RFC 9700 advises.
            What Pinterest does is not known.
        access_token_lifetime_seconds: how long an access token works; Pinterest's works for 30 days.
        refresh_token_lifetime_seconds: how long a refresh token works; Pinterest's works for 60 days.
        ad_account_id: the one ad account that exists.
        ad_account_name: its name.
        permissions: the business access roles of the account.
        forbidden_ad_account_ids: accounts that exist but belong to someone else; calls on them get 403 code 29.
        creation_status: the status that answers a creation: 200, as in recorded live calls, or 201, which API
            description 5.28 allows as well.
        is_nca_everywhere: whether every answer about a list has `is_nca`, as API description 5.28 allows. Recorded live
            calls have it in the listing only.
        latency_ms: the least duration of every call, in milliseconds.
        page_size_limit: the largest page that is returned, whatever `page_size` asks for; a correct client follows the
            bookmarks and does not notice.
        processing_seconds: how long after its last update a list stays PROCESSING, and an audience INITIALIZING.
        match_percent: the share of a list's members that count as matched, rounded down.
        audience_minimum: an audience on a list with fewer matched members is refused with 400; 0 refuses none.
        counters: whether a list's counters count the values that were `received`, as recorded live calls show for
            additions of new values, or only those that `changed` the list.
        half_rows: what a removal does that names only some fields of a row of `records_v2`: the row is `kept`, or
            `shortened` by these fields, or `removed`. What Pinterest does is not known.
        ignore_device_id_case: whether device ids that differ only in their case are one member.
        list_received_audiences: whether the listing without `ownership_type` has audiences that others share. API
            description 5.23 had the default OWNED, 5.28 has none.
        uploads: access to the uploads API: `absent` is 404; `restricted` is 403 code 3, as for other parts of the API
            that Pinterest opens to some apps only; `open` accepts uploads, but carries none out.
        rate_limit_reset: the form of `x-ratelimit-reset`: `seconds` or `milliseconds` until the reset, the Unix time
            of the reset (`epoch`), the length of the `window`, or `absent`. Clients that work read seconds.
        ads_read_per_minute: calls per minute in Pinterest's rate category of that name.
        ads_write_per_minute: calls per minute in Pinterest's rate category of that name.
        org_read_per_minute: calls per minute in Pinterest's rate category of that name.
        max_calls: how many of the newest calls are kept; None keeps all.

    Raises:
        ValueError: a number is out of its bounds, or a text is none of the choices; the message names the option.
    """

    access_token: str = "emulator-token"  # noqa: S105 - made up, opens nothing
    restricted_tokens: tuple[str, ...] = ()
    application_tokens: tuple[str, ...] = ()
    client_id: str = "emulator-app"
    client_secret: str = "emulator-secret"  # noqa: S105 - made up, opens nothing
    redirect_uris: tuple[str, ...] = ()
    code_lifetime_seconds: float = 600
    refresh_token: str = "emulator-refresh"  # noqa: S105 - made up, opens nothing
    revoke_old_refresh_token: bool = True
    renew_refresh_token: bool = True
    revoke_all_on_reuse: bool = False
    access_token_lifetime_seconds: float = 30 * _DAY_SECONDS
    refresh_token_lifetime_seconds: float = 60 * _DAY_SECONDS
    ad_account_id: str = "549755885175"
    ad_account_name: str = "Emulated ad account"
    permissions: tuple[str, ...] = ("OWNER",)
    forbidden_ad_account_ids: tuple[str, ...] = ()
    creation_status: int = 200
    is_nca_everywhere: bool = False
    latency_ms: float = 0
    page_size_limit: int = 250
    processing_seconds: float = 2.0
    match_percent: float = 100
    audience_minimum: int = 0
    counters: Counting = "received"
    half_rows: HalfRows = "kept"
    ignore_device_id_case: bool = False
    list_received_audiences: bool = True
    uploads: UploadsAccess = "absent"
    rate_limit_reset: ResetForm = "seconds"
    ads_read_per_minute: int = 1000
    ads_write_per_minute: int = 400
    org_read_per_minute: int = 1000
    max_calls: int | None = None

    def __post_init__(self) -> None:
        """Check that every number is within its bounds, and that every text is one of the choices."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                message = f"{name} must be one of {', '.join(choices)}"
                raise ValueError(message)
        for name, (least, most) in _BOUNDS.items():
            if not least <= getattr(self, name) <= most:
                message = f"{name} must be from {least:g} to {most:g}"
                raise ValueError(message)


class SettingsOptions(TypedDict, total=False):
    """The fields of `Settings` as keyword arguments, so that `Emulator(...)` takes them by name and type."""

    access_token: str
    restricted_tokens: tuple[str, ...]
    application_tokens: tuple[str, ...]
    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...]
    code_lifetime_seconds: float
    refresh_token: str
    revoke_old_refresh_token: bool
    renew_refresh_token: bool
    revoke_all_on_reuse: bool
    access_token_lifetime_seconds: float
    refresh_token_lifetime_seconds: float
    ad_account_id: str
    ad_account_name: str
    permissions: tuple[str, ...]
    forbidden_ad_account_ids: tuple[str, ...]
    creation_status: int
    is_nca_everywhere: bool
    latency_ms: float
    page_size_limit: int
    processing_seconds: float
    match_percent: float
    audience_minimum: int
    counters: Counting
    half_rows: HalfRows
    ignore_device_id_case: bool
    list_received_audiences: bool
    uploads: UploadsAccess
    rate_limit_reset: ResetForm
    ads_read_per_minute: int
    ads_write_per_minute: int
    org_read_per_minute: int
    max_calls: int | None
