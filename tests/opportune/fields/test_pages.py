"""Field types in forms, the API and a browser."""

import re
from decimal import Decimal

from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.testing.factories import sign_in_browser
from opportune.web import templates
from tests.opportune.fields.samples_feature import FORM_TEXTS, Sample
from tests.opportune.stored_rows import read_one

API, FORM = "/api/v1/samples", "/samples/new"
JSON_VALUES = FORM_TEXTS | {"country": "at", "keywords": ["one", "two"], "facts": {"a": 1}}
STORED_VALUES = JSON_VALUES | {"email": "ada@example.com", "phone": "+431711000", "country": "AT"}


async def test_form_and_api_accept_and_refuse_the_same_values(client: AsyncClient) -> None:
    assert (await client.post(FORM, data=FORM_TEXTS)).headers["location"] == "/samples/1"
    stored = (await client.get(f"{API}/1")).json()
    assert {name: stored[name] for name in STORED_VALUES} == STORED_VALUES
    assert ">Large<" in (await client.get("/samples/1")).text
    assert (await client.post(API, json=JSON_VALUES)).json() == stored | {"id": 2, "slug": "one-book-2"}
    invalid = {"price": "1.005", "email": "a", "home": "x", "phone": "1", "facts": "1", "country": "XX"}
    for name, value in invalid.items():
        form = await client.post(FORM, data=FORM_TEXTS | {name: value})
        api = await client.post(API, json=JSON_VALUES | {name: value})
        assert (form.status_code, api.status_code) == (422, 422), name
        assert f'<div class="invalid-feedback d-block" id="{name}-error">' in form.text


async def test_form_renders_hints(client: AsyncClient) -> None:
    page = (await client.post(FORM, data={"keywords": "a\nb"})).text
    assert '<span class="input-group-text">EUR</span>' in page
    assert '<markdown-preview data-for="about" data-url="/markdown-preview"></markdown-preview>' in page
    assert 'data-slug-from="title"' in page
    assert "a\nb</textarea>" in page
    assert '<option value="AT">Austria</option>' in page


async def test_markdown_preview_is_safe(client: AsyncClient) -> None:
    text = "*hello* <script>alert(1)</script> [a](javascript:b)"
    response = await client.post("/markdown-preview", data={"text": text})
    assert response.status_code == 200
    assert "<em>hello</em>" in response.text
    assert "<script" not in response.text
    assert "href" not in response.text
    assert (await client.post("/markdown-preview")).text == ""


def test_template_filters_for_markdown_and_money() -> None:
    template = templates.environment.from_string("{{ text | markdown }}{{ price | money('EUR') }} {{ price | money }}")
    html = '<div class="markdown" dir="auto"><p><em>a</em></p>\n</div>EUR\N{NO-BREAK SPACE}1,234.50 1,234.50'
    assert template.render(text="*a*", price=Decimal("1234.5")) == html


async def test_browser_fills_slug_preview_and_time_zone(app: FastAPI, page: Page, site: str, superuser: User) -> None:
    await sign_in_browser(page, app, superuser, site)
    # Time zone of New York.
    await page.add_init_script(
        "const original = Intl.DateTimeFormat.prototype.resolvedOptions;"
        "Intl.DateTimeFormat.prototype.resolvedOptions = function () {"
        " return { ...original.call(this), timeZone: 'America/New_York' }; };"
    )
    await page.goto("/accounts/data")  # any page sends the time zone
    await page.goto("/admin/sample/create")
    await page.get_by_label("Its name").fill("Çay & Ækrænsla")
    await expect(page.get_by_label("Slug")).to_have_value("cay-aekraensla")
    await page.get_by_label("About").fill("*hello* <b>you</b>")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator("markdown-preview em")).to_have_text("hello")
    await expect(page.locator("markdown-preview")).to_contain_text("<b>you</b>")
    await page.get_by_label("About").fill("*bye*")
    await expect(page.locator("markdown-preview em")).to_be_hidden()
    await expect(page.get_by_text("America/New York")).to_be_visible()
    starts_at = page.locator("#starts_at")
    await starts_at.fill("2026-07-01T08:00")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("was saved")
    row = await read_one(app, Sample)
    assert row.starts_at
    assert row.starts_at.isoformat() == "2026-07-01T12:00:00+00:00"
    await expect(page.get_by_text(re.compile(r"1 Jul 2026, 08:00\sEDT"))).to_be_visible()
