"""Flash messages."""

from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from httpx import ASGITransport, AsyncClient

from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.testing.factories import make_user, sign_in
from opportune.testing.quiet_app import quiet_app
from opportune.web.cache import cached
from opportune.web.rendering.flash import MAX_COOKIE_BYTES, flash
from opportune.web.rendering.templates import templates

pytestmark = pytest.mark.database("sqlite")

router = APIRouter()
builds = iter(range(1000))


@router.post("/say")
async def say(request: Request, texts: Annotated[list[str], Form()]) -> Response:
    for text in texts:
        flash(request, text)
    return RedirectResponse("/shown", 303)


@router.post("/fail")
async def fail(request: Request) -> Response:
    flash(request, "This is done.")
    raise HTTPException(409)


@router.get("/shown")
async def shown(request: Request) -> Response:
    return templates.render(request, "accounts/email_sent.html")


@router.get("/kept")
@cached(60)
async def kept(request: Request) -> Response:
    return numbered(request)


@router.get("/kept-for-each")
@cached(60, per_user=True)
async def kept_for_each(request: Request) -> Response:
    return numbered(request)


def numbered(request: Request) -> Response:
    page = templates.render(request, "accounts/email_sent.html")
    page.headers["build"] = str(next(builds))
    return page


saying = Feature(name="saying", summary="Says what it is told.", pages=router)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    app = quiet_app(settings, (saying,))
    async with app.router.lifespan_context(app):
        yield app


async def test_message_is_shown_once_and_escaped(client: AsyncClient) -> None:
    response = await client.post("/say", data={"texts": "<b>Saved</b>"})

    assert (response.status_code, response.headers["location"]) == (303, "/shown")  # without the message
    page = (await client.get("/shown")).text
    assert page.count("&lt;b&gt;Saved&lt;/b&gt;") == 1
    assert 'role="status"' in page
    assert "Saved" not in (await client.get("/shown")).text
    assert not client.cookies


async def test_messages_keep_their_order(client: AsyncClient) -> None:
    await client.post("/say", data={"texts": ["One.", "Two."]})
    await client.post("/say", data={"texts": "Three."})
    await client.get("/health/live")  # renders no page

    page = (await client.get("/shown")).text
    assert page.index("One.") < page.index("Two.") < page.index("Three.")


async def test_failed_request_adds_no_message(client: AsyncClient) -> None:
    response = await client.post("/fail", headers={"Accept": "text/html"})

    assert response.status_code == 409
    assert "This is done." not in response.text
    assert not client.cookies


async def test_forged_message_cookie_is_ignored(client: AsyncClient, settings: Settings) -> None:
    cookie = (await client.post("/say", data={"texts": "Saved."})).headers["set-cookie"]
    assert cookie.startswith("messages=")
    for flag in ("path=/;", "httponly", "samesite=lax", "max-age=300"):
        assert flag in cookie.lower()
    client.cookies.clear()
    value = cookie.partition("=")[2].partition(";")[0]
    for forged in (f"x{value}", value[:-1], "nonsense", '"\\"'):
        page = await client.get("/shown", headers={"Cookie": f"messages={forged}"})
        assert (page.status_code, "Saved." in page.text) == (200, False)
    other = quiet_app(settings.model_copy(update={"environment": "production", "allowed_hosts": ["testserver"]}))
    other.include_router(router)
    async with AsyncClient(transport=ASGITransport(other), base_url="https://testserver") as visitor:
        cookie = (await visitor.post("/say", data={"texts": "Saved."})).headers["set-cookie"]
        assert cookie.startswith("__Host-messages=")
        assert "secure" in cookie.lower()


async def test_oldest_messages_are_dropped(client: AsyncClient) -> None:
    texts = [f"{number} {number * 7919**130}" for number in range(100, 110)]
    response = await client.post("/say", data={"texts": texts})

    assert len(client.cookies["messages"]) <= MAX_COOKIE_BYTES
    page = (await client.get(response.headers["location"])).text
    assert texts[-1][:400] in page
    assert texts[0][:400] not in page


@pytest.mark.parametrize("path", ["/kept", "/kept-for-each"])
async def test_cached_page_has_no_message_of_other_visitor(app: FastAPI, client: AsyncClient, path: str) -> None:
    await sign_in(client, app, await make_user(app.state.database))
    before = await client.get(path)
    await client.post("/say", data={"texts": "For Ada alone."})

    assert "For Ada alone." in (await client.get(path)).text
    after = await client.get(path)
    assert "For Ada alone." not in after.text
    if path == "/kept-for-each":
        assert after.headers["build"] == before.headers["build"]  # still cached
    client.cookies.clear()
    assert "For Ada alone." not in (await client.get(path)).text
