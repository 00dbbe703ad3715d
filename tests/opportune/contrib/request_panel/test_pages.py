"""Pages and access of the request panel."""

import logging

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from playwright.async_api import Page, expect
from pydantic import SecretStr
from sqlalchemy import text

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.contrib.request_panel.records import RequestRecord
from opportune.contrib.request_panel.statements import MAX_VALUE_BYTES
from opportune.db import ReadSession
from opportune.project.modules import application
from opportune.services.observers import observers
from opportune.testing.app import create_test_app
from opportune.testing.factories import sign_in, sign_in_browser
from opportune.testing.services.accessibility import find_violations
from opportune.web import templates
from opportune.web.rendering.environment import TemplateContext
from opportune.web.routing.router import router_of
from tests.opportune.contrib.request_panel.conftest import Probe

JSON = {"Accept": "application/json"}


@pytest.fixture
async def found(app: FastAPI, probe: Probe) -> RequestRecord:
    """A request with a query by id, a statement without a plan, and a query with a long value."""

    async def query(session: ReadSession) -> None:
        await session.execute(text("SELECT id FROM accounts_user WHERE id = :id"), {"id": 1})
        await session.execute(text("SELECT :long AS text"), {"long": "x" * (MAX_VALUE_BYTES + 1)})
        async with app.state.database.writer() as writer:
            await writer.execute(text("DELETE FROM accounts_user WHERE id = :id"), {"id": 0})

    return await probe(query)


def plan_url(record: RequestRecord, word: str) -> str:
    number = next(index for index, statement in enumerate(record.statements, 1) if word in statement.sql)
    return f"{record.url}/statements/{number}"


async def test_list_links_to_requests(client: AsyncClient, found: RequestRecord) -> None:
    html = (await client.get("/_debug")).text
    assert f'href="{found.url}"' in html
    assert "GET /probe" in html
    html = (await client.get(found.url)).text
    assert "FROM accounts_user WHERE id" in html
    assert "test_pages.py:" in html


async def test_only_queries_are_explained(client: AsyncClient, found: RequestRecord) -> None:
    url = plan_url(found, "SELECT id FROM")
    fragment = (await client.get(url, headers={"HX-Request": "true", "HX-Request-Type": "partial"})).text
    assert fragment.lstrip().startswith("<pre")
    assert "accounts_user" in fragment
    heading, plan = (await client.get(url)).text.split("<h1>Query plan</h1>")
    assert "<html" in heading
    assert "accounts_user" in plan
    for word, message in (("DELETE", "Only a SELECT can be explained."), ("AS text", "This statement is too long")):
        response = await client.get(plan_url(found, word), headers=JSON)
        assert response.status_code == 409, word
        assert response.json()["detail"].startswith(message)


async def test_other_machines_are_refused(app: FastAPI) -> None:
    forwarded = "X-Forwarded-For", "X-Forwarded-Proto", "Via", "CF-Connecting-IP", "True-Client-IP", "CDN-Loop"
    headers_of_proxies: list[dict[str, str]] = [{name: "192.0.2.7"} for name in forwarded]
    for client_address, base_url, headers in (
        ("192.0.2.7", "http://localhost", {}),
        ("127.0.0.1", "http://evil.example", {}),
        *(("127.0.0.1", "http://localhost", headers) for headers in headers_of_proxies),
    ):
        transport = ASGITransport(app, client=(client_address, 1))
        async with AsyncClient(transport=transport, base_url=base_url) as stranger:
            response = await stranger.get("/_debug", headers=headers | JSON)
        assert response.status_code == 403, (client_address, base_url, headers)
        assert "Open the request panel on this machine" in response.json()["detail"]


async def test_superuser_may_open_it_from_elsewhere(app: FastAPI, superuser: User) -> None:
    transport = ASGITransport(app, client=("192.0.2.7", 1))
    async with AsyncClient(transport=transport, base_url="http://localhost") as client:
        await sign_in(client, app, superuser)
        assert (await client.get("/_debug")).status_code == 200


@pytest.mark.parametrize(
    ("environment", "debug"), [("production", True), ("production", False), ("development", False)]
)
def test_disabled_panel_leaves_no_trace(settings: Settings, environment: str, debug: bool) -> None:
    update = {"environment": environment, "debug": debug, "secret_key": SecretStr("x1" * 32)}
    site = application(settings.model_copy(update=update))
    assert not {path for route in router_of(site).routes if (path := getattr(route, "path", "")).startswith("/_debug")}
    modules = [middleware.cls.__module__ for middleware in site.user_middleware]
    assert not [module for module in modules if "request_panel" in module]
    assert not hasattr(site.state, "request_records")


async def test_listeners_need_the_panel_and_end_with_the_site(settings: Settings) -> None:
    site = create_test_app(settings.model_copy(update={"debug": False}))
    handlers, observed = logging.getLogger().handlers[:], observers[:]
    async with site.router.lifespan_context(site):
        assert not any(engine.dispatch.before_cursor_execute for engine in site.state.database.sync_engines)
        assert templates.environment.context_class is TemplateContext
        assert (logging.getLogger().handlers, observers) == (handlers, observed)
    site = create_test_app(settings)
    handlers = logging.getLogger().handlers[:]
    async with site.router.lifespan_context(site):
        assert templates.environment.context_class is not TemplateContext
    assert templates.environment.context_class is TemplateContext
    assert logging.getLogger().handlers == handlers


async def test_plan_appears_in_the_page(app: FastAPI, page: Page, site: str, user: User) -> None:
    await sign_in_browser(page, app, user, site)
    await page.goto("/accounts/profile")
    assert not await find_violations(page)
    await page.get_by_role("link", name="Request panel").click()
    await expect(page.get_by_role("heading", name="GET /accounts/profile")).to_be_visible()
    await page.get_by_role("link", name="Explain statement 1", exact=True).click()
    await expect(page.locator("#plan-1")).to_contain_text("accounts_session")
    assert "/statements/" not in page.url
    assert not await find_violations(page)
    await page.goto("/_debug")
    assert not await find_violations(page)
