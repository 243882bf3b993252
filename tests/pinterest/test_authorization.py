"""What a person is asked when signing in, and what comes of the answer: no socket, no browser."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.errors import NotPermittedError
from target_pinterest_audience.pinterest.oauth import Authorization, check_redirect_uri, consent_page


@pytest.mark.parametrize(
    ("api_url", "page"),
    [
        ("https://api.pinterest.com/v5", "https://www.pinterest.com/oauth/"),
        ("https://proxy.example.com/pinterest/v5", "https://www.pinterest.com/oauth/"),
        ("http://127.0.0.1:8080/v5", "http://127.0.0.1:8080/oauth/"),
        ("http://[::1]:8080/v5", "http://[::1]:8080/oauth/"),
        ("http://localhost/v5", "http://localhost/oauth/"),
    ],
)
def test_the_address_of_the_consent_page_follows_from_the_api(api_url: str, page: str) -> None:
    assert consent_page(api_url) == page


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("localhost:8085", "must look like"),
        ("http://localhost:8085/#x", "must look like"),
        ("http://localhost:x/", "must look like"),
        ("http://example.com/back", "must begin with https"),
        ("ftp://localhost/", "must begin with https"),
    ],
)
def test_an_unusable_redirect_address_is_refused(uri: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        check_redirect_uri(uri)


def test_the_consent_page_is_asked_for_the_needed_scopes() -> None:
    page = consent_page("https://api.pinterest.com/v5")
    asked = urlsplit(Authorization(page, "1234567", "http://localhost:8085/", "s").address)
    assert asked._replace(query="").geturl() == page
    assert parse_qs(asked.query) == {
        "response_type": ["code"],
        "client_id": ["1234567"],
        "redirect_uri": ["http://localhost:8085/"],
        "scope": ["ads:read,ads:write"],
        "state": ["s"],
    }


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("code=c", "does not belong to this sign-in"),
        ("code=c&state=", "does not belong to this sign-in"),
        ("error=access_denied", "does not belong to this sign-in"),
        ("error=access_denied&state=s", "Access was denied"),
        ("error=invalid_scope&state=s", r"returned no code \(invalid_scope\)"),
        ("error=temporarily_unavailable&state=s", r"returned no code \(temporarily_unavailable\)"),
        ("error=pinr_s3cr3t&state=s", r"returned no code\. "),
        ("code=&state=s", "returned no code"),
        ("state=s", "returned no code"),
    ],
)
def test_an_answer_without_a_code_is_an_error(answer: str, words: str) -> None:
    attempt = Authorization("https://www.pinterest.com/oauth/", "1", "http://localhost:8085/", "s")
    with pytest.raises(NotPermittedError, match=words) as refused:
        attempt.code(f"http://localhost:8085/?{answer}")
    assert "s3cr3t" not in str(refused.value)
    assert attempt.code("http://localhost:8085/?code=c&state=s") == "c"
