"""Flash messages."""

from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from httpx2 import ASGITransport, AsyncClient

from opportune.config import Settings, signer
from opportune.feature import Feature
from opportune.testing.app import create_test_app
from opportune.testing.factories import make_user, sign_in
from opportune.web import cached, flash, templates
from opportune.web.rendering.flash import COOKIE_NAME, MAX_COOKIE_BYTES
from tests.opportune.site_with import site_fixture

router = APIRouter()


@router.post("/messages")
async def add_messages(request: Request, texts: Annotated[list[str], Form()]) -> Response:
    for text in texts:
        flash(request, text)
    return RedirectResponse("/page", 303)


@router.post("/fail")
async def fail(request: Request) -> Response:
    flash(request, "This is done.")
    raise HTTPException(409)


@router.get("/page")
async def show_page(request: Request) -> Response:
    return templates.render(request, "accounts/email_sent.html")


@router.get("/part")
async def show_part(request: Request) -> Response:
    return templates.render_block(request, "accounts/email_sent.html", "title")


@router.get("/cached")
@cached(60)
async def show_cached_page(request: Request) -> Response:
    return templates.render(request, "accounts/email_sent.html")


@router.get("/cached-per-user")
@cached(60, per_user=True)
async def show_page_cached_per_user(request: Request) -> Response:
    return templates.render(request, "accounts/email_sent.html")


app = site_fixture(Feature("messages", "Messages.", pages=router))


async def test_message_is_shown_once_and_escaped(client: AsyncClient) -> None:
    response = await client.post("/messages", data={"texts": "<b>Saved</b>"})
    assert (response.status_code, response.headers["location"]) == (303, "/page")  # without the message
    page = (await client.get("/page")).text
    assert page.count("&lt;b&gt;Saved&lt;/b&gt;") == 1
    assert 'role="status"' in page
    assert "Saved" not in (await client.get("/page")).text
    assert not client.cookies


async def test_failed_request_adds_no_message(client: AsyncClient) -> None:
    response = await client.post("/fail", headers={"Accept": "text/html"})
    assert response.status_code == 409
    assert "This is done." not in response.text
    assert not client.cookies


@pytest.mark.parametrize(
    ("environment", "name", "flags"), [("test", "messages=", ()), ("production", "__Host-messages=", ("secure",))]
)
async def test_flags_of_message_cookie(settings: Settings, environment: str, name: str, flags: tuple[str, ...]) -> None:
    app = create_test_app(settings.model_copy(update={"environment": environment, "allowed_hosts": ["testserver"]}))
    app.include_router(router)
    async with AsyncClient(transport=ASGITransport(app), base_url="https://testserver") as client:
        cookie = (await client.post("/messages", data={"texts": "Saved."})).headers["set-cookie"]
    assert cookie.startswith(name)
    for flag in ("path=/;", "httponly", "samesite=lax", "max-age=300", *flags):
        assert flag in cookie.lower()


async def test_invalid_message_cookie_is_ignored(app: FastAPI, client: AsyncClient) -> None:
    await client.post("/messages", data={"texts": "Saved."})
    value = client.cookies["messages"]
    client.cookies.clear()
    of_newer_version = signer(app.state.settings, COOKIE_NAME).dumps([["Saved.", *range(9)]])
    for invalid in (f"x{value}", value[:-1], "nonsense", '"\\"', of_newer_version):
        page = await client.get("/page", headers={"Cookie": f"messages={invalid}"})
        assert (page.status_code, "Saved." in page.text) == (200, False)


@pytest.mark.parametrize("path", ["/cached", "/cached-per-user"])
async def test_cached_page_has_no_message_of_other_visitor(app: FastAPI, client: AsyncClient, path: str) -> None:
    await sign_in(client, app, await make_user(app.state.database))
    await client.post("/messages", data={"texts": "For Ada alone."})
    assert "For Ada alone." in (await client.get(path)).text
    assert "For Ada alone." not in (await client.get(path)).text
    client.cookies.clear()
    assert "For Ada alone." not in (await client.get(path)).text


async def test_response_to_htmx_contains_the_messages(client: AsyncClient) -> None:
    await client.post("/messages", data={"texts": "This is done."})
    response = await client.get("/part", headers={"HX-Request-Type": "partial"})
    assert '<hx-partial hx-target=".messages" hx-swap="innerHTML">' in response.text
    assert "This is done." in response.text
    assert "This is done." not in (await client.get("/page")).text


async def test_oldest_messages_are_dropped(client: AsyncClient) -> None:
    texts = [f"{number} {number * 7919**130}" for number in range(100, 110)]  # about 500 incompressible digits each
    response = await client.post("/messages", data={"texts": texts})
    assert len(client.cookies["messages"]) <= MAX_COOKIE_BYTES
    page = (await client.get(response.headers["location"])).text
    assert texts[-1][:400] in page
    assert texts[0][:400] not in page
