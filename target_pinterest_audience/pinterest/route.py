"""The proxy and the certificates that requests use; checked before the first request.

A wrong environment variable must not look like an outage: no retry repairs it.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.utils import select_proxy
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.util import Url, parse_url

from target_pinterest_audience.errors import ConfigurationError

_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The variables that `requests` reads; the first one that is set counts."""

_NO_CERTIFICATES: Final = "a file without certificates in PEM form"
_SOCKS: Final = frozenset({"socks4", "socks4a", "socks5", "socks5h"})
_SCHEMES: Final = frozenset({"http", "https"}) | _SOCKS
_HOST: Final = re.compile(r"[\w.-]+|\[[0-9a-fA-F:.]+(%\w+)?\]")
_HASHED: Final = re.compile(r"[0-9a-f]{8}\.\d+")
"""The form of the file names by which OpenSSL finds certificates in a folder."""

_TUNNEL: Final = re.compile(r"Tunnel connection failed: (4\d\d)")
_AUTHENTICATE: Final = 407
_SOCKS_AUTHENTICATE: Final = "SOCKS5 authentication"
"""Part of PySocks's messages about a missing or wrong user; urllib3 keeps only their text."""

_NO_SUCH_HOST: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_NO_COMMON_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "UNKNOWN_PROTOCOL"}
)
"""OpenSSL's reasons if the other side does not speak TLS, or no common version of it."""


class Route(NamedTuple):
    """How requests to one address leave this machine.

    Attributes:
        host: the host of the address.
        proxies: the proxies, for `requests`.
        verify: which certificates to trust, for `requests`: a path, or true for the usual ones.
        proxy_variable: the variable that names the proxy; None if there is no proxy.
        has_port: whether the proxy's address has a port.
    """

    host: str
    proxies: Mapping[str, str]
    verify: bool | str
    proxy_variable: str | None
    has_port: bool

    def misconfiguration(self, error: BaseException) -> str | None:
        """Return a message if a wrong setting of this machine made a request fail; None if not."""
        causes = list(_causes(error))
        local = _file_error(error, causes)
        if local is not None:
            return (
                f"TLS cannot be set up on this machine ({local.strerror or type(local).__name__}), so nothing was "
                "sent. Check the files named by REQUESTS_CA_BUNDLE, SSLKEYLOGFILE and OPENSSL_CONF."
            )
        no_such_host = any(isinstance(each, socket.gaierror) and each.errno in _NO_SUCH_HOST for each in causes)
        no_user = any(_SOCKS_AUTHENTICATE in str(each) for each in causes)
        # urllib3 has no error class for SOCKS proxies. Where one is used, it is the only host whose name makes a cause.
        is_proxys = no_such_host or no_user or any(isinstance(each, requests.exceptions.ProxyError) for each in causes)
        if self.proxy_variable is None or not is_proxys:
            if any(_has_no_common_tls(each) for each in causes):
                return f"{self.host} does not speak TLS. Correct `api_url`, or the proxy in between."
            return None
        proxy = f"The proxy in {self.proxy_variable}"
        refused = next((found for each in causes if (found := _TUNNEL.search(str(each)))), None)
        if no_user or (refused is not None and int(refused[1]) == _AUTHENTICATE):
            return f"{proxy} requires a user and a password. Add them to its address, or correct them there."
        if refused is not None:
            return f"{proxy} does not connect to {self.host} (HTTP {refused[1]}). Allow that host in the proxy."
        if any(_has_no_common_tls(each) for each in causes):
            return f"{proxy} does not speak TLS itself. Begin its address with http:// instead of https://."
        if no_such_host:
            return f"{proxy} has a host name that does not exist. Correct the variable, or unset it."
        if not self.has_port and any(isinstance(each, NewConnectionError) for each in causes):
            return f"{proxy} has no port in its address, and nothing answers at the default port. Add the port."
        return None


