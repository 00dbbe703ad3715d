"""The documentation at /docs."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from opportune.config.settings import Settings
from opportune.contrib.documentation.content import page_names
from opportune.project.layout import application
from opportune.testing.services.accessibility import find_violations
from opportune.web.routing.router import router_of


async def test_all_pages_are_listed_by_type(client: AsyncClient) -> None:
    html = (await client.get("/docs")).text
    assert [name for name in page_names() if f'href="/docs/{name}"' not in html] == ["index"]
    assert html.index("Tutorial</h2>") < html.index('href="/docs/tutorial"') < html.index("How-to guide</h2>")


async def test_search_links_to_sections(client: AsyncClient) -> None:
    html = (await client.get("/docs", params={"q": "many-to-many"})).text
    assert 'href="/docs/cookbook#' in html
    assert "<mark>" in html


async def test_search_while_typing_returns_the_results(client: AsyncClient) -> None:
    response = await client.get("/docs", params={"q": "schedu"}, headers={"HX-Request-Type": "partial"})
    assert response.text.lstrip().startswith('<section id="docs-results"')


async def test_unmatched_search_is_explained(client: AsyncClient) -> None:
    assert "Nothing matches “xyzzyq”." in (await client.get("/docs", params={"q": "xyzzyq"})).text


async def test_pages_are_shown(client: AsyncClient) -> None:
    responses = {name: await client.get(f"/docs/{name}") for name in page_names()}
    assert {name for name, response in responses.items() if "<h1" not in response.text} == set()
    assert {name for name, response in responses.items() if response.status_code != 200} == set()


async def test_url_with_suffix_is_accepted(client: AsyncClient) -> None:
    assert (await client.get("/docs/crud.md")).status_code == 200


async def test_unknown_page_is_not_found(client: AsyncClient) -> None:
    for name in ("nope", "../README", "..%2F..%2Fpyproject", "deploy/nope"):
        assert (await client.get(f"/docs/{name}")).status_code == 404, name


@pytest.mark.parametrize("environment", ["production", "test"])
def test_other_environments_have_no_documentation(settings: Settings, environment: str) -> None:
    update = {"environment": environment, "debug": False}
    site = application(settings.model_copy(update=update))
    paths = {getattr(route, "path", "") for route in router_of(site).routes}
    assert not {path for path in paths if path.startswith("/docs")}


async def test_results_appear_while_typing(app: FastAPI, page: Page, site: str) -> None:
    await page.goto("/docs")
    await page.get_by_role("searchbox").press_sequentially("passkeys")
    await expect(page.get_by_role("link", name="Passkeys").first).to_be_visible()
    assert not await find_violations(page)
    await page.goto("/docs/passkeys")
    assert not await find_violations(page)
