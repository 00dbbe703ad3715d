"""Links of all pages of a site with languages in its URLs."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi import FastAPI

from opportune.testing.access.addresses import example_path, list_addresses
from opportune.testing.access.sites import copy_sqlite_file, headers_by_role, sqlite_site
from opportune.testing.asgi_requests import send_request
from opportune.web.language import has_language

OTHER_ATTRIBUTES = ("aria-keyshortcuts", "value")
"""Attributes for a key, and for the page to return to."""
REFRESH = re.compile(r"\d+; *url=")


class Links(HTMLParser):
    """Parser that collects all attributes with a path of the site, except of links to another language."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.paths: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: REFRESH.sub("", value or "") for name, value in attrs if name not in OTHER_ATTRIBUTES}
        if "hreflang" not in values and values.get("rel") != "canonical":
            paths = [value for value in values.values() if re.match(r"/(?!/)", value) and has_language(value)]
            self.paths += paths


@pytest.fixture
async def site(sqlite_template: Path, tmp_path: Path) -> FastAPI:
    copy_sqlite_file(sqlite_template, tmp_path / "site.db")
    languages = {"language": "en", "languages": ["en", "de"], "language_in_url": True}
    return sqlite_site(tmp_path / "site.db", **languages)


def page_paths(app: FastAPI) -> Iterator[str]:
    for _, method, path in list_addresses(app):
        if method == "GET" and re.match(r"/(?!api|static|admin)|/admin/(\w+/(edit|details)/.*)?$", path):
            yield example_path(path)


async def test_links_of_all_pages_keep_the_language(site: FastAPI) -> None:
    wrong: dict[str, list[str]] = {}
    count = 0
    async with site.router.lifespan_context(site):
        headers = await headers_by_role(site)
        for path in page_paths(site):
            for role in ("anonymous", "superuser" if path.startswith("/admin") else "owner"):
                response = await send_request(site, "GET", f"/de{path}", {**headers[role], "accept": "text/html"})
                if response.headers.get("content-type", "").startswith("text/html"):
                    links = Links(response.text).paths
                    count += len(links)
                    if found := [link for link in links if not f"{link}/".startswith("/de/")]:
                        wrong[f"{role} {path}"] = found
    assert count > 1000
    assert wrong == {}
