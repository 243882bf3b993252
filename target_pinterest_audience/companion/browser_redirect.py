"""Receives the redirect at the end of a sign-in: by a server on the loopback interface, or pasted by the person."""

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
"""The addresses of `localhost`; browsers use the one that responds first."""

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
<p>Pinterest's response has arrived. Close this page; the terminal shows whether the sign-in succeeded.</p>
</html>
"""

_FOREIGN_PAGE: Final = _PAGE.replace(
    b"Pinterest's response has arrived. Close this page; the terminal shows whether the sign-in succeeded.",
    b"This response does not belong to the current sign-in and was not used. Open the address in the terminal.",
)

Wait = Callable[[float], str]
"""Waits for at most so many seconds, and returns the address that the browser was redirected to.

Raises:
    NotPermittedError: the redirect did not come in time.
"""

Belongs = Callable[[str], bool]
"""Returns whether the query of an address is the response to this sign-in."""


def can_listen(redirect_uri: str) -> bool:
    """Return whether this process can serve a redirect address: by http, on the loopback interface."""
    parts = urlsplit(redirect_uri)
    return parts.scheme == "http" and is_loopback(parts)


@contextlib.contextmanager
def listening(redirect_uri: str, belongs: Belongs) -> Iterator[Wait]:
    """Listen at a redirect address for which `can_listen` is true.

    Args:
        redirect_uri: the address.
        belongs: recognises the response to this sign-in: any web page can make a browser send requests.

    Raises:
        ConfigurationError: the port cannot be used.
    """
    parts = urlsplit(redirect_uri)
    host = parts.hostname or ""
    inbox = _Inbox(parts, belongs)

    def wait(seconds: float) -> str:
        try:
            return inbox.arrived.get(timeout=seconds)
        except queue.Empty:
            foreign = (
                " A response with another state was ignored: it belongs to an earlier sign-in, or someone "
                "tried to sign you in to another account."
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


def pasted(redirect_uri: str, descriptor: int, prompt: Callable[[str], None], seconds: float) -> str:
    """Wait until the person pastes the address that the browser was redirected to.

    Args:
        redirect_uri: the beginning of the address; any other line is rejected.
        descriptor: the file descriptor to read from, such as that of standard input.
        prompt: prints a text for the person.
        seconds: how long to wait.

    Raises:
        NotPermittedError: the address did not come in time.
        ConfigurationError: the input ended.
    """
    try:
        for line in _lines(descriptor, time.monotonic() + seconds):
            if _is_answer(line.strip(), redirect_uri):
                return line.strip()
            prompt(f"This is not the address. It begins with {redirect_uri} and contains `code=` or `error=`.")
    except TimeoutError:
        raise NotPermittedError(_too_late(redirect_uri, seconds)) from None
    msg = "Standard input ended before the address was pasted, so you are not signed in. Try again in a terminal."
    raise ConfigurationError(msg)


def _too_late(redirect_uri: str, seconds: float) -> str:
    return (
        f"The access was not allowed within {seconds:.0f} s. Run `pinterest-audience login` again. If Pinterest's page "
        f"rejected the redirect address, add exactly {redirect_uri} to the app's redirect links."
    )


def _is_answer(address: str, redirect_uri: str) -> bool:
    """Return whether an address is the redirect address with a response in its query."""
    try:
        given, expected = urlsplit(address), urlsplit(redirect_uri)
    except ValueError:
        return False
    place = (given.scheme, given.netloc.lower(), given.path or "/")
    return place == (expected.scheme, expected.netloc.lower(), expected.path or "/") and _answers(given.query)


def _is_for_this_server(host: str | None, origin: str | None) -> bool:
    """Return whether a request names the loopback interface, not the host of a web page that resolves to it."""
    try:
        named = [urlsplit(address) for address in (f"//{host}" if host is not None else None, origin) if address]
        return all(map(is_loopback, named))
    except ValueError:
        return False


def _answers(query: str) -> bool:
    return not {"code", "error"}.isdisjoint(parse_qs(query))


def _lines(descriptor: int, deadline: float) -> Iterator[str]:
    """Yield lines as they come.

    `input` cannot be used: it has no timeout, and a thread that waits in it would keep the process from ending.

    Args:
        descriptor: the file descriptor to read from.
        deadline: a monotonic time in seconds.

    Raises:
        TimeoutError: the next line did not come before the deadline.
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
    """Collects the responses that browsers bring.

    Attributes:
        expected: the redirect address.
        belongs: recognises the response to this sign-in.
        arrived: redirect addresses with the response to this sign-in.
        refused: whether the response to another sign-in came.
    """

    def __init__(self, expected: SplitResult, belongs: Belongs) -> None:
        self.expected = expected
        self.belongs = belongs
        self.arrived: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.refused = threading.Event()


def _server(host: str, inbox: _Inbox, *, optional: bool) -> _Server | None:
    """Listen on one address of the loopback interface.

    Returns:
        The server; None if the address is optional and the machine does not have it.

    Raises:
        ConfigurationError: the port cannot be used.
    """
    port = inbox.expected.port or _HTTP_PORT
    try:
        return _Server(host, port, inbox)
    except OSError as error:
        if optional and error.errno in _NO_SUCH_ADDRESS:
            return None
        reason = "another program uses it" if error.errno == errno.EADDRINUSE else error.strerror
        msg = (
            f"Port {port}, to which the browser is redirected, cannot be used ({reason}). Stop that program; or use "
            "--no-browser and paste the address; or add a redirect link with another port to the app, and give it with "
            "--redirect-uri."
        )
        raise ConfigurationError(msg) from None


class _Server(socketserver.ThreadingTCPServer):
    """Serves the redirect. It has threads, because browsers open connections in advance and leave them idle."""

    daemon_threads = True
    # A recently closed connection would block the port.
    allow_reuse_address = True

    def __init__(self, host: str, port: int, inbox: _Inbox) -> None:
        """Listen.

        Raises:
            OSError: the address or the port cannot be used.
        """
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.inbox = inbox
        super().__init__((host, port), _Handler)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: browsers may hang up early, and the base class prints a traceback for it."""


class _Handler(BaseHTTPRequestHandler):
    """Serves one connection."""

    timeout = _IDLE_SECONDS
    server: _Server

    def do_GET(self) -> None:
        """Accept only the response: browsers also request icons, and whatever any web page makes them request."""
        inbox, asked = self.server.inbox, urlsplit(self.path)
        expected = inbox.expected
        if not _is_for_this_server(self.headers.get("Host"), self.headers.get("Origin")):
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
