"""Over the network as it is: certificates, private authorities, proxies, redirects, and who we say we are."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.conftest import ACCOUNT, TOKEN, Run, command, environment
from tests.messages import people, schema, state

STREAM = "".join(json.dumps(message) + "\n" for message in [schema("email"), *people(range(5)), state(1)]).encode()


class Pinterest(ThreadingHTTPServer):
    """As much of Pinterest as one run needs, over TLS; or a place that sends everybody on."""

    daemon_threads = True

    def __init__(self, certificate: trustme.LeafCert | None = None, redirect_to: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.headers_seen: list[dict[str, str]] = []
        self.redirect_to = redirect_to
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}/v5"


class _Handler(BaseHTTPRequestHandler):
    server: Pinterest

    def do_GET(self) -> None:
        self._answer({"items": [], "bookmark": None})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"id": "1", "name": "customers", "exceptions": {}})

    def do_PATCH(self) -> None:
        self.do_POST()

    def _answer(self, value: dict[str, Any]) -> None:
        self.server.headers_seen.append(dict(self.headers))
        body = json.dumps(value).encode()
        self.send_response(307 if self.server.redirect_to else 200)
        if self.server.redirect_to:
            self.send_header("Location", self.server.redirect_to)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class Proxy(socketserver.ThreadingTCPServer):
    """Connects to where it is asked to, and remembers where that was."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Tunnel(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        verb, place, _ = self.rfile.readline().decode().split()
        while self.rfile.readline().strip():
            pass
        self.server.asked.append(f"{verb} {place}")
        host, port = place.split(":")
        with socket.create_connection((host, int(port))) as there:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            ways = {self.connection: there, there: self.connection}
            while True:
                for ready in select.select(list(ways), [], [])[0]:
                    block = ready.recv(65_536)
                    if not block:
                        return
                    ways[ready].sendall(block)


@contextlib.contextmanager
def serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def pinterest(authority: trustme.CA) -> Iterator[Pinterest]:
    with serving(Pinterest(authority.issue_cert("127.0.0.1"))) as server:
        yield server


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def run(url: str, folder: Path, **variables: str) -> Run:
    config = {
        "ad_account_id": ACCOUNT, "access_token": TOKEN, "api_url": url, "load_method": "append-only",
        "create_audience": False, "max_retries": 1, "initial_backoff_ms": 1, "connect_timeout_seconds": 5,
        "ledger_url": f"sqlite:///{folder}/ledger.db",
    }  # fmt: skip
    done = subprocess.run(
        command(config, folder), input=STREAM, capture_output=True, check=False, timeout=60,
        env=environment(**{"NO_PROXY": "", "no_proxy": "", **variables}),
    )  # fmt: skip
    return Run(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_private_authority_is_trusted_if_it_is_given(pinterest: Pinterest, bundle: str, tmp_path: Path) -> None:
    done = run(pinterest.url, tmp_path, REQUESTS_CA_BUNDLE=bundle)
    assert done.code == 0, done.stderr
    assert done.states == [state(1)["value"]]


@pytest.mark.parametrize("name", ["127.0.0.1", "pinterest.example"])
def test_a_certificate_that_is_not_trusted_or_of_another_host_ends_the_run(
    authority: trustme.CA, bundle: str, tmp_path: Path, name: str
) -> None:
    variables = {"REQUESTS_CA_BUNDLE": bundle} if name == "pinterest.example" else {}
    with serving(Pinterest(authority.issue_cert(name))) as server:
        done = run(server.url, tmp_path, **variables)
        assert server.headers_seen == []
    assert done.code == 4
    assert "certificate" in done.stderr
    assert "REQUESTS_CA_BUNDLE" in done.stderr
    assert done.stderr.count("Waiting") == 0
    assert done.states == []


def test_a_proxy_is_used_and_the_exceptions_to_it_are_kept(pinterest: Pinterest, bundle: str, tmp_path: Path) -> None:
    with serving(Proxy()) as proxy:
        done = run(pinterest.url, tmp_path, REQUESTS_CA_BUNDLE=bundle, HTTPS_PROXY=proxy.url)
        assert done.code == 0, done.stderr
        assert set(proxy.asked) == {f"CONNECT 127.0.0.1:{pinterest.server_address[1]}"}
        proxy.asked.clear()
        done = run(
            pinterest.url, tmp_path, REQUESTS_CA_BUNDLE=bundle, HTTPS_PROXY=proxy.url, NO_PROXY="127.0.0.1",
            no_proxy="127.0.0.1",
        )  # fmt: skip
        assert done.code == 0, done.stderr
        assert proxy.asked == []


def test_a_redirect_takes_the_token_nowhere(tmp_path: Path) -> None:
    with serving(Pinterest()) as elsewhere, serving(Pinterest(redirect_to=elsewhere.url)) as server:
        done = run(server.url, tmp_path)
        assert done.code == 4
        assert server.headers_seen
        assert elsewhere.headers_seen == []
        assert TOKEN not in done.stderr


def test_requests_say_who_they_come_from(tmp_path: Path) -> None:
    with serving(Pinterest()) as server:
        assert run(server.url, tmp_path).code == 0
        agents = {headers["User-Agent"] for headers in server.headers_seen}
        assert {headers["Authorization"] for headers in server.headers_seen} == {f"Bearer {TOKEN}"}
    assert agents == {f"target-pinterest-audience/{version('target-pinterest-audience')}"}


def test_plain_http_stays_on_this_machine(tmp_path: Path) -> None:
    done = run("http://pinterest.example/v5", tmp_path)
    assert done.code == 2
    assert "`api_url`" in done.stderr
