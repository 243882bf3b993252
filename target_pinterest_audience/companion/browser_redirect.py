"""How a browser's answer reaches a command: by a server on the loopback interface, or pasted by a person."""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import select
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from typing_extensions import override

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.errors import NotPermittedError
from target_pinterest_audience.text.urls import is_loopback

_LOCALHOST: Final = ("127.0.0.1", "::1")
"""What browsers take `localhost` for, whichever of them answers first."""

_NO_SUCH_ADDRESS: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_HTTP_PORT: Final = 80
_POLL_SECONDS: Final = 0.1
_IDLE_SECONDS: Final = 10.0
_BLOCK_BYTES: Final = 4096

_PAGE: Final = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>pinterest-audience login</title>
<link rel="icon" href="data:,">
<p>Pinterest's answer has arrived. Close this page: the terminal tells how the sign-in ended.</p>
</html>
"""

_FOREIGN_PAGE: Final = _PAGE.replace(
    b"Pinterest's answer has arrived. Close this page: the terminal tells how the sign-in ended.",
    b"This answer does not belong to the sign-in under way and was not used. Open the address that the terminal shows.",
)

Wait = Callable[[float], str]
"""Waits for so many seconds at most, and returns the address that the browser was sent to.

Raises:
    NotPermittedError: it did not come in time.
"""

Belongs = Callable[[str], bool]
"""Tells whether the query of an address answers this very sign-in."""


def can_listen(redirect_uri: str) -> bool:
    """Tell whether a browser that is sent to an address can be received here: by http, on the loopback interface."""
    parts = urlsplit(redirect_uri)
    return parts.scheme == "http" and is_loopback(parts)


@contextlib.contextmanager
def listening(redirect_uri: str, belongs: Belongs) -> Iterator[Wait]:
    """Listen at a redirect address of which `can_listen` is true.

    Args:
        redirect_uri: the address.
        belongs: tells the answer that is waited for from what any other page can have a browser send.

    Raises:
        ConfigurationError: the port cannot be had.
    """
    parts = urlsplit(redirect_uri)
    host = parts.hostname or ""
    inbox = _Inbox(parts, belongs)

    def wait(seconds: float) -> str:
        try:
            return inbox.arrived.get(timeout=seconds)
        except queue.Empty:
            foreign = (
                " What came did not belong to this sign-in (its state differs), so it was not used: it was the answer "
                "to an earlier call, or somebody tried to sign you in elsewhere."
            )
            msg = (
                f"{_too_late(redirect_uri, seconds)} If the browser is on another machine, use --no-browser."
                f"{foreign if inbox.refused.is_set() else ''}"
            )
            raise NotPermittedError(msg) from None

    with contextlib.ExitStack() as stack:
        for number, address in enumerate(_LOCALHOST if host == "localhost" else (host,)):
            server = _server(address, inbox, optional=number > 0)
            if server is not None:
                stack.enter_context(server)
                threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True).start()
                stack.callback(server.shutdown)
        yield wait


def pasted(redirect_uri: str, descriptor: int, tell: Callable[[str], None], seconds: float) -> str:
    """Wait until a person pastes the address that the browser was sent to.

    Args:
        redirect_uri: what the address must begin with; anything else is asked for again.
        descriptor: what it is pasted into, such as standard input's.
        tell: tells the person that something was wrong.
        seconds: how long to wait.

    Raises:
        NotPermittedError: it did not come in time.
        ConfigurationError: nothing more can come.
    """
    try:
        for line in _lines(descriptor, time.monotonic() + seconds):
            if _is_answer(line.strip(), redirect_uri):
                return line.strip()
            tell(f"This is not the address: it begins with {redirect_uri} and has `code=` or `error=` in it.")
    except TimeoutError:
        raise NotPermittedError(_too_late(redirect_uri, seconds)) from None
    msg = "The standard input ended before the address was pasted, so nobody was signed in. Call again, in a terminal."
    raise ConfigurationError(msg)


def _too_late(redirect_uri: str, seconds: float) -> str:
    return (
        f"Nobody allowed the access within {seconds:.0f} s. Call `pinterest-audience login` again. If Pinterest's page "
        f"complained of the redirect address, add {redirect_uri} to the app's redirect links, exactly so."
    )


def _is_answer(address: str, redirect_uri: str) -> bool:
    """Tell whether an address is the redirect address with an answer."""
    try:
        given, expected = urlsplit(address), urlsplit(redirect_uri)
    except ValueError:
        return False
    place = (given.scheme, given.netloc.lower(), given.path or "/")
    return place == (expected.scheme, expected.netloc.lower(), expected.path or "/") and _answers(given.query)


def _comes_here(host: str | None, origin: str | None) -> bool:
    """Return whether the request names this server, and not a web page's host that resolves to this address."""
    try:
        named = [urlsplit(address) for address in (f"//{host}" if host is not None else None, origin) if address]
        return all(map(is_loopback, named))
    except ValueError:
        return False


