"""Pages of different tests share the browser's cached files and no other state."""

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.async_api import Page


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    app.add_api_route("/", lambda: "<!doctype html><title>Home</title>", response_class=HTMLResponse)
    return app


READ_STATE = """async () => [
    document.cookie, localStorage.length, sessionStorage.length, (await caches.keys()).length, innerWidth,
    (await navigator.permissions.query({ name: "notifications" })).state, Date.now() > Date.UTC(2001),
]"""
STORE_STATE = """async () => {
    document.cookie = "name=Ada";
    localStorage.theme = sessionStorage.theme = "dark";
    await caches.open("mine");
}"""


@pytest.mark.parametrize("visit", ["first", "second"])
async def test_visits_share_no_state(page: Page, plain_page: Page, visit: str) -> None:
    for visitor in (page, plain_page):
        await visitor.goto("/")
        assert await visitor.context.cookies() == []
    assert await page.evaluate(READ_STATE) == ["", 0, 0, 0, 1280, "prompt", True]
    if visit == "second":
        return
    for visitor in (page, plain_page):
        await visitor.evaluate(STORE_STATE)
        await visitor.context.add_cookies([{"name": "elsewhere", "value": "Ada", "url": "http://localhost"}])
    await page.context.grant_permissions(["notifications"])
    await page.set_viewport_size({"width": 390, "height": 780})
    await page.context.new_page()
    await page.clock.install(time=0)
    await page.reload()
    assert not await page.evaluate("Date.now() > Date.UTC(2001)")
