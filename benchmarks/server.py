"""A minimal Pinterest, so that measurements show the cost of the client: one ad account, lists, and one audience.

server.py [LATENCY_MS [LISTS]]: the duration of each write, and how many lists named `segment 0`, `segment 1` and so on
exist from the start, besides the list `1`. The first line on standard output is its API address. `GET /writes` returns
how many writes it got. Every POST creates another list.
"""

from __future__ import annotations

import json
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any, ClassVar

_AUDIENCE = {
    "id": "2", "ad_account_id": "549755885175", "name": "customers", "audience_type": "CUSTOMER_LIST",
    "type": "audience", "rule": {"customer_list_id": "1"}, "status": "READY", "size": 100,
}  # fmt: skip


def _new_list(list_id: str, name: str) -> dict[str, Any]:
    return {
        "id": list_id, "ad_account_id": "549755885175", "name": name, "status": "READY", "type": "customerlist",
        "created_time": 1, "updated_time": 1, "num_batches": 1, "num_removed_user_records": 0,
        "num_uploaded_user_records": 1, "exceptions": {},
    }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes; with Nagle's algorithm, the second would wait 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    lock = Lock()
    lists: ClassVar = {"1": _new_list("1", "customers")}
    writes = 0
    latency_seconds = 0.0

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/writes":
            self._answer({"writes": _Handler.writes})
        elif path.endswith("/customer_lists"):
            with _Handler.lock:
                lists = list(_Handler.lists.values())
            self._answer({"items": lists, "bookmark": None})
        elif "/customer_lists/" in path:
            self._answer(self._list())
        else:
            self._answer({"items": [_AUDIENCE], "bookmark": None})

    def do_PATCH(self) -> None:
        left = int(self.headers["Content-Length"])
        while left and (piece := self.rfile.read(min(left, 1 << 20))):
            left -= len(piece)
        self._count_write()
        self._answer(self._list())

    def do_POST(self) -> None:
        name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["name"]
        self._count_write()
        with _Handler.lock:
            list_id = str(len(_Handler.lists) + 1)
            created = _Handler.lists[list_id] = _new_list(list_id, name)
        self._answer(created)

    def _list(self) -> dict[str, Any]:
        return _Handler.lists[self.path.split("?")[0].rpartition("/")[2]]

    def _count_write(self) -> None:
        time.sleep(self.latency_seconds)
        with _Handler.lock:
            _Handler.writes += 1

    def _answer(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def main() -> None:
    """Serve until the process is stopped."""
    latency_ms, lists, *_ = *map(int, sys.argv[1:]), 0, 0
    _Handler.latency_seconds = latency_ms / 1000
    for number in range(lists):
        list_id = str(number + 2)
        _Handler.lists[list_id] = _new_list(list_id, f"segment {number}")
    with _Server(("127.0.0.1", 0), _Handler) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}/v5\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