def _answers(query: str) -> bool:
    return not {"code", "error"}.isdisjoint(parse_qs(query))


def _lines(descriptor: int, deadline: float) -> Iterator[str]:
    """Yield lines as they come.

    Not by `input`, which cannot be given up; and a thread in it would keep the process from ending.

    Raises:
        TimeoutError: the next is not there by the deadline, in seconds of the clock that only ever grows.
    """
    held = b""
    while True:
        left = max(deadline - time.monotonic(), 0)
        if not select.select([descriptor], [], [], left)[0]:
            raise TimeoutError
        block = os.read(descriptor, _BLOCK_BYTES)
        *whole, held = (held + block).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
        if not block:
            if held:
                yield held.decode(errors="replace")
            return


class _Inbox:
    """Where answers arrive.

    Attributes:
        expected: the redirect address.
        belongs: see `listening`.
        arrived: the addresses that a browser was sent to with the answer that is waited for.
        refused: whether another sign-in's answer came.
    """

    def __init__(self, expected: SplitResult, belongs: Belongs) -> None:
        self.expected = expected
        self.belongs = belongs
        self.arrived: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.refused = threading.Event()


def _server(host: str, inbox: _Inbox, *, optional: bool) -> _Server | None:
    """Listen on one address of the loopback interface.

    Returns:
        The server; None if the machine has no such address and need not have it.

    Raises:
        ConfigurationError: the port cannot be had.
    """
    port = inbox.expected.port or _HTTP_PORT
    try:
        return _Server(host, port, inbox)
    except OSError as error:
        if optional and error.errno in _NO_SUCH_ADDRESS:
            return None
        reason = "another program has it" if error.errno == errno.EADDRINUSE else error.strerror
        msg = (
            f"Port {port}, to which the browser comes back, cannot be listened on ({reason}). End that program; or use "
            "--no-browser and paste the address; or give the app a redirect link with another port, and name it with "
            "--redirect-uri."
        )
        raise ConfigurationError(msg) from None


class _Server(socketserver.ThreadingTCPServer):
    """Receives the browser. It has threads, since browsers open connections in advance and leave them idle."""

    daemon_threads = True
    # A connection that was closed a moment ago would keep the port.
    allow_reuse_address = True

    def __init__(self, host: str, port: int, inbox: _Inbox) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be listened on.
        """
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.inbox = inbox
        super().__init__((host, port), _Handler)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that hangs up early is no news, and the base class prints a traceback."""


class _Handler(BaseHTTPRequestHandler):
    """Serves one connection."""

    timeout = _IDLE_SECONDS
    server: _Server

    def do_GET(self) -> None:
        """Take the answer, and nothing else: browsers ask for icons, too, and for whatever any page tells them to."""
        inbox, asked = self.server.inbox, urlsplit(self.path)
        expected = inbox.expected
        if not _comes_here(self.headers.get("Host"), self.headers.get("Origin")):
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        if asked.path != (expected.path or "/") or not _answers(asked.query):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        belongs = inbox.belongs(asked.query)
        page = _PAGE if belongs else _FOREIGN_PAGE
        self.send_response(HTTPStatus.OK if belongs else HTTPStatus.BAD_REQUEST)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(page))),
            # The address has the code in it.
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page)
        if belongs:
            inbox.arrived.put(expected._replace(query=asked.query).geturl())
        else:
            inbox.refused.set()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the request line has the code in it."""
