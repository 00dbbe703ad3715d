"""axe finds no errors on linked pages and account pages, in light and dark mode."""

import re
from collections.abc import Mapping
from html import unescape

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from httpx2 import AsyncClient
from playwright.async_api import Page
from sqlalchemy import update
from starlette.routing import Match

from opportune.accounts import signed_links
from opportune.accounts.models import Session, User
from opportune.db.clock import utc_now
from opportune.project.installed import installed_features
from opportune.testing.factories import make_user, sign_in_browser, signed_in_client
from opportune.testing.services.accessibility import find_violations
from tests.opportune.stored_rows import execute

Address = tuple[bool, str]
"""Whether the user is signed in, and a path."""
LINK = re.compile(r'<a [^>]*?href="(/[^"#]*)"')
EXCLUDED_PATH = re.compile(r"/(static|files)/|/export\b|/mailbox/.|/api/docs$")
"""Files, e-mails, and Swagger UI."""
SIMILAR_ADMIN_PAGE = re.compile(r"/admin/(?:[\w-]+/(details|delete|history|import)\b.*|([\w-]+/)(?:edit/.*|create))")
OPERATIONS_PAGES = [
    *(f"/admin/operations{page}" for page in ("", "/settings", "/doctor", "/confirm")),
    "/admin/llm/provider",
]
ATTRIBUTE = re.compile(r' (?:class|role|type)="([^"]*)"')
LAYOUT_CLASS = re.compile(
    r"([mp][xytbse]?|d|g[xy]?|w|h|col|flex|align|justify|ti)-.*|text-\w*(end|start|center|nowrap)"
)
"""Classes without effect on colours and names, and icons."""
BROWSER_HEADERS = {"Accept": "text/html"}
ANONYMOUS_PAGES = [
    "/",
    "/accounts/login",
    "/accounts/register",
    "/accounts/forgot-password",
    "/accounts/verify",
    "/accounts/reset-password?token=none",
    "/accounts/left",
    "/nothing",
]


@pytest.fixture
async def superuser(app: FastAPI) -> User:
    """Superuser of a site with demo data."""
    user = await make_user(app.state.database, "root@example.com", is_superuser=True, is_staff=True)
    async with app.state.database.writer() as session:
        for feature in installed_features():
            if feature.data.demo:
                await feature.data.demo.load(session)
    return user


async def fetch_linked_pages(app: FastAPI, client: AsyncClient) -> dict[str, str]:
    """Follow links from the home page and the admin, and return one page per route."""
    queue, pages = ["/", "/admin/?complete=1"], {}
    visited_types = {page_type(app, start) for start in queue}
    links = set(queue)
    while queue:
        address = queue.pop(0)
        response = await client.get(address)
        if "text/html" not in response.headers.get("content-type", ""):
            continue
        pages[address] = response.text
        for link in map(unescape, LINK.findall(response.text)):
            if link in links or EXCLUDED_PATH.search(link):
                continue
            links.add(link)
            if (type_ := page_type(app, link)) not in visited_types:
                visited_types.add(type_)
                queue.append(link)
    return pages


def page_type(app: FastAPI, address: str) -> str:
    """Return the path of the route. For the admin, each list and form counts as one page."""
    path = address.partition("?")[0]
    scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    for route in app.router.routes:
        if isinstance(route, APIRoute) and route.matches(scope)[0] is Match.FULL:
            return route.path
    return SIMILAR_ADMIN_PAGE.sub(r"/admin/*/\1\2", path)


def select_pages(pages: Mapping[Address, str]) -> list[Address]:
    """Select pages until each class, role and type is on one of them. Visitors' pages come first."""
    words = {
        address: {word for text in ATTRIBUTE.findall(html) for word in text.split() if not LAYOUT_CLASS.fullmatch(word)}
        for address, html in pages.items()
    }
    selected: list[Address] = []
    while any(words.values()):
        address = max(words, key=lambda address: len(words[address]))
        selected.append(address)
        covered = words[address]
        words = {other: remaining - covered for other, remaining in words.items()}
    return sorted(selected)


async def test_pages_are_accessible(page: Page, app: FastAPI, client: AsyncClient, superuser: User, site: str) -> None:
    reset = signed_links.make_link_token(app.state.settings, "reset", superuser)
    anonymous_paths = [*ANONYMOUS_PAGES, f"/accounts/reset-password?token={reset}"]
    pages = {(False, path): (await client.get(path, headers=BROWSER_HEADERS)).text for path in anonymous_paths}
    async with signed_in_client(app, superuser) as superuser_client:
        pages_by_path = await fetch_linked_pages(app, superuser_client)
        await execute(app, update(Session).values(confirmed_at=utc_now()))
        pages_by_path |= {path: (await superuser_client.get(path)).text for path in OPERATIONS_PAGES}
    pages |= {(True, path): html for path, html in pages_by_path.items()}
    assert len(pages) > 20
    violations: list[str] = []
    for needs_sign_in, path in select_pages(pages):
        if needs_sign_in and not await page.context.cookies():
            await sign_in_browser(page, app, superuser, site)
            await execute(app, update(Session).values(confirmed_at=utc_now()))
        await page.goto(path)
        violations += [f"{path}: {text}" for text in await find_violations(page)]
    assert not violations
