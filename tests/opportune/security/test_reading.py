"""What every address answers to whoever may read all of it."""

import os
import re
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from opportune.testing.access import addresses, copy, everyone, example, is_of_project, site_on
from opportune.testing.asgi_requests import Response, send_request

NOTES = {"admin_audit_entry", "accounts_event"}
"""Who looked at what may be written down."""
ONLY_PROJECT = "ONLY_PROJECT"
"""Where this is set, what the framework answers is left out: `test_project.py` runs this once for each feature."""
STYLED_BY_OTHERS = ("/admin", "/api/docs")
LEADS = {"href", "src", "action", "formaction", "data"}


class Visit(NamedTuple):
    answers: dict[str, Response]
    pages: "dict[str, Page]"
    before: list[str]
    after: list[str]


class Page(HTMLParser):
    """What a page would have the browser run or fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.elsewhere: list[str] = []
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        for name, value in attrs:
            address = urlsplit(value or "") if name in LEADS else urlsplit("")
            if name.startswith(("on", "hx-on")) or address.scheme == "javascript":
                self.scripts.append(f"{tag} {name}={value}")
            elif name == "style":
                self.styles.append(f"{tag} {name}={value}")
            elif tag != "a" and address.netloc:
                self.elsewhere.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        if data.strip() and self._tag in ("script", "style"):
            (self.scripts if self._tag == "script" else self.styles).append(data.strip()[:99])

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""


@pytest.fixture(scope="module")
async def visit(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    """All that can be read, by an owner outside the admin and by a superuser in it."""
    file = tmp_path_factory.mktemp("visit") / "site.db"
    copy(sqlite_template, file)
    app = site_on(file)
    async with app.router.lifespan_context(app):
        people, before = await everyone(app), rows(file)
        answers = {
            path: await send_request(
                app, "GET", example(path), people["superuser" if path.startswith("/admin") else "owner"]
            )
            for source, method, path in addresses(app)
            if method == "GET" and (is_of_project(source) or ONLY_PROJECT not in os.environ)
        }
        after = rows(file)
    pages = {path: Page(answer.text) for path, answer in answers.items() if is_page(answer)}
    assert len(pages) > (20 if ONLY_PROJECT not in os.environ else 5)
    return Visit(answers, pages, before, after)


def rows(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [line for line in connection.iterdump() if not any(f'"{name}"' in line for name in NOTES)]


def is_page(answer: Response) -> bool:
    return answer.headers.get("content-type", "").startswith("text/html")


def test_reading_changes_nothing(visit: Visit) -> None:
    """A link or a picture of another site leads a visitor's browser to any of these."""
    assert visit.after == visit.before


def test_no_page_holds_a_script_of_its_own(visit: Visit) -> None:
    assert {path: page.scripts for path, page in visit.pages.items() if page.scripts} == {}


def test_no_page_holds_a_style_of_its_own_but_those_that_others_have_made(visit: Visit) -> None:
    ours = {path: page for path, page in visit.pages.items() if not path.startswith(STYLED_BY_OTHERS)}
    assert {path: page.styles for path, page in ours.items() if page.styles} == {}


def test_no_page_fetches_anything_from_elsewhere(visit: Visit) -> None:
    assert {path: page.elsewhere for path, page in visit.pages.items() if page.elsewhere} == {}


def test_no_answer_allows_scripts_of_others_or_of_a_page(visit: Visit) -> None:
    policies = {path: answer.headers["content-security-policy"] for path, answer in visit.answers.items()}
    loose = {
        path: policy
        for path, policy in policies.items()
        if not re.search(r"script-src 'self'(;|$)", policy) and "default-src 'none'" not in policy
    }
    assert loose == {}


def test_nothing_that_somebody_who_is_signed_in_reads_is_stored_by_caches(visit: Visit) -> None:
    stored = {path for path, answer in visit.answers.items() if "public" in answer.headers["cache-control"]}
    assert stored == {"/favicon.ico", "/robots.txt"} & visit.answers.keys(), "which are the same for everybody"


def test_no_page_of_a_table_tells_a_secret(visit: Visit) -> None:
    """`rows` and `factories` have put a hash into every column for one."""
    told = [path for path, answer in visit.answers.items() if "$argon2" in answer.text or "token_hash" in answer.text]
    assert told == []
