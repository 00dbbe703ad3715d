"""Names of hosts as resolvers, browsers and certificates spell them."""

import pytest

from opportune.config.host_names import ascii_host


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("Example.org", "Example.org"),
        ("bücher.example.", "xn--bcher-kva.example."),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("localhost", "localhost"),
        (f"{'a' * 63}.org", f"{'a' * 63}.org"),
    ],
)
def test_a_host_is_spelt_as_browsers_ask_for_it(name: str, spelt: str) -> None:
    assert ascii_host(name) == spelt


@pytest.mark.parametrize("name", ["", ".", "a..b", "ü..b", "a" * 64, "ü" * 64])
def test_what_can_be_no_host_has_no_spelling(name: str) -> None:
    assert ascii_host(name) == ""
