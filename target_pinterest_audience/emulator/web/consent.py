"""The consent page, on which a person allows or denies an application access; Pinterest's is at `/oauth/` too."""

from __future__ import annotations

from html import escape
from typing import Final

from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from target_pinterest_audience.emulator.errors import ApiError
from target_pinterest_audience.emulator.state.authorization import AuthorizationRequest
from target_pinterest_audience.emulator.state.backend import Backend

_PATH: Final = "/oauth/"
_METHODS: Final = ("GET", "POST")

# Without this icon, a browser would request one from the API.
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Emulated Pinterest</title>
<link rel="icon" href="data:,">
<h1>Emulated Pinterest</h1>
<p>{words}</p>
{form}
</html>
"""
_FORM: Final = """<form method="post">
<button name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button>
</form>"""


class ConsentPage:
    """Asks a person for consent, and redirects the browser to the application with the answer."""

    def __init__(self, backend: Backend) -> None:
        """Serve the page for a backend."""
        self._backend = backend

    def owns(self, request: Request) -> bool:
        """Return whether a request is for this page, not for the API."""
        return request.path == _PATH and request.method in _METHODS

    def answer(self, request: Request) -> Response:
        """Show the page (GET), or handle the person's decision (POST). Both have the same query."""
        settings = self._backend.settings
        try:
            asked = AuthorizationRequest.of(request.args, settings)
        except ApiError as error:
            return _page(error.message, status=error.status)
        decision = request.form.get("decision")
        if request.method == "POST" and decision == "allow":
            return redirect(asked.answered("code", self._backend.authorize(asked)), 303)
        if request.method == "POST" and decision == "deny":
            # What Pinterest does is not known; this follows RFC 6749, section 4.1.2.1.
            return redirect(asked.answered("error", "access_denied"), 303)
        words = f"{settings.client_id} wants to use {settings.ad_account_name} with the scopes {asked.scope}."
        return _page(words, form=_FORM)


def _page(words: str, *, form: str = "", status: int = 200) -> Response:
    page = _PAGE.format(words=escape(words), form=form)
    return Response(page, status=status, content_type="text/html; charset=utf-8")
