"""Sends messages to the addresses of `notify_urls` with apprise, within a time limit and without logging an address."""

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
"""The time limit for all addresses together."""

_THREAD: Final = "notify"

_LONG_PIECE: Final = 10
"""A piece of an address with at least this many characters is treated as a secret."""


class SendResult(NamedTuple):
    """The result of sending a message to one address.

    Attributes:
        number: the position of the address in `notify_urls`, from 1.
        scheme: the scheme of the address, such as `slack`; the rest of it is secret.
        taken: whether the receiver accepted the message.
        seconds: how long that took.
    """

    number: int
    scheme: str
    taken: bool
    seconds: float


class Notifier:
    """Sends messages to a fixed set of addresses."""

    def __init__(self, urls: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        """Check the addresses; nothing is sent yet.

        Args:
            urls: addresses in the form of apprise.
            clock: monotonic time in seconds.

        Raises:
            ConfigurationError: apprise is not installed, or does not support an address.
        """
        self._clock = clock
        hide(secret for url in urls for secret in secrets_of(url))
        _keep_quiet()
        with warnings.catch_warnings():
            # Parts of apprise itself cause warnings, for example by modules that later versions of Python drop.
            warnings.simplefilter("ignore")
            self._receivers = [(scheme_of(url), _receiver(number, url)) for number, url in enumerate(urls, 1)]

    def send(self, title: str, text: str, seconds: float = SEND_SECONDS) -> list[SendResult]:
        """Send a message to all addresses at once.

        Args:
            title: one line.
            text: the rest, as plain text.
            seconds: how long to wait for all addresses together. An address that has not answered by then counts as
                failed. The attempt goes on in the background, but does not keep the process from ending.

        Returns:
            The result for each address, in their order.
        """
        # If an address turns off certificate checks, urllib3 warns of that and names the host.
        warnings.simplefilter("ignore")
        _mute_handlers()
        begun = self._clock()
        answers: queue.SimpleQueue[SendResult] = queue.SimpleQueue()
        for number, (scheme, receiver) in enumerate(self._receivers, 1):

            def attempt(number: int = number, scheme: str = scheme, receiver: NotifyBase = receiver) -> None:
                taken = _notify(receiver, title, text)
                answers.put(SendResult(number, scheme, taken, self._clock() - begun))

            threading.Thread(target=attempt, name=f"{_THREAD}-{number}", daemon=True).start()
        receipts = {
            number: SendResult(number, scheme, taken=False, seconds=seconds)
            for number, (scheme, _) in enumerate(self._receivers, 1)
        }
        for receipt in self._arriving(answers, begun + seconds):
            receipts[receipt.number] = receipt
        return list(receipts.values())

    def _arriving(self, answers: queue.SimpleQueue[SendResult], deadline: float) -> Iterator[SendResult]:
        with contextlib.suppress(queue.Empty):
            for _ in self._receivers:
                yield answers.get(timeout=max(0.0, deadline - self._clock()))


def make_notifier(urls: Sequence[str]) -> Notifier | None:
    """Return a notifier for addresses; None if there are none.

    Raises:
        ConfigurationError: apprise is not installed, or does not support an address.
    """
    return Notifier(urls) if urls else None


def scheme_of(url: str) -> str:
    """Return the scheme of an address, which is its only part that is not secret."""
    scheme, found, _ = url.partition("://")
    return scheme.strip() if found else ""


def secrets_of(url: str) -> set[str]:
    """Return an address, and those of its parts that may be secrets: user, password, path and parameters.

    The host is left out, and so are short parts, because they may be ordinary words.
    """
    _, _, rest = url.partition("://")
    authority, *others = re.split(r"[/?&#]", rest)
    user, _, _ = authority.rpartition("@")
    pieces = {*user.split(":"), *(piece for other in others for piece in other.split("="))}
    long = {piece for piece in pieces if len(piece) >= _LONG_PIECE}
    return {url, rest or url, *long, *map(unquote, long)}


def _receiver(number: int, url: str) -> NotifyBase:
    """Return apprise's object for an address.

    Raises:
        ConfigurationError: apprise is not installed, or does not support the address.
    """
    try:
        from apprise import Apprise  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        msg = (
            "`notify_urls` is set, but apprise, which sends the alerts, is not installed. Install "
            "target-pinterest-audience with the extra `notify`, or remove the setting."
        )
        raise ConfigurationError(msg) from None
    receiver = Apprise.instantiate(url, suppress_exceptions=True)
    if receiver is None:
        msg = f"Apprise does not support address {number} of `notify_urls`. Compare it with apprise's list of services."
        raise ConfigurationError(msg)
    return receiver


def _notify(receiver: NotifyBase, title: str, text: str) -> bool:
    try:
        return bool(receiver.notify(body=text, title=title, notify_type="warning"))
    except Exception:  # noqa: BLE001 - a plugin may raise anything, and its message may name the address
        return False


def _keep_quiet() -> None:
    """Turn off apprise's log, because its lines show addresses."""
    logger = logging.getLogger("apprise")
    logger.disabled = True
    logger.propagate = False


class _Mute(logging.Filter):
    """Drops what libraries log at DEBUG while they send: hosts, paths and parameters."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.threadName).startswith(f"{_THREAD}-")


def _mute_handlers() -> None:
    for logger in (logging.getLogger(), *logging.root.manager.loggerDict.values()):
        for handler in getattr(logger, "handlers", []):
            if not any(isinstance(each, _Mute) for each in handler.filters):
                handler.addFilter(_Mute())
