"""The errors of requests: one class for each remedy."""

from __future__ import annotations

from target_pinterest_audience.errors import TargetError


class PinterestError(TargetError):
    """A request failed.

    Attributes:
        status: the HTTP status; None if there was no response.
        code: Pinterest's own error code from the body; None if there was none.
        unanswered: whether an attempt of the request got no clear answer, so that Pinterest may still carry it out.
    """

    exit_code = 4
    unanswered = False

    def __init__(self, message: str, *, status: int | None = None, code: int | None = None) -> None:
        """Create it with what is known of the response."""
        super().__init__(message)
        self.status = status
        self.code = code


class UnavailableError(PinterestError):
    """No response, half a response, or a status of 500 or above. Try again later."""


class OutcomeUnclearError(UnavailableError):
    """Pinterest may or may not have carried out a request that creates something. Check before trying again."""


class ClosedError(PinterestError):
    """The run is over, so nothing more is sent."""


class UntrustedError(PinterestError):
    """The server could not prove to be Pinterest. Check the network: no retry helps."""


class MisroutedError(PinterestError):
    """A proxy or certificate setting of this machine is wrong, so no request leaves it. Correct it: no retry helps."""

    exit_code = 2


class RateLimitedError(PinterestError):
    """Pinterest limits the rate of requests. Wait.

    Attributes:
        wait_seconds: how long to wait, from the response's headers; None if they do not say.
    """

    def __init__(self, message: str, *, wait_seconds: float | None, code: int | None = None) -> None:
        """Create it with the time to wait."""
        super().__init__(message, status=429, code=code)
        self.wait_seconds = wait_seconds


class TokenExpiredError(PinterestError):
    """The access token is unknown, revoked or expired (401, code 2). Renew it."""

    exit_code = 3


class NotPermittedError(PinterestError):
    """The app, the token or the person who signed in lacks a permission. A person must act: no retry helps."""

    exit_code = 3


class RestrictedError(NotPermittedError):
    """Pinterest permits a part of the API only to some apps or ad accounts (code 3, "restricted feature")."""


class NotFoundError(PinterestError):
    """The ad account does not have a thing of this id. Check the id."""

    exit_code = 2


class RefusedError(PinterestError):
    """Pinterest understood the request and refused it. Change the request."""

    exit_code = 5
