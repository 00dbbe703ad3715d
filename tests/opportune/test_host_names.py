"""Host names in ASCII."""

import pytest

from opportune.config.host_names import ascii_host


@pytest.mark.parametrize(
    ("name", "ascii_name"),
    [
        ("Example.org", "Example.org"),
        ("bücher.example.", "xn--bcher-kva.example."),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        (f"{'a' * 63}.org", f"{'a' * 63}.org"),
    ],
)
def test_host_is_converted_to_ascii(name: str, ascii_name: str) -> None:
    assert ascii_host(name) == ascii_name


@pytest.mark.parametrize("name", ["", ".", "a..b", "ü..b", "a" * 64, "ü" * 64])
def test_invalid_host_is_empty(name: str) -> None:
    assert ascii_host(name) == ""
