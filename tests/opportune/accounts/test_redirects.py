"""Targets of redirects after sign-in: only paths of this site are accepted."""

import pytest

from opportune.web.redirects import safe_redirect_path

FOREIGN_URLS = r"""
    tokens //evil.example ///evil.example /\evil.example \\evil.example \/evil.example https:evil.example
    https://evil.example http:///evil.example HTTPS://evil.example javascript:alert(1) data:text/html,x
    %2f%2fevil.example /%2fevil.example /%5cevil.example /%09/evil.example /%5c%5cevil.example @evil.example
    user@evil.example http://testserver@evil.example /%0d%0aSet-Cookie:a=b
"""
URLS_WITH_CONTROL_CHARACTERS = [
    *("/\t/evil.example", "\t//evil.example", "/\n/evil.example", "/\r\nSet-Cookie: a=b", "/\x00/evil.example"),
    *(" //evil.example", "/\u2028/evil.example", "/\ud800", "/accounts/tokens\x7f", "/%252f%252f\r\nevil.example"),
]


@pytest.mark.parametrize("address", ["/", "/books", "/b?text=a%20%E2%80%8Cb&page=2", "/books/7#end", "/@ada", "/größe"])
def test_local_path_is_accepted(address: str) -> None:
    assert safe_redirect_path(address) == address


@pytest.mark.parametrize("address", [None, "", *FOREIGN_URLS.split(), *URLS_WITH_CONTROL_CHARACTERS, "/" + "x" * 2000])
def test_other_urls_redirect_to_the_start_page(address: str | None) -> None:
    assert safe_redirect_path(address) == "/"
