"""axe finds no errors on linked pages and account pages, in light and dark mode."""

import re
from html import unescape
from itertools import zip_longest
from pathlib import Path

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
from tests.opportune.e2e.parts_of_pages import RenderMode, select_pages
from tests.opportune.stored_rows import execute

LINK = re.compile(r'<a [^>]*?href="(/[^"#]*)"')
EXCLUDED_PATH = re.compile(r"/(static|files)/|/export\b|/mailbox/.|/api/docs$")
"""Files, e-mails, and Swagger UI."""
SIMILAR_ADMIN_PAGE = re.compile(r"/admin/(?:[\w-]+/(details|delete|history|import)\b.*|([\w-]+/)(?:edit/.*|create))")
OPERATIONS_PAGES = [
    *(f"/admin/operations{page}" for page in ("", "/settings", "/doctor", "/confirm")),
    "/admin/llm/provider",
    "/admin/user/report?_group=is_active",
]
SHEET = re.compile(r'<link[^>]*href="([^"]+\.css[^"]*)"')
SCRIPT = re.compile(r'<script[^>]*src="([^"]+)"')
SHOW_SCRIPT = Path(__file__).with_name("show_pages.js").read_text(encoding="utf-8")
"""Script that shows one page, or the new parts of several.

Of repeated elements, such as rows of a table, two are kept. The layout of pages is left out after the first.
"""
ACCOUNT_PAGES = ("login", "register", "forgot-password", "verify", "reset-password?token=none", "left")
ANONYMOUS_PAGES = ["/", *(f"/accounts/{page}" for page in ACCOUNT_PAGES), "/nothing"]


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


async def show(page: Page, path: str, html: str, mode: RenderMode, loaded: str) -> str:
    """Return the page to load: this one, or the previous one with the body of this one."""
    is_alike = SHEET.findall(html) == SHEET.findall(loaded) and {*SCRIPT.findall(html)} <= {*SCRIPT.findall(loaded)}
    if is_alike and mode is not RenderMode.LOADED:
        await page.evaluate(SHOW_SCRIPT, [html])
        return loaded
    await page.goto(path)
    await page.evaluate(SHOW_SCRIPT, [])
    return html


@pytest.mark.language("en", "ar")
async def test_pages_are_accessible(page: Page, app: FastAPI, client: AsyncClient, superuser: User, site: str) -> None:
    """Check one page for each set of parts, and load one page for each layout.

    Parts that differ only in colour are checked together, on a page with the same style sheets.
    """
    reset = signed_links.make_link_token(app.state.settings, "reset", superuser)
    anonymous_paths = [*ANONYMOUS_PAGES, f"/accounts/reset-password?token={reset}"]
    pages = {(False, path): (await client.get(path, headers={"Accept": "text/html"})).text for path in anonymous_paths}
    async with signed_in_client(app, superuser) as superuser_client:
        pages_by_path = await fetch_linked_pages(app, superuser_client)
        await execute(app, update(Session).values(confirmed_at=utc_now()))
        pages_by_path |= {path: (await superuser_client.get(path)).text for path in OPERATIONS_PAGES}
    pages |= {(True, path): html for path, html in pages_by_path.items()}
    assert len(pages) > 20
    selected = select_pages(pages)
    loaded_sheets = [SHEET.findall(pages[key]) for key in selected if selected[key]]
    selected |= {key: RenderMode.LOADED for key in selected if SHEET.findall(pages[key]) not in loaded_sheets}
    alone = [key for key in selected if selected[key]]
    # Groups pages by style sheets, with pages to load and pages with many scripts first.
    scripts = {key: len(SCRIPT.findall(pages[key])) for key in alone}
    alone.sort(key=lambda key: (key[0], SHEET.findall(pages[key]), -selected[key], -scripts[key], key[1]))
    together = [pages[key] for key in selected if not selected[key]]
    violations = []
    is_signed_in, loaded = False, ""
    for key, after in zip_longest(alone, alone[1:]):
        needs_sign_in, path = key
        if needs_sign_in and not is_signed_in:
            await sign_in_browser(page, app, superuser, site)
            await execute(app, update(Session).values(confirmed_at=utc_now()))
            is_signed_in = True
        loaded = await show(page, path, pages[key], selected[key], loaded)
        violations += [f"{path}: {text}" for text in await find_violations(page)]
        sheets = SHEET.findall(loaded)
        similar = [html for html in together if SHEET.findall(html) == sheets]
        if similar and (after is None or SHEET.findall(pages[after]) != sheets):
            await page.evaluate(SHOW_SCRIPT, ["", *similar])  # the empty one selects new parts
            violations += await find_violations(page, of_colours_alone=True)
            together = [html for html in together if html not in similar]
    assert not together, "no loaded page has the style sheets of these"
    assert not violations
