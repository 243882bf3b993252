"""Werkzeug's threaded server, extended to reset connections on demand and to stop at once."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from typing_extensions import override
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from target_pinterest_audience.emulator.errors import DropConnection

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

_POLL_SECONDS: Final = 0.02  # how often the accepting thread checks whether to stop
_JOIN_SECONDS: Final = 5
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 seconds


class HttpServer(ThreadedWSGIServer):
    """Serves each connection in a thread of its own, until `stop`."""

    daemon_threads = True

    def __init__(self, host: str, port: int, application: WSGIApplication, *, verbose: bool) -> None:
        """Listen, and start to accept connections.

        Args:
            host: an IP address.
            port: the port to listen on; 0 for any that is free.
            application: answers the requests; it raises `DropConnection` to reset the connection.
            verbose: whether to log every request to stderr.

        Raises:
            OSError: it cannot listen on the address.
        """
        self.verbose: Final = verbose
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._to_reset: set[socket.socket] = set()
        self._lock: Final = threading.Lock()
        # The socket is created here, because Werkzeug itself ends the process when a port is taken.
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128
        )
        with listening:
            super().__init__(host, listening.getsockname()[1], application, handler=_Handler, fd=listening.fileno())
        self._acceptor = threading.Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), name="emulator", daemon=True
        )
        self._acceptor.start()

    def stop(self) -> None:
        """Close everything, cut off the answers in flight, and wait until every thread has ended."""
        self.shutdown()
        self._acceptor.join()
        self.server_close()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections.values():
            with suppress(OSError):  # its thread has just closed it, or the client has
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections:
            thread.join(_JOIN_SECONDS)

    def reset_on_close(self, connection: socket.socket) -> None:
        """Close a connection with RST instead of FIN when it ends."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        with self._lock:
            self._to_reset.add(connection)

    @override
    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        thread = threading.current_thread()
        with self._lock:
            self._connections[thread] = _stream(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                del self._connections[thread]

    @override
    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        with self._lock:
            resets = request in self._to_reset
            self._to_reset.discard(_stream(request))
        if resets:
            # The base class sends FIN first, which the client would read as an orderly end.
            self.close_request(request)
        else:
            super().shutdown_request(request)


class _Handler(WSGIRequestHandler):
    """Serves one connection; logs requests only if the server is verbose."""

    protocol_version = "HTTP/1.1"

    server: HttpServer

    @override
    def connection_dropped(self, error: BaseException, environ: WSGIEnvironment | None = None) -> None:
        if isinstance(error, DropConnection):
            self.server.reset_on_close(self.connection)
        self.close_connection = True

    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if self.server.verbose:
            super().log_request(code, size)


def _stream(request: socket.socket | tuple[bytes, socket.socket]) -> socket.socket:
    """Return the socket of a connection. The tuple in the base class's annotation is for datagrams."""
    return request[1] if isinstance(request, tuple) else request
