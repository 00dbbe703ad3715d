"""Fieldsets of forms and details pages, and options of single fields, by the name of a relationship."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from tests.opportune.admin.bookshelf_feature import Author, Book, BookAdmin
from tests.opportune.stored_rows import add_rows


@pytest.fixture
async def app(app_with_bookshelf: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(BookAdmin, "fieldsets", (("People", ("author",)), ("Shop", ("price", "status"))))
    kristin = Book(title="Kristin", slug="k", isbn="1", author_id=1)
    await add_rows(app_with_bookshelf, Author(id=1, name="Sigrid"), kristin)
    return app_with_bookshelf


async def test_form_groups_a_relationship_by_its_column(app: FastAPI, admin: AsyncClient) -> None:
    page = (await admin.get("/admin/book/create")).text
    assert page.index(">People<") < page.index('id="author_id"') < page.index(">Shop<") < page.index('id="price"')


async def test_options_name_a_relationship(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BookAdmin, "form_args", {"author": {"label": "Writer"}})
    monkeypatch.setattr(BookAdmin, "form_widget_args", {"author": {"data-shelf": "7"}})
    monkeypatch.setattr(BookAdmin, "form_rules", ("author", "title"))
    page = (await admin.get("/admin/book/create")).text
    assert 'for="author_id">Writer<' in page
    assert [text in page for text in ('data-shelf="7"', 'name="price"')] == [True, False]
