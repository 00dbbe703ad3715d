"""Languages in URLs: routing, links and redirects."""

import pytest
from fastapi import APIRouter, FastAPI, Request, Response, WebSocket
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.testclient import TestClient
from httpx2 import AsyncClient
from starlette.datastructures import URL

from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.i18n import current_language, use_language
from opportune.testing.app import create_test_app
from opportune.web import cached, templates, url
from opportune.web.language import current_prefixes

pages = APIRouter()


@pages.get("/books")
async def show_books(request: Request) -> Response:
    return HTMLResponse(f"{current_language.get()} {request.url.path} {url(request.url_for('show_books').path)}")


@pages.get("/cached-books")
@cached(60)
async def show_cached_books() -> Response:
    return HTMLResponse(url("/books"))


@pages.get("/page")
async def show_page(request: Request) -> Response:
    return templates.render(request, "base.html")


@pages.get("/go/{target:path}")
async def go(target: str) -> Response:
    return RedirectResponse(target, headers={"HX-Push-Url": "/books"})


@pages.get("/cookies")
async def set_cookies(response: Response) -> None:
    response.set_cookie("a", "1")
    response.set_cookie("b", "1", path="/books")


@pages.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.url.path)
    await websocket.close()


site = Feature("books", pages=pages)


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    changes = {"languages": ["en", "de", "ar"], "language": "en", "language_in_url": True}
    return create_test_app(settings.model_copy(update=changes), [site])


async def test_url_selects_language(client: AsyncClient) -> None:
    headers = {"Accept-Language": "ar", "Cookie": "language=ar"}
    german = "de /books /de/books"
    for path, text in (("/books", "en /books /books"), ("/de/books", german), ("/de/books/", german)):
        response = await client.get(path, headers=headers, follow_redirects=True)
        assert response.text == text, path
        assert response.headers["content-language"] == text[:2]
        assert "cookie" not in response.headers.get("vary", "")


async def test_other_prefixes_are_unknown(client: AsyncClient) -> None:
    urls = "/fr/books", "/en/books", "/DE/books", "/%64e/books", "/de//books", "/de/de/books", "/de/ar/books"
    assert [url for url in urls if (await client.get(url)).status_code != 404] == []


async def test_cached_pages_vary_by_prefix(client: AsyncClient) -> None:
    texts = [(await client.get(f"{prefix}/cached-books")).text for prefix in ("/de", "", "/de", "/ar")]
    assert texts == ["/de/books", "/books", "/de/books", "/ar/books"]


async def test_redirects_keep_prefix(client: AsyncClient) -> None:
    for target, location in (
        ("/books?a=/b", "/de/books"),
        ("/ar/books", "/ar/books"),
        ("/admin", "/admin"),
        ("//evil.test/", "//evil.test/"),
        ("http://testserver/books", "http://testserver/de/books"),
        ("http://testserver.evil.test/", "http://testserver.evil.test/"),
        ("books", "books"),
    ):
        response = await client.get(f"/de/go/{target}")
        assert response.headers["location"] == location
        assert response.headers["hx-push-url"] == "/de/books", target


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("/", "/de/"),
        ("/books?a=/b#c", "/de/books?a=/b#c"),
        ("/static#a", "/static#a"),
        ("/ar/books", "/ar/books"),
        ("/de", "/de"),
        ("//evil.test", "//evil.test"),
        ("https://example.org/books", "https://example.org/books"),
        ("?page=2", "?page=2"),
        (URL("/books?a=1"), "/de/books?a=1"),
    ],
)
def test_url_adds_the_language_to_pages(path: str | URL, result: str) -> None:
    token = current_prefixes.set({"en": "", "de": "/de", "ar": "/ar"})
    with use_language("de"):
        assert (url(path), url(url(path))) == (result, result)
    with use_language("en"):
        assert url(path) == str(path)
    current_prefixes.reset(token)
    assert url(path) == str(path)


async def test_menu_and_head_link_to_other_languages(client: AsyncClient) -> None:
    page = (await client.get("/de/page?a=1")).text
    assert '<a class="dropdown-item" href="/page?a=1" hreflang="en"' in page
    assert '<a class="dropdown-item active" href="/de/page?a=1" hreflang="de"' in page
    site_url = "http://127.0.0.1:8000"
    assert f'<link rel="canonical" href="{site_url}/de/page?a=1">' in page
    assert f'<link rel="alternate" href="{site_url}/ar/page?a=1" hreflang="ar">' in page
    assert f'<link rel="alternate" href="{site_url}/page?a=1" hreflang="x-default">' in page


async def test_cookies_of_pages_reach_all_languages(client: AsyncClient) -> None:
    response = await client.get("/de/cookies")
    paths = [header.partition("Path=")[2].partition(";")[0] for header in response.headers.get_list("set-cookie")]
    assert paths == ["/", "/books", "/de/books", "/ar/books"]


def test_websockets_have_prefix(app: FastAPI) -> None:
    with TestClient(app).websocket_connect("/de/echo") as socket:
        assert socket.receive_text() == "/echo"
