"""Over the network as it is: certificates, private authorities, proxies, redirects, and who we say we are."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import trustme

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.errors import MisroutedError, UnavailableError
from target_pinterest_audience.pinterest.models import AdAccount
from target_pinterest_audience.pinterest.request import Bearer, Request
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.pinterest.route import route_to
from target_pinterest_audience.pinterest.transport import Transport
from tests.support.account import ACCOUNT, TOKEN
from tests.support.messages import people, schema, state
from tests.support.processes import Companion, Run, command, environment
from tests.support.zygote import shared_zygote

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
    env = environment(**{"NO_PROXY": "", "no_proxy": "", **variables})
    code, stdout, stderr = shared_zygote().run("target-pinterest-audience", command(config, folder)[3:], STREAM, env)
    return Run(code, stdout.decode(), stderr.decode())


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


def test_a_redirect_does_not_get_the_token(tmp_path: Path) -> None:
    with serving(Pinterest()) as elsewhere, serving(Pinterest(redirect_to=elsewhere.url)) as server:
        done = run(server.url, tmp_path)
        assert done.code == 4
        assert server.headers_seen
        assert elsewhere.headers_seen == []
        assert TOKEN not in done.stderr


def test_requests_name_the_program(tmp_path: Path) -> None:
    with serving(Pinterest()) as server:
        assert run(server.url, tmp_path).code == 0
        agents = {headers["User-Agent"] for headers in server.headers_seen}
        assert {headers["Authorization"] for headers in server.headers_seen} == {f"Bearer {TOKEN}"}
    assert agents == {f"target-pinterest-audience/{version('target-pinterest-audience')}"}


def test_plain_http_is_for_this_machine_only(tmp_path: Path) -> None:
    done = run("http://pinterest.example/v5", tmp_path)
    assert done.code == 2
    assert "`api_url`" in done.stderr


REFUSED = "certificates cannot be checked"


def certificates(kind: str, folder: Path) -> str:
    """Make what a variable for certificates may wrongly name."""
    path = folder / "wrong"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind != "nothing":
        path.write_bytes(
            {"an empty file": b"", "no certificate": b"-----BEGIN PRIVATE KEY-----\nMAo=\n", "DER": b"0\x82"}[kind]
        )
    return str(path)


@pytest.mark.parametrize("kind", ["nothing", "an empty file", "no certificate", "DER", "a folder", "a pipe"])
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_cannot_be_used_end_the_run_at_once(
    pinterest: Pinterest, tmp_path: Path, kind: str, variable: str
) -> None:
    path = certificates(kind, tmp_path)
    done = run(pinterest.url, tmp_path, **{"REQUESTS_CA_BUNDLE": "", variable: path})
    assert done.code == 2
    assert f"{variable} names" in done.stderr
    assert REFUSED in done.stderr
    assert path not in done.stderr
    assert done.states == []


def test_certificates_that_cannot_be_read_end_the_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "bundle").touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigurationError, match=r"cannot be read \(Permission denied\)"):
        route_to("https://pinterest.example", {"REQUESTS_CA_BUNDLE": str(tmp_path / "bundle")})


def test_certificates_are_not_read_if_none_are_needed(tmp_path: Path) -> None:
    with serving(Pinterest()) as server:
        assert run(server.url, tmp_path, REQUESTS_CA_BUNDLE=str(tmp_path / "none")).code == 0


def test_a_folder_of_certificates_is_trusted(pinterest: Pinterest, authority: trustme.CA, tmp_path: Path) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    certificate = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(certificate))
    named = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(certificate)], capture_output=True, check=True, text=True
    )
    certificate.rename(folder / f"{named.stdout.strip()}.0")
    assert run(pinterest.url, tmp_path, REQUESTS_CA_BUNDLE=str(folder)).code == 0


def test_a_file_that_openssl_cannot_write_to_is_not_an_outage(
    pinterest: Pinterest, bundle: str, tmp_path: Path
) -> None:
    done = run(pinterest.url, tmp_path, REQUESTS_CA_BUNDLE=bundle, SSLKEYLOGFILE=str(tmp_path / "none" / "keys"))
    assert done.code == 2
    assert "TLS cannot be set up on this machine" in done.stderr
    assert "SSLKEYLOGFILE" in done.stderr


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("garbage", "is not valid"),
        ("http://", "is not valid"),
        ("http:///path", "is not valid"),
        ("http://s3cr3t:3128:3128", "is not valid"),
        ("http://s3cr3t:port", "is not valid"),
        ("http://s3cr3t:0", "is not valid"),
        ("http://s3cr3t:99999", "is not valid"),
        ("http://not a host:3128", "is not valid"),
        ("ftp://proxy.example:3128", "does not begin with http://"),
        ("htp://proxy.example:3128", "does not begin with http://"),
        ("socks5h://127.0.0.1:1080", "needs SOCKS, and the library for it is not installed"),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_an_unusable_proxy_address_ends_the_run_at_once(
    address: str, words: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, address)
    monkeypatch.setitem(sys.modules, "socks", None)
    with pytest.raises(ConfigurationError, match=f"in {variable} {words}") as refused:
        route_to("https://pinterest.example/v5", os.environ)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    ["http://proxy.example:3128", "proxy.example:3128", "proxy:3128", "http://proxy", "proxy.example", "[::1]:3128",
     "http://user:pass@proxy.example:3128", "https://proxy.example", "localhost"],
)  # fmt: skip
def test_a_usable_proxy_address_is_accepted(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    route = route_to("https://pinterest.example/v5", os.environ)
    assert route.proxies["https"] == address


def test_a_proxy_that_is_not_used_may_be_unusable(tmp_path: Path) -> None:
    with serving(Pinterest()) as server:
        done = run(server.url, tmp_path, HTTPS_PROXY="garbage", HTTP_PROXY="garbage", NO_PROXY="127.0.0.1")
    assert done.code == 0, done.stderr


class Refusing(Proxy):
    """A proxy that connects to nobody."""

    def __init__(self, status: str) -> None:
        super().__init__()
        self.status = status

    def finish_request(self, request: Any, client_address: Any) -> None:
        del client_address
        request.recv(65_536)
        self.asked.append("")
        request.sendall(f"HTTP/1.1 {self.status}\r\nContent-Length: 0\r\n\r\n".encode())


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("407 Proxy Authentication Required", "requires a user and a password"),
        ("403 Forbidden", "does not connect to 127.0.0.1:"),
    ],
)
def test_a_request_that_the_proxy_forbids_is_not_retried(
    pinterest: Pinterest, bundle: str, tmp_path: Path, status: str, words: str
) -> None:
    with serving(Refusing(status)) as proxy:
        done = run(pinterest.url, tmp_path, REQUESTS_CA_BUNDLE=bundle, HTTPS_PROXY=proxy.url)
        assert len(proxy.asked) == 1
    assert done.code == 2
    assert f"The proxy in HTTPS_PROXY {words}" in done.stderr
    assert "Waiting" not in done.stderr


def test_a_request_is_retried_if_the_proxy_itself_fails(pinterest: Pinterest, bundle: str, tmp_path: Path) -> None:
    with serving(Refusing("502 Bad Gateway")) as proxy:
        done = run(pinterest.url, tmp_path, REQUESTS_CA_BUNDLE=bundle, HTTPS_PROXY=proxy.url)
        assert len(proxy.asked) == 2
    assert done.code == 4


def test_a_proxy_that_does_not_speak_tls_is_reported(pinterest: Pinterest, bundle: str, tmp_path: Path) -> None:
    with serving(Refusing("400 Bad Request")) as proxy:
        address = proxy.url.replace("http:", "https:")
        done = run(pinterest.url, tmp_path, REQUESTS_CA_BUNDLE=bundle, HTTPS_PROXY=address)
    assert done.code == 2
    assert "The proxy in HTTPS_PROXY does not speak TLS itself" in done.stderr
    assert "Waiting" not in done.stderr


@pytest.mark.parametrize(
    "address", ["http://proxy.example:3128", "socks5h://proxy.example:1", "socks5://proxy.example:1"]
)
@pytest.mark.parametrize(
    ("number", "is_wrong"), [(socket.EAI_NONAME, True), (socket.EAI_AGAIN, False)], ids=["no such name", "no answer"]
)
def test_a_proxy_whose_host_does_not_exist_is_reported(
    pinterest: Pinterest, bundle: str, monkeypatch: pytest.MonkeyPatch, number: int, address: str, *, is_wrong: bool
) -> None:
    if address.startswith("socks"):
        pytest.importorskip("socks")

    def resolve(*_: object) -> None:
        raise socket.gaierror(number, "...")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert_misrouted(pinterest, bundle, monkeypatch, address, is_wrong=is_wrong)


class Socks(Proxy):
    """A SOCKS proxy that answers a greeting, and nothing else.

    Args:
        answer: the answer.
    """

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer

    def finish_request(self, request: Any, client_address: Any) -> None:
        del client_address
        request.recv(65_536)
        request.sendall(self.answer)


@pytest.mark.parametrize(
    ("answer", "is_wrong"), [(b"\x05\xff", True), (b"\x05\x00", False)], ids=["needs a user", "goes away"]
)
def test_a_socks_proxy_that_needs_a_user_is_not_retried(
    pinterest: Pinterest, bundle: str, monkeypatch: pytest.MonkeyPatch, answer: bytes, *, is_wrong: bool
) -> None:
    pytest.importorskip("socks")
    with serving(Socks(answer)) as proxy:
        address = proxy.url.replace("http:", "socks5h:")
        assert_misrouted(pinterest, bundle, monkeypatch, address, is_wrong=is_wrong)


def test_a_host_that_does_not_exist_is_not_blamed_on_a_socks_proxy(
    bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("socks")
    resolve = socket.getaddrinfo

    def unknown(host: str, *rest: Any, **named: Any) -> Any:
        if host == "pinterest.example":
            raise socket.gaierror(socket.EAI_NONAME, "...")
        return resolve(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    with serving(Socks(b"\x05\x00")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http:", "socks5:"))
        with pytest.raises(UnavailableError):
            transport_to("https://pinterest.example/v5").send(Request("GET", "/ad_accounts/1"), Bearer("t"), AdAccount)


@pytest.mark.parametrize(("address", "is_wrong"), [("http://127.0.0.1", True), ("http://127.0.0.1:1", False)])
def test_a_proxy_without_a_port_that_does_not_answer_is_reported(
    pinterest: Pinterest, bundle: str, monkeypatch: pytest.MonkeyPatch, address: str, *, is_wrong: bool
) -> None:
    assert_misrouted(pinterest, bundle, monkeypatch, address, is_wrong=is_wrong)


def assert_misrouted(
    pinterest: Pinterest, bundle: str, monkeypatch: pytest.MonkeyPatch, proxy: str, *, is_wrong: bool
) -> None:
    for name, value in {"HTTPS_PROXY": proxy, "REQUESTS_CA_BUNDLE": bundle, "NO_PROXY": "", "no_proxy": ""}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(MisroutedError if is_wrong else UnavailableError) as failed:
        transport_to(pinterest.url).send(Request("GET", "/ad_accounts/1"), Bearer("t"), AdAccount)
    assert failed.value.exit_code == (2 if is_wrong else 4)
    assert not is_wrong or "HTTPS_PROXY" in str(failed.value)


def transport_to(url: str) -> Transport:
    patience = RetryPolicy(retries=0, initial_seconds=0.001, max_seconds=1, connect_seconds=5, read_seconds=5)
    return Transport(url, patience, user_agent="test", logger=logging.getLogger())


def test_a_server_that_does_not_speak_tls_is_not_an_outage(tmp_path: Path) -> None:
    with serving(Pinterest()) as server:
        done = run(server.url.replace("http:", "https:"), tmp_path)
    assert done.code == 2
    assert "does not speak TLS" in done.stderr
    assert "Waiting" not in done.stderr


def test_check_and_login_report_it_before_any_request(
    run_companion: Companion, pinterest: Pinterest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    checked = run_companion("check", api_url=pinterest.url)
    assert checked.code == 2
    assert "✗ network: REQUESTS_CA_BUNDLE names a file that does not exist" in checked.stdout
    asked = run_companion("login", api_url=pinterest.url, client_id="a", client_secret="b")
    assert asked.code == 2
    assert "REQUESTS_CA_BUNDLE names a file that does not exist" in asked.stderr
    assert "browser" not in asked.stderr
