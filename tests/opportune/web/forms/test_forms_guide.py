"""The form and the list of docs/forms.md."""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from starlette.datastructures import URL

from opportune.pagination import Page as PageOfRows
from opportune.storage import StorageError
from opportune.web import Form, templates
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.page_templates import add_templates
from tests.opportune.storage.pictures import photo

GUIDE = read_guide("forms.md")
ENQUIRY = {"name": "Ada", "email": "ada@example.com", "message": "How much\nis it?"}
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def guide(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    names = run_code("".join(code_blocks(GUIDE)))
    form, list_ = code_blocks(GUIDE, "jinja")
    add_templates(monkeypatch, {"enquiries/ask.html": form, "enquiries/list.html": list_})
    return SimpleNamespace(**names)


@pytest.fixture
def app(app: FastAPI, guide: SimpleNamespace) -> FastAPI:
    app.include_router(guide.router)
    return app


async def test_page_has_every_field(client: AsyncClient) -> None:
    page = (await client.get("/enquiries")).text
    assert '<label class="form-label required" for="name">Name</label>' in page
    assert 'autocomplete="name"' in page
    assert re.search('type="text" value="" inputmode="email" [^>]*id="email" name="email" required=""', page)
    assert '<option value="other" selected>Other</option>' in page
    assert 'enctype="multipart/form-data"' in page


async def test_invalid_form_keeps_values(client: AsyncClient) -> None:
    enquiry = {"name": '<"Ada">', "email": "ada", "message": "x" * 2001, "call_on": "soon", "newsletter": "true"}
    response = await client.post("/enquiries", data=enquiry)
    assert response.status_code == 422
    assert response.text.startswith("<!doctype html>")
    assert 'value="&lt;&#34;Ada&#34;&gt;"' in response.text
    assert 'aria-invalid="true" aria-describedby="email-error email-help" autofocus=""' in response.text
    assert response.text.count("autofocus") == 1
    assert "Please enter at most 2000 characters." in response.text
    assert "Please enter a date" in response.text
    assert 'name="newsletter" checked' in response.text


async def test_htmx_gets_invalid_form_and_valid_one_redirects(client: AsyncClient) -> None:
    response = await client.post("/enquiries", data=ENQUIRY | {"email": ""}, headers=HTMX)
    assert (response.status_code, response.text.lstrip()[:5]) == (422, "<form")
    response = await client.post("/enquiries", data=ENQUIRY, headers=HTMX)
    assert (response.status_code, response.headers["HX-Redirect"]) == (200, "/")
    response = await client.post("/enquiries", data=ENQUIRY)
    assert (response.status_code, response.headers["location"]) == (303, "/")


async def test_storage_error_keeps_values(app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> str:
        raise StorageError

    monkeypatch.setattr(type(app.state.storage), "save", fail)
    response = await client.post("/enquiries", data=ENQUIRY, files={"photo": ("a.jpg", photo(), "image/jpeg")})
    assert response.status_code == 503
    assert f"{StorageError()} You can also send this without a photo." in response.text
    assert "How much\nis it?</textarea>" in response.text


def test_list_shows_filter_order_and_pages(guide: SimpleNamespace) -> None:
    filter_ = guide.EnquiryFilter(q="<a>", sort="-name", page=2, size=5)
    html = templates.environment.get_template("enquiries/list.html").render(
        filter=Form(guide.EnquiryFilter, filter_, is_filter=True),
        wanted=filter_,
        page=PageOfRows[Any](items=[], total=15, page=2, pages=3),
        request=SimpleNamespace(url=URL("/enquiries?q=a&sort=-name&page=2&size=5")),
    )
    assert 'type="search" value="&lt;a&gt;" id="filter-q" name="q"' in html
    assert '<option value="" selected>All</option>' in html
    assert '<input type="hidden" name="sort" value="-name">' in html
    assert '<input type="hidden" name="size" value="5">' in html
    sort_link = '<a class="sort text-nowrap" href="?q=a&amp;size=5&amp;sort=name">'
    assert f'<th scope="col" data-label="Sort by" aria-sort="descending">{sort_link}' in html
    assert 'href="?q=a&amp;size=5&amp;sort=created_at">Newest</a>' in html
    assert 'href="?q=a&amp;sort=-name&amp;size=5&amp;page=3" aria-label="Page 3"' in html
    assert "Page 2 of 3" in html
