"""Forms and JSON of pages and APIs that have these types in their schemas."""

from decimal import Decimal
from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from httpx import AsyncClient
from pydantic import BaseModel

from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.fields import (
    Country,
    Email,
    FieldOptions,
    Image,
    Json,
    Markdown,
    Money,
    Phone,
    TextList,
    Url,
    money_field,
)
from opportune.testing.quiet_app import quiet_app
from opportune.web import read_form, templates

pytestmark = pytest.mark.database("sqlite")

SHOWN = '{% from "macros/forms.html" import form_fields %}{{ form_fields(form) }}'


class Shop(BaseModel):
    name: Annotated[str, FieldOptions(data_slug_from="country")] = ""
    price: Money = money_field("EUR", ge=0)
    email: Email | None = None
    home: Url = ""
    phone: Phone = ""
    country: Country = ""
    keywords: TextList = []
    facts: Json = {}
    about: Markdown = ""
    cover: Image | None = None


router = APIRouter()


@router.post("/shops")
async def create(request: Request) -> Response:
    form = await read_form(request, Shop)
    if form.data:
        return Response(form.data.model_dump_json(exclude={"cover"}), media_type="application/json")
    html = templates.environment.from_string(SHOWN).render(form=form, request=request)
    return Response(html, form.status, media_type="text/html")


@router.post("/api/shops")
async def add(shop: Shop) -> Shop:
    return shop


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return quiet_app(settings, [Feature(name="shops", summary="For tests.", pages=router)])


TEXTS = {
    "price": "1.50",
    "email": "A@example.com",
    "home": "https://x.at",
    "phone": "+43 1 711 000",
    "country": "at",
    "keywords": "a\n\nb",
    "facts": '{"a": 1}',
    "about": "*a*",
}
KEPT = TEXTS | {
    "email": "a@example.com",
    "phone": "+431711000",
    "country": "AT",
    "keywords": ["a", "b"],
    "facts": {"a": 1},
    "name": "",
}


async def test_a_form_and_an_api_keep_the_same(client: AsyncClient) -> None:
    form = await client.post("/shops", data=TEXTS | {"country": "AT"})
    api = await client.post("/api/shops", json=TEXTS | {"keywords": ["a", "b"], "facts": {"a": 1}})
    assert form.json() == KEPT
    assert api.json() == KEPT | {"cover": None}


async def test_bad_input_is_one_sentence_at_its_field(client: AsyncClient) -> None:
    for name, value, words in (
        ("price", "1.005", "Please give at most 2 digits after the point."),
        ("email", "a", "Please give an e-mail address, such as ada@example.com."),
        ("home", "x", "Please give an address, such as https://example.com."),
        ("phone", "1", "Please give a phone number with the code of its country, such as +43 1 711 000."),
        ("facts", "1", "Please write this as JSON, such as {&#34;colour&#34;: &#34;red&#34;}."),
        ("country", "XX", "Please choose one of the options."),
    ):
        answer = await client.post("/shops", data=TEXTS | {name: value})
        assert answer.status_code == 422, name
        assert f'<div class="invalid-feedback d-block" id="{name}-error">{words}</div>' in answer.text
        assert (await client.post("/api/shops", json=TEXTS | {name: value})).status_code == 422


async def test_a_text_in_the_place_of_a_picture_is_refused(client: AsyncClient) -> None:
    answer = await client.post("/api/shops", json=TEXTS | {"cover": "covers/1.webp"})
    assert answer.status_code == 422
    assert "Please choose a file." in answer.text


async def test_a_form_shows_what_helps_to_fill_it_in(client: AsyncClient) -> None:
    page = (await client.post("/shops", data={"keywords": "a\nb"})).text
    assert '<span class="input-group-text">EUR</span>' in page
    assert '<markdown-preview data-for="about"></markdown-preview>' in page
    assert 'data-slug-from="country"' in page
    assert "a\nb</textarea>" in page
    assert '<option value="AT">Austria</option>' in page


async def test_markdown_is_shown_before_it_is_sent_and_nothing_of_it_runs(client: AsyncClient) -> None:
    answer = await client.post(
        "/markdown-preview", data={"text": "*hello* <script>alert(1)</script> [a](javascript:b)"}
    )
    assert answer.status_code == 200
    assert "<em>hello</em>" in answer.text
    assert "<script" not in answer.text
    assert "href" not in answer.text
    assert (await client.post("/markdown-preview")).text == ""


def test_templates_show_markdown_and_money() -> None:
    shown = templates.environment.from_string("{{ text | markdown }}{{ price | money('EUR') }} {{ price | money }}")
    html = '<div class="markdown"><p><em>a</em></p>\n</div>EUR 1,234.50 1,234.50'
    assert shown.render(text="*a*", price=Decimal("1234.5")) == html
