"""In light and in dark axe finds nothing on any page that a link leads to, nor on those of accounts that none does."""

import re
from html import unescape

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from httpx import AsyncClient
from playwright.async_api import Page
from sqlalchemy import update
from starlette.routing import Match

from opportune.accounts import signed_links
from opportune.accounts.models import Session, User
from opportune.db.model import utc_now
from opportune.project import installed_features
from opportune.testing.factories import make_user, sign_in_browser, signed_in_client
from opportune.testing.services.accessibility import find_violations

# A browser shows the same with both kinds.
pytestmark = pytest.mark.database("sqlite")

LINK = re.compile(r'<a [^>]*?href="(/[^"#]*)"')
NO_PAGES = re.compile(r"/(static|files)/|/export\b|/mailbox/.|/api/docs$")
"""Files, e-mails in their own words, and Swagger's page, which is not ours."""
ALIKE = re.compile(r"/admin/(?:[\w-]+/(details|delete|history|import)\b.*|([\w-]+/)(?:edit/.*|create))")
OF_OPERATIONS = [
    *(f"/admin/operations{page}" for page in ("", "/settings", "/doctor", "/confirm")),
    "/admin/llm/provider",
]
OF_STRANGERS = [
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
    """Of a site with something to look at."""
    user = await make_user(app.state.database, "root@example.com", is_superuser=True, is_staff=True)
    async with app.state.database.writer() as session:
        for feature in installed_features():
            if feature.demo:
                await feature.demo.load(session)
    return user


async def found(page: Page, addresses: list[str]) -> list[str]:
    faults = []
    for address in addresses:
        await page.goto(address)
        faults += [f"{address}: {text}" for text in await find_violations(page)]
    return faults


async def linked(app: FastAPI, client: AsyncClient, start: str, within: str) -> list[str]:
    """One address of each kind that the links of pages lead to, from one page on."""
    seen, todo, pages = {kind_of(app, start)}, [start], []
    while todo:
        address = todo.pop(0)
        answer = await client.get(address)
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        pages.append(address)
        for link in map(unescape, LINK.findall(answer.text)):
            kind = kind_of(app, link)
            if kind.startswith(within) and kind not in seen and not NO_PAGES.search(link):
                seen.add(kind)
                todo.append(link)
    return pages


def kind_of(app: FastAPI, address: str) -> str:
    """The path of its route. Of the admin the path itself: each model's list and form, but one page of other kinds."""
    path = address.partition("?")[0]
    scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    for route in app.router.routes:
        if isinstance(route, APIRoute) and route.matches(scope)[0] is Match.FULL:
            return route.path
    return ALIKE.sub(r"/admin/*/\1\2", path)


async def test_pages_of_the_site_keep_nobody_out(page: Page, app: FastAPI, superuser: User, site: str) -> None:
    reset = signed_links.make_link_token(app.state.settings, "reset", superuser)
    assert not await found(page, [*OF_STRANGERS, f"/accounts/reset-password?token={reset}"])
    async with signed_in_client(app, superuser) as client:
        pages = await linked(app, client, "/", "/")
    await sign_in_browser(page, app, superuser, site)
    assert not await found(page, [address for address in pages if not address.startswith("/admin")])


async def test_pages_of_the_admin_keep_nobody_out(page: Page, app: FastAPI, superuser: User, site: str) -> None:
    async with signed_in_client(app, superuser) as client:
        pages = await linked(app, client, "/admin/", "/admin/")
    assert len(pages) > 10
    await sign_in_browser(page, app, superuser, site)
    async with app.state.database.writer() as session:  # the password was typed just now
        await session.execute(update(Session).values(confirmed_at=utc_now()))
    assert not await found(page, [*pages, *OF_OPERATIONS])
