"""The emulator: a backend that is served over HTTP on the loopback interface."""

from __future__ import annotations

import ipaddress
import random as random_module
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final

from typing_extensions import Self, Unpack

from target_pinterest_audience.emulator.errors import DropConnection
from target_pinterest_audience.emulator.settings import Settings, SettingsOptions
from target_pinterest_audience.emulator.state.backend import Backend

if TYPE_CHECKING:
    from target_pinterest_audience.emulator.web.http_server import HttpServer

DEFAULT_HOST: Final = "127.0.0.1"


class Emulator:
    """An emulator of Pinterest's API v5, from `with Emulator() as emulator:` to the end of the block.

    Attributes:
        backend: the state: lists, audiences, calls so far, and faults to come. It outlives `stop`.
    """

    def __init__(
        self,
        *,
        host: str = DEFAULT_HOST,
        port: int = 0,
        verbose: bool = False,
        clock: Callable[[], float] = time.time,
        random: random_module.Random | None = None,
        **settings: Unpack[SettingsOptions],
    ) -> None:
        """Prepare an emulator; `start` listens.

        Args:
            host: `localhost` or an address of the loopback interface.
            port: the port to listen on; 0 for any that is free.
            verbose: whether to log every request to stderr.
            clock: returns the Unix time in seconds, for everything except latency and delays.
            random: generates tokens and request ids; None for a generator that starts the same way each time.
            settings: the fields of `Settings`.

        Raises:
            ValueError: the host is not on the loopback interface, or a setting is out of its bounds.
        """
        self._host: Final = _loopback_address(host)
        self._port: Final = port
        self._verbose: Final = verbose
        self.backend: Final = Backend(Settings(**settings), clock=clock, random=random)
        self._stopping = threading.Event()
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        """The base URL of the API, e.g. `http://127.0.0.1:8080/v5`.

        Raises:
            RuntimeError: the emulator is not started.
        """
        if self._server is None:
            message = "the emulator is not started"
            raise RuntimeError(message)
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._server.port}/v5"

    def start(self) -> Self:
        """Listen, and answer calls in background threads.

        Returns:
            The emulator itself.

        Raises:
            ModuleNotFoundError: Werkzeug is not installed.
            OSError: it cannot listen on the address.
        """
        # Werkzeug comes with an extra; importing this module must work without it.
        from target_pinterest_audience.emulator.web.app import Application  # noqa: PLC0415 - for the reason above
        from target_pinterest_audience.emulator.web.http_server import HttpServer  # noqa: PLC0415 - for the reason above

        self._stopping = threading.Event()
        self._server = HttpServer(self._host, self._port, Application(self.backend, self._sleep), verbose=self._verbose)
        return self

    def stop(self) -> None:
        """Reset the calls in flight, close everything and wait for the threads. A second call does nothing."""
        self._stopping.set()
        self.backend.waits.end()
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _sleep(self, seconds: float) -> None:
        """Wait until the time is over or the faults are cleared.

        Raises:
            DropConnection: the emulator stops meanwhile.
        """
        self.backend.waits.wait(seconds, self._stopping.is_set)
        if self._stopping.is_set():
            raise DropConnection


def _loopback_address(host: str) -> str:
    """Return the address to listen on.

    Anyone who can reach the control endpoints can read what was uploaded, so only this machine may reach them.

    Raises:
        ValueError: the address is not on the loopback interface.
    """
    if host == "localhost":
        return DEFAULT_HOST
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        message = "The emulator listens on the loopback interface only. Give localhost, 127.0.0.1 or ::1."
        raise ValueError(message)
    return host
