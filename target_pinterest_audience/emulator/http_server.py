"""An HTTP/1.1 server for one WSGI application: keep-alive, a thread per connection, and connections it can reset.

Werkzeug's development server closes every connection after one answer; this one, on the standard library's, does not.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase, BytesIO
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from typing_extensions import override

from target_pinterest_audience.emulator.errors import DropConnection

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

_POLL_SECONDS: Final = 0.02  # how long a stop may go unnoticed by the thread that accepts
_JOIN_SECONDS: Final = 5
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 seconds


class HttpServer(socketserver.TCPServer):
    """Accepts connections and gives each a thread, which `stop` ends."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, application: WSGIApplication, *, verbose: bool) -> None:
        """Listen, and begin to accept.

        Args:
            host: an IP address.
            port: 0 for any that is free.
            application: answers the requests; it may raise `DropConnection` to have the connection reset.
            verbose: whether to log every request to stderr.

        Raises:
            OSError: the address cannot be listened on.
        """
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.application: Final = application
        self.verbose: Final = verbose
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._to_reset: set[socket.socket] = set()
        self._lock: Final = threading.Lock()
        super().__init__((host, port), _Handler)
        self._acceptor = threading.Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), name="emulator", daemon=True
        )
        self._acceptor.start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.socket.getsockname()[1])

    def stop(self) -> None:
        """Close everything, cutting off the answers under way. Returns when every thread has ended."""
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
        """Have a connection end with RST instead of FIN."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        with self._lock:
            self._to_reset.add(connection)

    @override
    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        thread = threading.Thread(target=self._serve, args=(request, client_address), daemon=True)
        with self._lock:
            self._connections[thread] = _stream(request)
        thread.start()

    def _serve(self, connection: socket.socket, client_address: object) -> None:
        """Serve a connection until its end."""
        try:
            self.finish_request(connection, client_address)
        except ConnectionError:
            return  # the client went away, as clients do
        finally:
            self.shutdown_request(connection)
            with self._lock:
                del self._connections[threading.current_thread()]

    @override
    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        with self._lock:
            resets = request in self._to_reset
            self._to_reset.discard(_stream(request))
        if resets:
            # The usual way sends FIN first, and the client would read an orderly end.
            self.close_request(request)
        else:
            super().shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    """Reads requests from one connection, and writes what the application answers."""

    protocol_version = "HTTP/1.1"
    # Head and body leave together, and none waits for an acknowledgement: otherwise up to 40 ms are lost per call.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    server: HttpServer

    def _respond(self) -> None:
        """Serve one request; whatever the method, the application decides."""
        try:
            body = self._body()
        except ValueError:
            self.send_error(400)
            return
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _exc_info: object = None, /
        ) -> Callable[[bytes], object]:
            started.append((status, headers))
            return self.wfile.write

        try:
            content = b"".join(self.server.application(self._environ(body), start_response))
        except DropConnection:
            self.server.reset_on_close(self.connection)
            self.close_connection = True
            return
        status, headers = started[-1]
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    # The base class looks a method's handler up by these names.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _respond  # noqa: N815 - see above

    def _body(self) -> bytes:
        """Return the body, all of it: what stayed unread would be taken for the next request.

        Raises:
            ValueError: the framing is broken.
        """
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(iter(lambda: _chunk(self.rfile), b""))
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _environ(self, body: bytes) -> WSGIEnvironment:
        """Return the request as WSGI has it (PEP 3333)."""
        path, _, query = self.path.partition("?")
        host, port = self.server.server_address[:2]
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": str(host),
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        # How the body was framed is the server's business: the application gets it whole, with its length.
        del self.headers["Transfer-Encoding"]
        for name, value in self.headers.items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        return environ

    @override
    def log_message(self, format: str, *args: object) -> None:
        if self.server.verbose:
            super().log_message(format, *args)


def _stream(request: socket.socket | tuple[bytes, socket.socket]) -> socket.socket:
    """Return the socket of a connection; the tuple in the base's annotation is for datagrams."""
    return request[1] if isinstance(request, tuple) else request


def _chunk(source: BufferedIOBase) -> bytes:
    """Read one chunk of a chunked body (RFC 9112, section 7.1); the last one is empty.

    Raises:
        ValueError: this is no chunk.
    """
    length = int(source.readline(1024).partition(b";")[0], 16)
    content = source.read(length)
    if len(content) != length or source.readline(1024).strip():
        message = "a chunk does not end where it said"
        raise ValueError(message)
    return content
