"""How requests leave this machine: by which proxy, and which certificates are trusted. Checked before the first one.

What the environment says wrongly no retry repairs, so it must not look like an outage.
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
"""The variables that `requests` reads, the first that is set."""

_NO_CERTIFICATES: Final = "a file without certificates in PEM form"
_SOCKS: Final = frozenset({"socks4", "socks4a", "socks5", "socks5h"})
_SCHEMES: Final = frozenset({"http", "https"}) | _SOCKS
_HOST: Final = re.compile(r"[\w.-]+|\[[0-9a-fA-F:.]+(%\w+)?\]")
_HASHED: Final = re.compile(r"[0-9a-f]{8}\.\d+")
"""The name by which OpenSSL finds a certificate in a folder."""

_TUNNEL: Final = re.compile(r"Tunnel connection failed: (4\d\d)")
_AUTHENTICATE: Final = 407
_NO_SUCH_HOST: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_OTHER_LANGUAGE: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "UNKNOWN_PROTOCOL"}
)
"""OpenSSL's reasons when the other side does not speak TLS, or none that we speak."""


class Route(NamedTuple):
    """How requests to one address leave this machine.

    Attributes:
        host: where they go.
        proxies: as `requests` takes them.
        verify: likewise; a path if certificates are named.
        proxy_variable: the variable that names the proxy which is used; None if there is none.
        has_port: whether the proxy's address has a port.
    """

    host: str
    proxies: Mapping[str, str]
    verify: bool | str
    proxy_variable: str | None
    has_port: bool

    def misconfigured(self, error: BaseException) -> str | None:
        """Return what is set up wrongly on this machine, if that is why a request failed, as a sentence for people."""
        causes = list(_causes(error))
        local = _file_error(error, causes)
        if local is not None:
            return (
                f"TLS cannot be set up on this machine ({local.strerror or type(local).__name__}), so nothing was "
                "sent. Check the files that REQUESTS_CA_BUNDLE, SSLKEYLOGFILE and OPENSSL_CONF name."
            )
        if self.proxy_variable is None or not any(isinstance(each, requests.exceptions.ProxyError) for each in causes):
            if any(_speaks_otherwise(each) for each in causes):
                return f"{self.host} does not speak TLS. Correct `api_url`, or the proxy that stands between."
            return None
        proxy = f"The proxy that {self.proxy_variable} names"
        refused = next((found for each in causes if (found := _TUNNEL.search(str(each)))), None)
        if refused is not None:
            if int(refused[1]) == _AUTHENTICATE:
                return f"{proxy} asks for a user and a password. Write them into its address, or correct them there."
            return f"{proxy} does not connect to {self.host} (HTTP {refused[1]}). Have it allowed there."
        if any(_speaks_otherwise(each) for each in causes):
            return f"{proxy} does not speak TLS itself. Let its address begin with http:// in place of https://."
        if any(isinstance(each, socket.gaierror) and each.errno in _NO_SUCH_HOST for each in causes):
            return f"{proxy} is on a host that does not exist. Correct the variable, or unset it."
        if not self.has_port and any(isinstance(each, NewConnectionError) for each in causes):
            return f"{proxy} has no port in its address, and nobody answers at the usual one. Add the port."
        return None


def route_to(url: str, environ: Mapping[str, str]) -> Route:
    """Find out how requests to an address leave this machine.

    Args:
        url: the address.
        environ: the process's environment, to name variables by.

    Raises:
        ConfigurationError: the environment names certificates or a proxy that cannot be used.
    """
    with requests.Session() as session:
        # Else the environment is asked for proxies and certificates, and the disk for a `.netrc`, at each request.
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
            f"{variable} names {problem}, so certificates cannot be checked. Let it name a file with certificates in "
            "PEM form, or unset it to trust the usual ones."
        )
        raise ConfigurationError(msg)


def _problem_of_folder(path: Path) -> str | None:
    if any(_HASHED.fullmatch(each.name) for each in path.iterdir()):
        return None
    return "a folder without hashed names of certificates, which `openssl rehash` makes"


def _problem_of_file(path: Path) -> str | None:
    if not path.exists():
        return "a file that does not exist"
    if not path.is_file():
        # A pipe would be waited for.
        return "something that is not a file"
    with path.open("rb"):
        pass
    found = path.stat()
    return _problem_of_certificates(path, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=4)
def _problem_of_certificates(path: Path, _changed: int, _size: int) -> str | None:
    """Return what is wrong with the certificates in a file; parsing the usual hundred takes a twentieth of a second."""
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
    # Lower case counts before upper case.
    return max(names, default="the setting of this system")


def _check_proxy(proxy: str, variable: str) -> int | None:
    """Make sure that the address of a proxy can be used, and return its port if it has one.

    Raises:
        ConfigurationError: it cannot. Its address is not shown, since a password may be in it.
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
        problem = "is one for SOCKS, and the library for SOCKS is not installed (pip install 'requests[socks]')"
    elif address.port is None and "://" not in proxy and "." not in address.host and address.host != "localhost":
        # A word alone: a host has a dot in its name, or a port behind it.
        problem = "is not valid"
    if problem is not None:
        msg = (
            f"The proxy address in {variable} {problem}. Write it like http://proxy.example:3128, or unset the "
            "variable; hosts that are reached without it belong in NO_PROXY."
        )
        raise ConfigurationError(msg)
    return address.port


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and why it was raised, as urllib3 and requests wrap one in the other."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseException) and each not in seen:
            seen.append(each)
            waiting += [getattr(each, "reason", None), each.__cause__, *each.args]
    yield from seen


def _file_error(error: BaseException, causes: Iterable[BaseException]) -> OSError | None:
    """Return why a file could not be read or written that the environment names, if that is why a request failed."""
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        # What `requests` does not wrap comes before anything is sent.
        return error
    return next((each for each in causes if isinstance(each, OSError) and each.filename is not None), None)


def _speaks_otherwise(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLError) and error.reason in _OTHER_LANGUAGE
