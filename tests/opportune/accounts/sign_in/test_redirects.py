"""Targets of redirects after sign-in: only paths of this site are accepted."""

import pytest

from opportune.web.redirects import safe_redirect_path


@pytest.mark.parametrize("address", ["/", "/books", "/books?text=a%20b&page=2", "/books/7#end", "/@ada", "/größe"])
def test_local_path_is_accepted(address: str) -> None:
    assert safe_redirect_path(address) == address


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "tokens",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "\\/evil.example",
        "https:evil.example",
        "https://evil.example",
        "http:///evil.example",
        "HTTPS://evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "/\t/evil.example",
        "\t//evil.example",
        "/\n/evil.example",
        "/\r\nSet-Cookie: a=b",
        " //evil.example",
        "/\x00/evil.example",
        "%2f%2fevil.example",
        "/%2fevil.example",
        "/%5cevil.example",
        "/%09/evil.example",
        "@evil.example",
        "user@evil.example",
        "http://testserver@evil.example",
        "/\u2028/evil.example",
        "/\ud800",
        "/accounts/tokens\x7f",
        "/%5c%5cevil.example",
        "/%252f%252f\r\nevil.example",
        "/%0d%0aSet-Cookie:a=b",
        "/" + "x" * 2000,
    ],
)
def test_other_urls_redirect_to_the_start_page(address: str | None) -> None:
    assert safe_redirect_path(address) == "/"
