"""Responses of all pages: no inline scripts, no secrets, no foreign hosts, no changes."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from tests.opportune.security.visit import Visit


class PageParser(HTMLParser):
    """Parser that collects the inline scripts, inline styles and foreign URLs of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.foreign_urls: list[str] = []
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        for name, value in attrs:
            url = urlsplit(value or "") if name in {"href", "src", "action", "formaction", "data"} else urlsplit("")
            if name.startswith(("on", "hx-on")) or url.scheme == "javascript":
                self.scripts.append(f"{tag} {name}={value}")
            elif name == "style":
                self.styles.append(f"{tag} {name}={value}")
            elif tag != "a" and url.netloc:
                self.foreign_urls.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        if data.strip() and self._tag in ("script", "style"):
            (self.scripts if self._tag == "script" else self.styles).append(data.strip()[:99])

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""


@pytest.fixture(scope="module")
def pages(visit: Visit) -> dict[str, PageParser]:
    types = {path: response.headers.get("content-type", "") for path, response in visit.responses.items()}
    paths = [path for path, type_ in types.items() if type_.startswith("text/html")]
    html_pages = {path: PageParser(visit.responses[path].text) for path in paths}
    assert len(html_pages) > 20
    return html_pages


def test_get_requests_change_nothing(visit: Visit) -> None:
    """Links and images of other sites can trigger any GET request."""
    assert visit.after == visit.before


def test_pages_have_no_inline_or_foreign_code(pages: dict[str, PageParser]) -> None:
    own_pages = {path: page for path, page in pages.items() if not path.startswith(("/admin", "/api/docs"))}
    assert {path: page.scripts for path, page in pages.items() if page.scripts} == {}
    assert {path: page.styles for path, page in own_pages.items() if page.styles} == {}
    assert {path: page.foreign_urls for path, page in pages.items() if page.foreign_urls} == {}


def test_csp_forbids_inline_and_foreign_scripts(visit: Visit) -> None:
    policies = {path: response.headers["content-security-policy"] for path, response in visit.responses.items()}
    strong = re.compile(r"script-src 'self'(;|$)|default-src 'none'")
    assert {path: policy for path, policy in policies.items() if not strong.search(policy)} == {}


def test_pages_of_users_are_not_stored(visit: Visit) -> None:
    stored = {path for path, response in visit.responses.items() if "public" in response.headers["cache-control"]}
    assert stored == {"/favicon.ico", "/robots.txt"} & visit.responses.keys(), "all visitors get the same content"


def test_table_pages_show_no_secrets(visit: Visit) -> None:
    """Sample users have an Argon2 hash of a password, and sessions a hash of a token."""
    texts = {path: response.text for path, response in visit.responses.items()}
    assert [path for path, text in texts.items() if "$argon2" in text or "token_hash" in text] == []
