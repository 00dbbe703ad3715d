"""The examples, commands, settings and pages in docs/admin.md exist."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqladmin import ModelView
from sqlalchemy import MetaData, Text, update
from sqlmodel import Field, SQLModel

from opportune.admin.lists import actions
from opportune.admin.views import AdminView
from opportune.cli.registry import MODULES, feature_modules
from opportune.config.base_settings import settings_classes
from opportune.config.settings import Settings
from opportune.db import BigId, ModelBase, utc_now
from opportune.project.layout import FRAMEWORK
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.site_with import site_with
from tests.opportune.stored_rows import execute, get_row

GUIDE = read_guide("admin.md")
CODE, *_ = code_blocks(GUIDE)
CODE = CODE.replace('"app.library.admin"', "[BookAdmin]")


class Shelf(SQLModel):
    # Separate from the project's tables, which migrations create.
    metadata = MetaData()

    id: int = Field(default=None, primary_key=True, sa_type=BigId)


class Author(Shelf, table=True):
    __tablename__ = "guide_author"

    name: str = Field(max_length=50)


class Book(Shelf, table=True):
    __tablename__ = "guide_book"

    title: str = Field(max_length=50)
    slug: str = Field(max_length=50)
    summary: str = Field(default="", sa_type=Text)
    price: int = 0
    author_id: int = Field(foreign_key="guide_author.id")
    lent_at: datetime | None = None
    created_at: datetime = Field(default_factory=utc_now)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    names = run_code(CODE, Book=Book, __name__=__name__)
    library = replace(names["library"], models=[Author, Book])
    async with site_with(library, settings, Author(name="Ada")) as app:
        yield app


async def test_view_of_the_guide_works(app: FastAPI, admin: AsyncClient) -> None:
    book = {"title": "Tea", "slug": "tea", "summary": "", "price": "-1", "author_id": "1"}
    assert "A price is not below zero." in (await admin.post("/admin/book/create", data=book)).text
    assert (await admin.post("/admin/book/create", data={**book, "price": "5"})).status_code == 303
    await execute(app, update(Book).values(lent_at=utc_now()))
    form = {"pks": "1", "confirmed": "yes"}
    response = await admin.post("/admin/book/action/return", data=form, follow_redirects=True)
    assert "Book 1: here again." in response.text
    assert (await get_row(app, Book, 1)).lent_at is None
    assert 'href="/books/tea"' in (await admin.get("/admin/book/details/1")).text
    assert "Books by day: 1 from" in (await admin.get("/admin/?complete=1")).text


def test_operations_and_options_of_the_guide_exist() -> None:
    files = [FRAMEWORK / "templates/operations/index.html", *(FRAMEWORK / "templates").glob("*/admin_operations.html")]
    pages = "".join(file.read_text(encoding="utf-8") for file in files)
    table = GUIDE.partition("## Operations\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([A-Z].+?) \| .+ \| (.*?)\|$", table, re.MULTILINE)[1:]
    assert len(rows) == 9
    for part, commands in rows:
        assert f">{part}</" in pages or f'>{{{{ _("{part}") }}}}</' in pages, part
        assert set(re.findall(r"`(\w+)`", commands)) <= MODULES.keys() | feature_modules().keys()
    options = re.findall(r"^    (\w+)(?:, \w+)* = ", CODE, re.MULTILINE) + re.findall(r"`(\w+) = ", GUIDE)
    assert len(options) > 10
    assert [name for name in options if not hasattr(AdminView, name) and name not in ModelBase.__annotations__] == []


def test_guide_has_all_public_names_of_views() -> None:
    names = {name for name in dir(AdminView) if not name.startswith("_")} - {*dir(ModelView)}
    code = "\n".join(re.findall(r"^```python\n.*?^```|`[^`\n]+`", GUIDE, re.DOTALL | re.MULTILINE))
    assert len(names) > 30
    assert [name for name in names if not re.search(rf"\b{name}\b", code)] == []


def test_settings_and_limits_of_the_guide_exist() -> None:
    settings = {name.upper() for model in settings_classes() for name in model.model_fields}
    assert set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", GUIDE)) <= settings
    assert f"at most {actions.MAX_ROWS_PER_ACTION:,}" in GUIDE
