"""A Pinterest that does next to nothing, so that only the client is measured: one ad account, one list, one audience.

server.py [LATENCY_MS]: how long each write takes. The first line on standard output is its address; `GET /writes` tells
how many writes there were.
"""

from __future__ import annotations

import json
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

_LIST = {
    "id": "1", "ad_account_id": "549755885175", "name": "customers", "status": "READY", "type": "customerlist",
    "created_time": 1, "updated_time": 1, "num_batches": 1, "num_removed_user_records": 0,
    "num_uploaded_user_records": 1, "exceptions": {},
}  # fmt: skip
_AUDIENCE = {
    "id": "2", "ad_account_id": "549755885175", "name": "customers", "audience_type": "CUSTOMER_LIST",
    "type": "audience", "rule": {"customer_list_id": "1"}, "status": "READY", "size": 100,
}  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are written apart: the second would wait 40 ms for the acknowledgement of the first.
    disable_nagle_algorithm = True
    writes = 0
    latency_seconds = 0.0

    def do_GET(self) -> None:
        if self.path == "/writes":
            self._answer({"writes": _Handler.writes})
        elif "/audiences" in self.path:
            self._answer({"items": [_AUDIENCE], "bookmark": None})
        elif self.path.split("?")[0].endswith("/customer_lists"):
            self._answer({"items": [_LIST], "bookmark": None})
        else:
            self._answer(_LIST)

    def do_PATCH(self) -> None:
        left = int(self.headers["Content-Length"])
        while left and (piece := self.rfile.read(min(left, 1 << 20))):
            left -= len(piece)
        time.sleep(self.latency_seconds)
        _Handler.writes += 1
        self._answer(_LIST)

    def do_POST(self) -> None:
        self.do_PATCH()

    def _answer(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def main() -> None:
    """Serve until the process is ended."""
    _Handler.latency_seconds = int(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0.0
    with _Server(("127.0.0.1", 0), _Handler) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}/v5\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
