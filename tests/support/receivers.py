"""Receivers of alerts on this machine: one that takes them, and ones that do not."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """An HTTP server that keeps what it is sent.

    Attributes:
        messages: the bodies that came as JSON, in their order.
        status: what it answers.
        hangs: whether it answers only once it is released.
        released: set once what hangs may be answered.
    """

    def __init__(self) -> None:
        """Begin to listen."""
        self.messages: list[dict[str, Any]] = []
        self.status = 200
        self.hangs = False
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.messages.append(json.loads(body))
                if outer.hangs:
                    # A byte now and then keeps any time-out of a single read from ending it.
                    self.send_response(200)
                    self.flush_headers()
                    with contextlib.suppress(OSError):
                        while not outer.released.wait(0.5):
                            self.wfile.write(b"X-Slow: 1\r\n")
                    return
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def listening() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()
