"""The questions about the refresh token. Every new token is stored, as a run does, before anything else is sent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

from target_pinterest_audience.companion.probe.findings import Findings, Sure
from target_pinterest_audience.pinterest.errors import NotPermittedError, RefusedError, TokenExpiredError
from target_pinterest_audience.pinterest.models import Tokens
from target_pinterest_audience.pinterest.token_store import NoTokenStore
from target_pinterest_audience.pinterest.tokens import SignIn, exchange_and_keep, exchange_newest
from target_pinterest_audience.system.token_store import TokenStore

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.transport import Transport

_SECONDS_PER_DAY = 86_400


class StoredSignIn(NamedTuple):
    """How to exchange refresh tokens.

    Attributes:
        transport: sends token requests.
        store: stores the newest refresh token.
        sign_in: the OAuth settings.
        shield: delays signals while a token is exchanged and stored.
    """

    transport: Transport
    store: TokenStore
    sign_in: SignIn
    shield: Callable[[], AbstractContextManager[None]]


def ask_rotation(stored: StoredSignIn | None, findings: Findings, *, reuse: bool) -> None:
    """Refresh the sign-in once and, if asked to, try the old refresh token.

    Args:
        stored: how to exchange refresh tokens; None if the settings name no app.
        findings: the findings so far.
        reuse: whether to try the old refresh token. A server may revoke the whole sign-in then (RFC 9700, section
            4.14.2).

    Raises:
        ConfigurationError: the new token cannot be stored.
        NotPermittedError: Pinterest does not accept the refresh token; or not the new one, after the old one was tried.
        PinterestError: a request failed otherwise.
    """
    obstacle = _obstacle(stored)
    if stored is None or obstacle is not None:
        for key in ("refresh_rotation", "old_refresh_token"):
            findings.add(key, Sure.NOT_ASKED, obstacle or "")
        return
    with stored.store.exclusive():
        tokens, old = exchange_newest(*stored)
        _note_rotation(findings, tokens, old)
        if tokens.new_refresh_token in {None, old}:
            findings.add("old_refresh_token", Sure.NOT_ASKED, "The refresh returned no new token.")
        elif not reuse:
            answer = "Trying it could end the sign-in. To ask, pass --reuse-refresh-token."
            findings.add("old_refresh_token", Sure.NOT_ASKED, answer)
        else:
            _try_old(stored, findings, old)


def _obstacle(stored: StoredSignIn | None) -> str | None:
    """Return why there is no refresh token to exchange, or no place for the next one; None if nothing is missing."""
    if stored is None:
        return "The settings have no `client_id` and `client_secret`."
    if isinstance(stored.store, NoTokenStore):
        return "There is no place to store a new refresh token."
    if stored.store.newest(stored.sign_in.origin) is None and stored.sign_in.refresh_token is None:
        return "Nobody has signed in with these settings."
    return None


def _note_rotation(findings: Findings, tokens: Tokens, old: str) -> None:
    is_new = tokens.new_refresh_token not in {None, old}
    evidence = [
        {
            "request": "POST oauth/token, refresh_token",
            "refresh_token": "new" if is_new else "same" if tokens.new_refresh_token else "absent",
            "access_token_days": _days(tokens.expires_in),
            "refresh_token_days": _days(tokens.refresh_token_expires_in),
        }
    ]
    same = "No: it returns the same one." if tokens.new_refresh_token else "No: the response has none."
    findings.add("refresh_rotation", Sure.SEEN, "Yes." if is_new else same, evidence)


def _days(seconds: object) -> float | None:
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    return round(seconds / _SECONDS_PER_DAY, 1) if is_number else None  # type: ignore[operator] # checked


def _try_old(stored: StoredSignIn, findings: Findings, old: str) -> None:
    """Exchange the old refresh token; if it is refused, exchange the new one to see whether it still works."""
    transport, store, sign_in, shield = stored
    try:
        exchange_and_keep(transport, store, sign_in, old, shield)
    except (RefusedError, TokenExpiredError, NotPermittedError) as refused:
        http = f"HTTP {refused.status}, code {refused.code}"
        evidence = [{"request": "POST oauth/token, the old refresh_token", "status": refused.status}]
        try:
            exchange_newest(*stored)
        except NotPermittedError:
            answer = f"No ({http}), and trying it has ended the sign-in."
            findings.add("old_refresh_token", Sure.SEEN, answer, evidence)
            msg = (
                "Pinterest has ended the sign-in, because its old refresh token was tried. Run `pinterest-audience "
                "login` again with the same configuration. The report has the answer."
            )
            raise NotPermittedError(msg) from None
        findings.add("old_refresh_token", Sure.SEEN, f"No ({http}). The new one still works.", evidence)
        return
    evidence = [{"request": "POST oauth/token, the old refresh_token", "status": 200}]
    findings.add("old_refresh_token", Sure.SEEN, "Yes.", evidence)