def route_to(url: str, environ: Mapping[str, str]) -> Route:
    """Return how requests to an address leave this machine.

    Args:
        url: the address.
        environ: the environment variables, to name them in messages.

    Raises:
        ConfigurationError: the environment names certificates or a proxy that cannot be used.
    """
    with requests.Session() as session:
        # Otherwise `requests` reads the environment and looks for a `.netrc` on the disk at each request.
        found = session.merge_environment_settings(url, {}, None, None, None)
    parts = urlsplit(url)
    if parts.scheme == "https":
        _check_bundle(environ)
    proxies = {name: value for name, value in found["proxies"].items() if value}
    proxy = select_proxy(url, proxies)
    variable = _variable(parts.scheme, proxies, environ) if proxy else None
    port = _check_proxy(proxy, variable or "") if proxy else None
    return Route(parts.netloc, proxies, found["verify"] or True, variable, port is not None)


def _check_bundle(environ: Mapping[str, str]) -> None:
    variable = next((name for name in _BUNDLES if environ.get(name)), None)
    if variable is None:
        return
    path = Path(environ[variable])
    try:
        problem = _problem_of_folder(path) if path.is_dir() else _problem_of_file(path)
    except OSError as error:
        problem = f"a file that cannot be read ({error.strerror})"
    if problem is not None:
        msg = (
            f"{variable} names {problem}, so certificates cannot be checked. Set it to a file with certificates in "
            "PEM form, or unset it to trust the usual ones."
        )
        raise ConfigurationError(msg)


def _problem_of_folder(path: Path) -> str | None:
    if any(_HASHED.fullmatch(each.name) for each in path.iterdir()):
        return None
    return "a folder without hashed names of certificates, which `openssl rehash` creates"


def _problem_of_file(path: Path) -> str | None:
    if not path.exists():
        return "a file that does not exist"
    if not path.is_file():
        # Reading a pipe would block.
        return "something that is not a file"
    with path.open("rb"):
        pass
    found = path.stat()
    return _problem_of_certificates(path, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=4)
def _problem_of_certificates(path: Path, _changed: int, _size: int) -> str | None:
    """Return what is wrong with the certificates in a file. Cached: parsing the usual hundred takes 50 ms."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        return _NO_CERTIFICATES
    return None if context.cert_store_stats()["x509"] else _NO_CERTIFICATES


def _variable(scheme: str, proxies: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Return the name of the variable that names a proxy."""
    kind = scheme if scheme in proxies else "all"
    names = [name for name in environ if name.lower() == f"{kind}_proxy" and environ[name]]
    # Lower case takes precedence over upper case.
    return max(names, default="the setting of this system")


def _check_proxy(proxy: str, variable: str) -> int | None:
    """Check the address of a proxy, and return its port; None if it has none.

    Raises:
        ConfigurationError: the address cannot be used. The message does not show it: it may hold a password.
    """
    try:
        address = parse_url(proxy if "://" in proxy else f"http://{proxy}")
    except (HTTPError, ValueError):
        address = Url()
    problem = None
    if not address.host or not _HOST.fullmatch(address.host) or address.port == 0:
        problem = "is not valid"
    elif address.scheme not in _SCHEMES:
        problem = "does not begin with http://, https:// or socks5h://"
    elif address.scheme in _SOCKS and importlib.util.find_spec("socks") is None:
        problem = "needs SOCKS, and the library for it is not installed (pip install 'requests[socks]')"
    elif address.port is None and "://" not in proxy and "." not in address.host and address.host != "localhost":
        # A single word: the name of a host has a dot, or a port follows it.
        problem = "is not valid"
    if problem is not None:
        msg = (
            f"The proxy address in {variable} {problem}. Write it like http://proxy.example:3128, or unset the "
            "variable. List hosts that need no proxy in NO_PROXY."
        )
        raise ConfigurationError(msg)
    return address.port


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, as urllib3 and requests wrap them."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseException) and each not in seen:
            seen.append(each)
            waiting += [getattr(each, "reason", None), each.__cause__, *each.args]
    yield from seen


def _file_error(error: BaseException, causes: Iterable[BaseException]) -> OSError | None:
    """Return the error of a local file, if that made a request fail; None if not."""
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        # `requests` does not wrap errors that happen before anything is sent.
        return error
    return next((each for each in causes if isinstance(each, OSError) and each.filename is not None), None)


def _has_no_common_tls(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLError) and error.reason in _NO_COMMON_TLS
