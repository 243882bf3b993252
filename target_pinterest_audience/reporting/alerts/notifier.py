"""Sends a message to the addresses of `notify_urls`, by apprise: within a time limit, and without a word of them."""

from __future__ import annotations

import contextlib
import logging
import queue
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.text.redaction import hide

if TYPE_CHECKING:
    from apprise import NotifyBase

SEND_SECONDS: Final = 5.0
"""How long all addresses together may take."""

_THREAD: Final = "notify"

_LONG_PIECE: Final = 10
"""From how many characters on a piece of an address is taken for a secret."""


class Receipt(NamedTuple):
    """What came of one address.

    Attributes:
        number: its place in `notify_urls`, from 1.
        scheme: how it begins, such as `slack`; the rest of it is secret.
        taken: whether the receiver took the message.
        seconds: how long that took.
    """

    number: int
    scheme: str
    taken: bool
    seconds: float


class Notifier:
    """Sends messages to addresses that were checked."""

    def __init__(self, urls: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        """Check the addresses; nothing is sent yet.

        Args:
            urls: the addresses, as apprise understands them.
            clock: seconds that only ever grow.

        Raises:
            ConfigurationError: apprise is not installed, or does not understand an address.
        """
        self._clock = clock
        hide(secret for url in urls for secret in secrets_of(url))
        _keep_quiet()
        with warnings.catch_warnings():
            # Of apprise's own parts, such as one that a later Python lacks.
            warnings.simplefilter("ignore")
            self._receivers = [(scheme_of(url), _receiver(number, url)) for number, url in enumerate(urls, 1)]

    def send(self, title: str, text: str, seconds: float = SEND_SECONDS) -> list[Receipt]:
        """Send a message to all addresses at once.

        Args:
            title: one line.
            text: the rest, as plain text.
            seconds: how long to wait for all of them together. Who has not answered by then has not taken it; the
                attempt goes on in the background as long as the process does, and keeps nobody from ending it.

        Returns:
            What came of each, in their order.
        """
        # Requests warns of certificates that an address says not to check, and names the host.
        warnings.simplefilter("ignore")
        _mute_handlers()
        begun = self._clock()
        answers: queue.SimpleQueue[Receipt] = queue.SimpleQueue()
        for number, (scheme, receiver) in enumerate(self._receivers, 1):

            def attempt(number: int = number, scheme: str = scheme, receiver: NotifyBase = receiver) -> None:
                taken = _notify(receiver, title, text)
                answers.put(Receipt(number, scheme, taken, self._clock() - begun))

            threading.Thread(target=attempt, name=f"{_THREAD}-{number}", daemon=True).start()
        receipts = {
            number: Receipt(number, scheme, taken=False, seconds=seconds)
            for number, (scheme, _) in enumerate(self._receivers, 1)
        }
        for receipt in self._arriving(answers, begun + seconds):
            receipts[receipt.number] = receipt
        return list(receipts.values())

    def _arriving(self, answers: queue.SimpleQueue[Receipt], deadline: float) -> Iterator[Receipt]:
        with contextlib.suppress(queue.Empty):
            for _ in self._receivers:
                yield answers.get(timeout=max(0.0, deadline - self._clock()))


def make_notifier(urls: Sequence[str]) -> Notifier | None:
    """Return what sends to addresses; None if there are none.

    Raises:
        ConfigurationError: the extra is not installed, or an address is none.
    """
    return Notifier(urls) if urls else None


def scheme_of(url: str) -> str:
    """Return the part of an address that is no secret."""
    scheme, found, _ = url.partition("://")
    return scheme.strip() if found else ""


def secrets_of(url: str) -> set[str]:
    """Return an address, and what of it may be secret by itself: user, password, path and parameters, piece by piece.

    Short pieces are left out, since they may be ordinary words; so is the host.
    """
    _, _, rest = url.partition("://")
    authority, *others = re.split(r"[/?&#]", rest)
    user, _, _ = authority.rpartition("@")
    pieces = {*user.split(":"), *(piece for other in others for piece in other.split("="))}
    long = {piece for piece in pieces if len(piece) >= _LONG_PIECE}
    return {url, rest or url, *long, *map(unquote, long)}


def _receiver(number: int, url: str) -> NotifyBase:
    """Return what reaches an address.

    Raises:
        ConfigurationError: see `Notifier`.
    """
    try:
        from apprise import Apprise  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        msg = (
            "`notify_urls` is set, and what sends alerts is not installed. Install target-pinterest-audience with the "
            "extra `notify`, or leave the setting out."
        )
        raise ConfigurationError(msg) from None
    receiver = Apprise.instantiate(url, suppress_exceptions=True)
    if receiver is None:
        msg = (
            f"Address {number} of `notify_urls` is none that apprise understands. Hold it against apprise's list of "
            "services."
        )
        raise ConfigurationError(msg)
    return receiver


def _notify(receiver: NotifyBase, title: str, text: str) -> bool:
    try:
        return bool(receiver.notify(body=text, title=title, notify_type="warning"))
    except Exception:  # noqa: BLE001 - a plugin may raise anything, and its message may name the address
        return False


def _keep_quiet() -> None:
    """Let apprise log nothing: its lines show addresses."""
    logger = logging.getLogger("apprise")
    logger.disabled = True
    logger.propagate = False


class _Mute(logging.Filter):
    """Keeps back what libraries log while they send: hosts, paths and parameters, at DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.threadName).startswith(f"{_THREAD}-")


def _mute_handlers() -> None:
    for logger in (logging.getLogger(), *logging.root.manager.loggerDict.values()):
        for handler in getattr(logger, "handlers", []):
            if not any(isinstance(each, _Mute) for each in handler.filters):
                handler.addFilter(_Mute())
