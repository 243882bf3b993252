"""Signing in: `pinterest-audience login` as a process, a real browser, and the emulator's consent page."""

from __future__ import annotations

import json
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
import requests

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.ledger.open import token_store
from target_pinterest_audience.pinterest.tokens import SignIn
from tests.support.account import ACCOUNT
from tests.support.browser import Browser, answer
from tests.support.json_output import assert_valid
from tests.support.ledgers import address as address_of
from tests.support.messages import people, schema
from tests.support.postgres import Database
from tests.support.processes import Companion, Run, Target, environment
from tests.support.zygote import PipedProcess, start_with_text_pipes

APP = {"client_id": "emulator-app", "client_secret": "emulator-secret"}
SECRETS = ("emulator-secret", "emulator-refresh", "emulator-token")
SECONDS = 30


def require_address(host: str) -> None:
    try:
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError:
        pytest.skip(f"this machine has no address {host}")


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def redirect_uri() -> str:
    return f"http://localhost:{free_port()}/"


@pytest.fixture
def config(emulator: Emulator, tmp_path: Path) -> dict[str, Any]:
    """Settings with an app, and nobody signed in."""
    return {
        "ad_account_id": ACCOUNT,
        "api_url": emulator.url,
        "max_retries": 0,
        "ledger_url": f"sqlite:///{tmp_path}/ledger.db",
        **APP,
    }


