"""What can go wrong with a request, one class for each thing that can be done about it."""

from __future__ import annotations

from target_pinterest_audience.errors import TargetError


class PinterestError(TargetError):
    """A request did not succeed.

    Attributes:
        status: the HTTP status; None if there was no answer.
        code: Pinterest's own code from the body, as far as there is one.
        unanswered: whether an attempt of the request got no clear answer, so that it may still be carried out.
    """

    exit_code = 4
    unanswered = False

    def __init__(self, message: str, *, status: int | None = None, code: int | None = None) -> None:
        """Note what is known of the answer."""
        super().__init__(message)
        self.status = status
        self.code = code


class UnavailableError(PinterestError):
    """Try again later: no answer, half an answer, or one of the 500s."""


class OutcomeUnclearError(UnavailableError):
    """Look before trying again: a request that creates something may or may not have been carried out."""


class ClosedError(PinterestError):
    """The run is over, so that nothing more is sent."""


class UntrustedError(PinterestError):
    """Look at the network: whoever answered could not prove to be Pinterest, and no retry changes that."""


class MisroutedError(PinterestError):
    """Correct how this machine reaches the network: no request leaves it, and no retry changes that."""

    exit_code = 2


class RateLimitedError(PinterestError):
    """Wait.

    Attributes:
        wait_seconds: how long, from the answer's headers; None if they do not say.
    """

    def __init__(self, message: str, *, wait_seconds: float | None, code: int | None = None) -> None:
        """Note how long to wait."""
        super().__init__(message, status=429, code=code)
        self.wait_seconds = wait_seconds


class TokenExpiredError(PinterestError):
    """Renew the access token: it is unknown, revoked or too old (401, code 2)."""

    exit_code = 3


class NotPermittedError(PinterestError):
    """Ask a person: the app, the token or the person behind it may not do this, and no retry changes that."""

    exit_code = 3


class NotFoundError(PinterestError):
    """Check the id: there is no such thing in this ad account."""

    exit_code = 2


class RefusedError(PinterestError):
    """Change the request: Pinterest understood it and does not take it."""

    exit_code = 5
