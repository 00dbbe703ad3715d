"""Language of requests: from a cookie or the browser, in headers of responses, and in cached pages."""

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from httpx2 import AsyncClient
from pydantic import BaseModel

from opportune.config.settings import Settings, load_settings
from opportune.errors import SettingsError
from opportune.feature import Feature
from opportune.i18n import current_language
from opportune.testing.app import create_test_app
from opportune.web import cached
from opportune.web.language import offered_languages

pages = APIRouter()


class Number(BaseModel):
    number: int


@pages.get("/language")
async def show_language(request: Request) -> Response:
    return HTMLResponse(f"{current_language.get()} {request.headers.get('cookie')}")


@pages.get("/cached-language")
@cached(60)
async def show_cached_language() -> Response:
    return HTMLResponse(current_language.get())


api = APIRouter()


@api.post("/numbers")
async def add_number(number: Number) -> int:
    return number.number


languages = Feature("languages", pages=pages, api=api)


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    changes = {"languages": ["en", "de", "ar", "xx"], "language": "en"}
    return create_test_app(settings.model_copy(update=changes), [languages])


TEXTS_BY_HEADERS: list[tuple[dict[str, str], str]] = [
    ({}, "en None"),
    ({"Accept-Language": "de-AT,de;q=0.9"}, "de None"),
    ({"Accept-Language": "fr"}, "en None"),
    ({"Cookie": "language=ar", "Accept-Language": "de"}, "ar None"),
    ({"Cookie": "a=1; language=de; b=2"}, "de a=1; b=2"),
    ({"Cookie": "language=../../etc"}, "en None"),
    ({"Cookie": "my_language=de"}, "en my_language=de"),
]


async def test_language_of_request(client: AsyncClient) -> None:
    for headers, text in TEXTS_BY_HEADERS:
        assert (await client.get("/language", headers=headers)).text == text, headers


async def test_page_and_its_menu_have_languages_and_directions(client: AsyncClient) -> None:
    page = (await client.get("/nothing", headers={"Accept-Language": "ar", "Accept": "text/html"})).text
    assert '<html lang="ar" dir="rtl"' in page
    page = (await client.get("/nothing?a=1", headers={"Accept": "text/html", "Cookie": "language=de"})).text
    assert 'value="ar" lang="ar" dir="rtl">العربية<' in page
    assert 'value="de" lang="de" dir="ltr" aria-current="true">Deutsch<' in page
    assert 'name="next" value="/nothing?a=1"' in page


async def test_pages_name_their_language(client: AsyncClient) -> None:
    response = await client.get("/language", headers={"Accept-Language": "de"})
    assert response.headers["content-language"] == "de"
    assert {"accept-language", "cookie"} <= {*response.headers["vary"].split(", ")}


async def test_errors_of_the_api_are_translated(client: AsyncClient) -> None:
    headers = {"Accept-Language": "xx", "Content-Type": "application/json"}
    for content, message in (("{}", "[Pléàsé fîll thîs îñ."), ("{", "[Thîs îs ñöt vàlîd JSÖÑ.")):
        response = await client.post("/api/v1/numbers", content=content, headers=headers)
        assert response.status_code == 422, content
        assert message in response.text
        assert response.headers["content-language"] == "xx"


async def test_cached_pages_vary_by_language(client: AsyncClient) -> None:
    responses = [await client.get("/cached-language", headers={"Accept-Language": code}) for code in ("de", "en", "de")]
    assert [response.text for response in responses] == ["de", "en", "de"]


async def test_pseudo_language_is_not_offered_in_production(settings: Settings) -> None:
    changes = {"languages": ["en", "xx"], "environment": "production"}
    assert offered_languages(settings.model_copy(update=changes)) == ("en",)


def test_invalid_languages_are_refused() -> None:
    for values, message in (
        ({"language": "xq"}, "LANGUAGE: 'xq' is not the code of an installed language, such as de or pt-BR"),
        ({"language": "de", "languages": "en,fr"}, "LANGUAGES: must contain LANGUAGE, which is de"),
    ):
        with pytest.raises(SettingsError, match=message):
            load_settings(**values)