class Login:
    """A call of `pinterest-audience login` under way."""

    def __init__(self, process: PipedProcess[str], opened: Path) -> None:
        self.process = process
        self._opened = opened

    @property
    def address(self) -> str:
        """The address that it had a browser open."""
        deadline = time.monotonic() + SECONDS
        while not self._opened.exists() or not self._opened.read_text():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return self._opened.read_text()

    def paste(self, *lines: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()

    def shown(self) -> str:
        """The address that it shows; nothing is opened."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if "/oauth/?" in line:
                return line.strip()
        raise AssertionError

    def end(self) -> Run:
        stdout, stderr = self.process.communicate(timeout=SECONDS)
        return Run(self.process.wait(), stdout, stderr)


StartLogin: TypeAlias = Callable[..., Login]


@pytest.fixture
def start_login(config: dict[str, Any], redirect_uri: str, tmp_path: Path) -> Iterator[StartLogin]:
    """Call `pinterest-audience login`; the browser that it opens is a script that notes the address."""
    opened = tmp_path / "opened"
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    script.chmod(0o700)

    with ExitStack() as stack:

        def start(*arguments: str, **settings: Any) -> Login:
            path = tmp_path / "login.json"
            merged = {name: value for name, value in {**config, **settings}.items() if value is not None}
            path.write_text(json.dumps(merged))
            argv = ["login", "--config", str(path), "--redirect-uri", redirect_uri, *arguments]
            process = start_with_text_pipes("pinterest-audience", argv, environment(BROWSER=f"{script} %s"))
            stack.enter_context(process)
            stack.callback(process.kill)
            return Login(process, opened)

        yield start


def decide(address: str, decision: str = "allow") -> str:
    """Do what a browser would at the consent page, and return the address that it is sent to."""
    answer = requests.post(address, data={"decision": decision}, allow_redirects=False, timeout=SECONDS)
    return answer.headers["Location"]


def changed(address: str, **changes: str) -> str:
    """The address with other values in its query."""
    parts = urlsplit(address)
    return parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **changes})).geturl()


def tokens_of(emulator: Emulator) -> list[str]:
    """All codes and tokens that went over the wire."""
    bodies = [body for call in emulator.backend.calls for body in (call.request, call.response) if body is not None]
    values = [body.get(name) for body in bodies for name in ("code", "refresh_token", "access_token")]
    return [value for value in values if isinstance(value, str)]


def assert_silent(run: Run, emulator: Emulator) -> None:
    """Something was exchanged, and nothing that opens anything was told."""
    tokens = tokens_of(emulator)
    assert tokens
    assert not [each for each in (*SECRETS, *tokens) if each in run.stdout + run.stderr]


class TestInABrowser:
    def test_later_runs_use_the_sign_in(
        self,
        emulator: Emulator,
        browser: Browser,
        start_login: StartLogin,
        run_companion: Companion,
        run_target: Target,
        tmp_path: Path,
    ) -> None:
        before = run_companion("check")
        assert before.code == 2
        assert "pinterest-audience login" in before.stdout
        login = start_login()
        answer(browser, login.address, "Allow")
        assert "Pinterest's response has arrived" in browser.page_source
        ended = login.end()
        assert ended.code == 0, ended.stderr
        kept = tmp_path / "credentials.json"
        signed_in = "Signed in, for 60 days after the last run."
        assert ended.stdout == f"{signed_in} The refresh token is stored in the credentials file {kept}.\n"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert_silent(ended, emulator)
        (exchange,) = emulator.backend.calls
        assert (exchange.request or {})["continuous_refresh"] == "true"
        checked = run_companion("check")
        assert checked.code == 0, checked.stdout
        for _ in range(2):
            assert run_target([schema("email"), *people(range(3))]).code == 0
        assert len(emulator.backend.customer_lists()) == 1

    def test_a_denial_in_the_browser_is_reported(
        self, emulator: Emulator, browser: Browser, start_login: StartLogin, tmp_path: Path
    ) -> None:
        login = start_login()
        answer(browser, login.address, "Deny")
        ended = login.end()
        assert ended.code == 3
        assert "Access was denied on Pinterest's page" in ended.stderr
        assert emulator.backend.calls == []
        assert not (tmp_path / "credentials.json").exists()

    def test_a_redirect_address_that_is_not_a_link_of_the_app_fails(
        self, browser: Browser, start_login: StartLogin, redirect_uri: str
    ) -> None:
        with Emulator(redirect_uris=("http://localhost:1/",)) as strict:
            login = start_login("--wait-seconds", "3", api_url=strict.url)
            browser.get(login.address)
            assert "redirect_uri is not one of the redirect links" in browser.page_source
            ended = login.end()
        assert ended.code == 3
        assert f"add exactly {redirect_uri} to the app's redirect links" in ended.stderr


class TestTheCallback:
    def test_a_request_from_another_web_page_does_not_end_the_sign_in(
        self, start_login: StartLogin, redirect_uri: str
    ) -> None:
        login = start_login()
        right = decide(login.address)
        for query in ("error=access_denied", "code=x", "error=access_denied&state=", "code=x&state=y&state=z"):
            answer = requests.get(f"{redirect_uri}?{query}", timeout=SECONDS)
            assert (answer.status_code, "does not belong to the current sign-in" in answer.text) == (400, True)
        for headers in ({"Host": "example.com"}, {"Origin": "https://example.com"}, {"Origin": "null"}):
            assert requests.get(right, headers=headers, timeout=SECONDS).status_code == 403
        assert requests.get(right, timeout=SECONDS).status_code == 200
        ended = login.end()
        assert (ended.code, ended.stdout.count("Signed in")) == (0, 1), ended.stderr

    def test_the_response_to_another_sign_in_is_not_used(
        self, emulator: Emulator, start_login: StartLogin, tmp_path: Path
    ) -> None:
        login = start_login("--wait-seconds", "4")
        foreign = changed(decide(login.address), state="of-an-attacker")
        requests.get(foreign, timeout=SECONDS)
        ended = login.end()
        assert ended.code == 3
        assert "belongs to an earlier sign-in" in ended.stderr
        assert emulator.backend.calls == []
        assert not (tmp_path / "credentials.json").exists()

    def test_the_server_accepts_only_the_response_and_closes_afterwards(
        self, start_login: StartLogin, redirect_uri: str
    ) -> None:
        login = start_login()
        address = login.address
        for other in (redirect_uri, f"{redirect_uri}favicon.ico", f"{redirect_uri}other?code=x&state=y"):
            assert requests.get(other, timeout=SECONDS).status_code == 404
        assert requests.post(f"{redirect_uri}?code=x", timeout=SECONDS).status_code == 501
        # As browsers do, in advance.
        with closing(socket.create_connection(("127.0.0.1", urlsplit(redirect_uri).port or 0))):
            page = requests.get(decide(address), timeout=SECONDS)
            assert page.headers["Referrer-Policy"] == "no-referrer"
            assert login.end().code == 0
        with pytest.raises(requests.ConnectionError):
            requests.get(redirect_uri, timeout=SECONDS)

    @pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
    def test_the_server_listens_on_both_addresses_of_localhost(self, start_login: StartLogin, host: str) -> None:
        require_address(host.strip("[]"))
        login = start_login()
        requests.get(decide(login.address).replace("localhost", host, 1), timeout=SECONDS)
        assert login.end().code == 0

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
    def test_a_port_in_use_is_reported(self, start_login: StartLogin, redirect_uri: str, host: str) -> None:
        require_address(host)
        port = urlsplit(redirect_uri).port or 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with closing(socket.create_server((host, port), family=family)):
            ended = start_login().end()
        assert ended.code == 2
        assert (
            f"Port {port}, to which the browser is redirected, cannot be used (another program uses it)" in ended.stderr
        )

    def test_the_wait_for_the_person_ends(self, start_login: StartLogin) -> None:
        ended = start_login("--wait-seconds", "1").end()
        assert ended.code == 3
        assert "The access was not allowed within 1 s" in ended.stderr

    def test_a_signal_ends_the_wait(self, start_login: StartLogin) -> None:
        login = start_login()
        assert login.address
        login.process.send_signal(signal.SIGTERM)
        assert login.end().code == 128 + signal.SIGTERM


class TestPasting:
    def test_an_address_pasted_from_another_machine_is_accepted(
        self, emulator: Emulator, start_login: StartLogin, run_companion: Companion, tmp_path: Path
    ) -> None:
        login = start_login("--no-browser")
        # Somebody may have the port; with a browser elsewhere nothing comes to it.
        login.paste(decide(login.shown()))
        ended = login.end()
        assert ended.code == 0, ended.stderr
        assert_silent(ended, emulator)
        assert run_companion("check").code == 0
        assert not (tmp_path / "opened").exists()

    def test_a_pasted_text_without_a_response_is_asked_for_again(
        self, start_login: StartLogin, redirect_uri: str
    ) -> None:
        login = start_login("--no-browser")
        right = decide(login.shown())
        login.paste("", "http://[", redirect_uri, right.replace("localhost", "example.com"), f"  {right}  ")
        ended = login.end()
        assert ended.code == 0
        assert ended.stderr.count("This is not the address") == 4
        assert "example.com" not in ended.stderr

    def test_the_response_to_another_sign_in_is_not_used(self, emulator: Emulator, start_login: StartLogin) -> None:
        login = start_login("--no-browser")
        login.paste(changed(decide(login.shown()), state="x"))
        ended = login.end()
        assert ended.code == 3
        assert "does not belong to this sign-in" in ended.stderr
        assert emulator.backend.calls == []

    def test_the_wait_for_the_person_ends(self, start_login: StartLogin) -> None:
        login = start_login("--no-browser", "--wait-seconds", "1")
        login.paste("not yet")
        assert login.process.wait(SECONDS) == 3
        assert "The access was not allowed within 1 s" in login.end().stderr

    def test_the_end_of_the_input_is_reported(self, start_login: StartLogin) -> None:
        ended = start_login("--no-browser").end()
        assert ended.code == 2
        assert "Standard input ended" in ended.stderr

    def test_the_last_line_may_lack_its_newline(self, start_login: StartLogin) -> None:
        login = start_login("--no-browser")
        right = decide(login.shown())
        stdout, stderr = login.process.communicate(right, timeout=SECONDS)
        assert (login.process.returncode, stdout.count("Signed in")) == (0, 1), stderr

    def test_the_address_is_pasted_if_this_machine_cannot_receive_it(self, start_login: StartLogin) -> None:
        elsewhere = "https://example.com/back"
        with Emulator(redirect_uris=(elsewhere,)) as strict:
            login = start_login("--redirect-uri", elsewhere, api_url=strict.url)
            login.paste(decide(login.address))
            ended = login.end()
        assert ended.code == 0, ended.stderr


class TestWhereTheTokenGoes:
    def test_the_token_can_be_printed_instead_of_stored(
        self, emulator: Emulator, start_login: StartLogin, run_companion: Companion, tmp_path: Path
    ) -> None:
        login = start_login("--print")
        requests.get(decide(login.address), timeout=SECONDS)
        ended = login.end()
        token = str((emulator.backend.calls[0].response or {})["refresh_token"])
        assert (ended.code, ended.stdout) == (0, f"{token}\n")
        assert token not in ended.stderr
        assert not (tmp_path / "credentials.json").exists()
        assert run_companion("check", refresh_token=token).code == 0

    @pytest.mark.parametrize("options", [(), ("--print",)])
    def test_the_result_can_be_printed_as_json(
        self, options: tuple[str, ...], emulator: Emulator, start_login: StartLogin, tmp_path: Path
    ) -> None:
        login = start_login("--json", *options)
        requests.get(decide(login.address), timeout=SECONDS)
        printed = login.end().stdout
        assert_valid(["login", *options], printed)
        told = json.loads(printed)
        token = str((emulator.backend.calls[0].response or {})["refresh_token"])
        where = (
            {"refresh_token": token}
            if options
            else {"stored_in": f"the credentials file {tmp_path / 'credentials.json'}"}
        )
        assert told == {**where, "valid_days": 60}

    def test_a_stored_token_replaces_an_expired_one_in_the_settings(
        self, start_login: StartLogin, run_companion: Companion
    ) -> None:
        old = {"refresh_token": "ended"}
        refused = run_companion("check", **old)
        assert refused.code == 3
        assert "pinterest-audience login" in refused.stdout
        login = start_login(**old)
        requests.get(decide(login.address), timeout=SECONDS)
        assert login.end().code == 0
        assert run_companion("check", **old).code == 0

    def test_the_token_is_stored_in_a_postgresql_ledger(
        self, emulator: Emulator, start_login: StartLogin, run_companion: Companion, database: Database, tmp_path: Path
    ) -> None:
        settings = {"ledger_url": address_of(database)}
        login = start_login(**settings)
        requests.get(decide(login.address), timeout=SECONDS)
        ended = login.end()
        assert ended.code == 0, ended.stderr
        assert_silent(ended, emulator)
        assert database.password not in ended.stdout + ended.stderr
        sign_in = SignIn.of(**APP, refresh_token=None)
        assert sign_in is not None
        kept = token_store(settings["ledger_url"]).newest(sign_in.origin)
        assert kept == (emulator.backend.calls[0].response or {})["refresh_token"]
        assert run_companion("check", **settings).code == 0
        assert not (tmp_path / "credentials.json").exists()

    def test_the_browser_does_not_open_if_the_token_could_not_be_stored(
        self, start_login: StartLogin, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        ended = start_login(credentials_file=str(tmp_path / "file" / "credentials.json")).end()
        assert ended.code == 2
        assert "cannot be written" in ended.stderr
        assert "/oauth/" not in ended.stderr

    def test_an_access_token_that_takes_precedence_is_a_warning(self, start_login: StartLogin) -> None:
        login = start_login(access_token="emulator-token")
        requests.get(decide(login.address), timeout=SECONDS)
        ended = login.end()
        assert ended.code == 0
        assert "The settings have an `access_token`, which takes precedence" in ended.stderr


class TestWhatPinterestRefuses:
    def exchanged(
        self, start_login: StartLogin, emulator: Emulator, fault: Fault | None = None, **settings: Any
    ) -> Run:
        """Allow what is asked, and let the exchange of the code go wrong."""
        login = start_login(**settings)
        back = decide(login.address)
        if fault is not None:
            emulator.backend.inject(fault)
        requests.get(back, timeout=SECONDS)
        ended = login.end()
        assert_silent(ended, emulator)
        return ended

    def test_an_expired_code_is_refused(self, start_login: StartLogin, redirect_uri: str) -> None:
        with Emulator(code_lifetime_seconds=0) as late:
            ended = self.exchanged(start_login, late, api_url=late.url)
        assert ended.code == 3
        assert "does not accept the code (HTTP 401, code 283). It is too old, was used before" in ended.stderr
        assert f"another redirect address than {redirect_uri}." in ended.stderr

    def test_a_wrong_secret_is_refused(self, start_login: StartLogin, emulator: Emulator) -> None:
        ended = self.exchanged(start_login, emulator, client_secret="wr0ng-secret")
        assert ended.code == 3
        assert "does not accept `client_id` and `client_secret` (HTTP 401, code 2)" in ended.stderr
        assert "wr0ng-secret" not in ended.stderr

    def test_an_unknown_app_is_refused(self, start_login: StartLogin) -> None:
        login = start_login("--wait-seconds", "1", client_id="unknown")
        page = requests.get(login.address, timeout=SECONDS)
        assert (page.status_code, login.end().code) == (400, 3)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"scope": "ads:read"}, "lacks the scope ads:write"),
            ({"refresh_token": None}, "an access token but no refresh token"),
        ],
    )
    def test_an_answer_without_a_scope_or_a_refresh_token_is_refused(
        self, start_login: StartLogin, emulator: Emulator, changes: dict[str, Any], words: str, tmp_path: Path
    ) -> None:
        body = {"access_token": "pina_x", "refresh_token": "pinr_x", "scope": "ads:read ads:write", **changes}
        ended = self.exchanged(start_login, emulator, Fault(path="/oauth/token", status=200, body=body))
        assert ended.code == 3
        assert words in ended.stderr
        assert not (tmp_path / "credentials.json").exists()

    def test_an_answer_without_an_access_token_signs_in(
        self, start_login: StartLogin, emulator: Emulator, tmp_path: Path
    ) -> None:
        body = {"access_token": "a b", "refresh_token": "pinr_x", "scope": "ads:read ads:write"}
        ended = self.exchanged(start_login, emulator, Fault(path="/oauth/token", status=200, body=body))
        assert ended.code == 0, ended.stderr
        assert "pinr_x" in (tmp_path / "credentials.json").read_text()

    @pytest.mark.parametrize("fault", [{"status": 503}, {"reset": True, "when": "after"}, {"half_body": True}])
    def test_a_code_is_never_sent_twice(
        self, start_login: StartLogin, emulator: Emulator, fault: dict[str, Any]
    ) -> None:
        ended = self.exchanged(start_login, emulator, Fault(path="/oauth/token", **fault), max_retries=3)
        assert ended.code == 4
        assert len(emulator.backend.calls) == 1


class TestSettings:
    def test_without_an_app_nobody_can_sign_in(self, start_login: StartLogin) -> None:
        ended = start_login(client_secret=None, access_token="emulator-token").end()
        assert ended.code == 2
        assert "To sign in, set `client_secret`" in ended.stderr
        assert start_login(client_id=None, client_secret=None).end().code == 2

    def test_the_redirect_address_is_checked_before_the_browser_opens(self, start_login: StartLogin) -> None:
        ended = start_login("--redirect-uri", "http://example.com/").end()
        assert (ended.code, ended.stderr.count("must begin with https")) == (2, 1)

    def test_each_call_has_a_state_of_its_own(self, start_login: StartLogin, tmp_path: Path) -> None:
        states = []
        for _ in range(2):
            login = start_login()
            (state,) = parse_qs(urlsplit(login.address).query)["state"]
            states.append(state)
            login.process.send_signal(signal.SIGTERM)
            login.process.wait(SECONDS)
            (tmp_path / "opened").unlink()
        assert len(set(states)) == 2
        assert min(map(len, states)) >= 32
