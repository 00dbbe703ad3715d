"""Field types in schemas of forms and APIs."""

from decimal import Decimal
from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from httpx2 import AsyncClient
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
from opportune.testing.app import create_test_app
from opportune.web import read_form, templates

FORM_TEMPLATE = '{% from "macros/forms.html" import form_fields %}{{ form_fields(form) }}'


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
async def create_shop(request: Request) -> Response:
    form = await read_form(request, Shop)
    if form.data:
        return Response(form.data.model_dump_json(exclude={"cover"}), media_type="application/json")
    html = templates.environment.from_string(FORM_TEMPLATE).render(form=form, request=request)
    return Response(html, form.status, media_type="text/html")


@router.post("/api/shops")
async def add_shop(shop: Shop) -> Shop:
    return shop


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_test_app(settings, [Feature("shops", "For tests.", pages=router)])


FORM_TEXTS = {
    "price": "1.50",
    "email": "A@example.com",
    "home": "https://x.at",
    "phone": "+43 1 711 000",
    "country": "at",
    "keywords": "a\n\nb",
    "facts": '{"a": 1}',
    "about": "*a*",
}
STORED_VALUES = FORM_TEXTS | {
    "email": "a@example.com",
    "phone": "+431711000",
    "country": "AT",
    "keywords": ["a", "b"],
    "facts": {"a": 1},
    "name": "",
}


async def test_form_and_api_accept_the_same_values(client: AsyncClient) -> None:
    form = await client.post("/shops", data=FORM_TEXTS | {"country": "AT"})
    api = await client.post("/api/shops", json=FORM_TEXTS | {"keywords": ["a", "b"], "facts": {"a": 1}})
    assert form.json() == STORED_VALUES
    assert api.json() == STORED_VALUES | {"cover": None}


async def test_form_and_api_refuse_the_same_values(client: AsyncClient) -> None:
    invalid = {"price": "1.005", "email": "a", "home": "x", "phone": "1", "facts": "1", "country": "XX"}
    for name, value in invalid.items():
        form = await client.post("/shops", data=FORM_TEXTS | {name: value})
        api = await client.post("/api/shops", json=FORM_TEXTS | {name: value})
        assert (form.status_code, api.status_code) == (422, 422), name
        assert f'<div class="invalid-feedback d-block" id="{name}-error">' in form.text


async def test_form_renders_hints(client: AsyncClient) -> None:
    page = (await client.post("/shops", data={"keywords": "a\nb"})).text
    assert '<span class="input-group-text">EUR</span>' in page
    assert '<markdown-preview data-for="about" data-url="/markdown-preview"></markdown-preview>' in page
    assert 'data-slug-from="country"' in page
    assert "a\nb</textarea>" in page
    assert '<option value="AT">Austria</option>' in page


async def test_markdown_preview_is_safe(client: AsyncClient) -> None:
    response = await client.post(
        "/markdown-preview", data={"text": "*hello* <script>alert(1)</script> [a](javascript:b)"}
    )
    assert response.status_code == 200
    assert "<em>hello</em>" in response.text
    assert "<script" not in response.text
    assert "href" not in response.text
    assert (await client.post("/markdown-preview")).text == ""


def test_template_filters_for_markdown_and_money() -> None:
    template = templates.environment.from_string("{{ text | markdown }}{{ price | money('EUR') }} {{ price | money }}")
    html = '<div class="markdown"><p><em>a</em></p>\n</div>EUR 1,234.50 1,234.50'
    assert template.render(text="*a*", price=Decimal("1234.5")) == html
