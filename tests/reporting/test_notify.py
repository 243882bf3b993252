"""What of an address is secret, and what is not."""

from __future__ import annotations

import pytest

from target_pinterest_audience.reporting.alerts.notifier import scheme_of, secrets_of


@pytest.mark.parametrize(
    ("url", "scheme", "secret"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#room", "slack", "TIiajkdnlazkcOXrIdevi7FQ"),
        ("mailto://somebody:correct%20horse%20battery@example.com", "mailto", "correct horse battery"),
        ("json://host/x?+X-Api-Key=0123456789abcdef", "json", "0123456789abcdef"),
        ("https://hooks.example.com/services/0123456789abcdef", "https", "0123456789abcdef"),
        ("0123456789abcdef", "", "0123456789abcdef"),
    ],
)
def test_only_the_scheme_of_an_address_is_shown(url: str, scheme: str, secret: str) -> None:
    assert scheme_of(url) == scheme
    assert {url, secret} <= secrets_of(url)
    assert not {scheme, "host", "x", "example.com"} & secrets_of(url)
