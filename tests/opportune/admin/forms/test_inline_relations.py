"""Inline rows with foreign keys, choices, files and many-to-many relationships, and inline rows of link tables."""

from collections.abc import Mapping
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.admin.models import AuditEntry
from opportune.db import load
from opportune.testing import counted_statements, picture
from tests.opportune.admin.bookshelf_feature import Author, Book, BookAdmin, BookTag, Mood, Review, Tag
from tests.opportune.stored_rows import read_all

EDIT = "/admin/book/edit/1"
BOOK_FORM = {"title": "Kristin", "slug": "k", "isbn": "1", "author_id": "1", "price": "0", "status": "draft"}
REVIEW_ROW = {"stars": "4", "critic_id": "1", "mood": "glad", "photo": "", "tags": ["", "1"]}


@pytest.fixture
async def app(app_with_bookshelf: FastAPI) -> FastAPI:
    async with app_with_bookshelf.state.database.writer() as session:
        sigrid, epic, saga = Author(name="Sigrid"), Tag(name="Epic"), Tag(name="Saga")
        session.add(sigrid)
        await session.flush()
        session.add_all([epic, saga, Author(name="Halldór")])
        book = Book(title="Kristin", slug="k", isbn="1", author_id=sigrid.id)
        session.add(book)
        await session.flush()
        session.add(Review(book_id=book.id, critic_id=sigrid.id, stars=4, mood=Mood.GLAD, tags=[epic]))
    return app_with_bookshelf


def make_review_form(key: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"review-{key}-{name}": value for name, value in values.items()}


async def read_reviews(app: FastAPI) -> list[tuple[int, int | None, str | None, list[str], bool]]:
    """Return stars, critic, mood, tags and whether a photo exists, for each review."""
    reviews = await read_all(app, select(Review).options(load(Review.tags)).order_by(col(Review.id)))
    return [
        (row.stars, row.critic_id, row.mood, sorted(tag.name for tag in row.tags), bool(row.photo)) for row in reviews
    ]


REVIEWS_BEFORE = [(4, 1, "glad", ["Epic"], False)]


async def test_inline_file_is_stored_shown_and_cleared(app: FastAPI, admin: AsyncClient) -> None:
    files = {f"review-{key}-photo": (f"{key}.png", picture(), "image/png") for key in ("1", "new0", "99")}
    blank = make_review_form("new0", {"stars": "5", "critic_id": "", "mood": "__None", "tags": ""})
    response = await admin.post(EDIT, data=BOOK_FORM | make_review_form("1", REVIEW_ROW) | blank, files=files)
    assert response.status_code == 303, response.text
    assert [row[-1] for row in await read_reviews(app)] == [True, True], "a row with only a file is saved"
    assert (await admin.get(EDIT)).text.count('value="clear"') == 2
    cleared = make_review_form("1", REVIEW_ROW | {"photo": "clear"})
    await admin.post(EDIT, data=BOOK_FORM | cleared, files={"none": ("", b"")})
    assert [row[-1] for row in await read_reviews(app)] == [False, True]


INVALID_ROWS: list[tuple[dict[str, Any], str, str]] = [
    ({"stars": "9"}, "stars", "Please enter 5 or less."),
    ({"critic_id": "99"}, "critic_id", "The selected entry no longer exists"),
    ({"tags": ["", "99"]}, "tags", "The selected entry no longer exists"),
    ({"mood": "angry"}, "mood", "Choose one of: Glad, Sad."),
]


async def test_invalid_inline_relation_is_refused(app: FastAPI, admin: AsyncClient) -> None:
    for changes, field, message in INVALID_ROWS:
        response = await admin.post(EDIT, data=BOOK_FORM | make_review_form("1", REVIEW_ROW | changes))
        assert response.status_code == 400, changes
        assert message in response.text.split(f'id="error-review-1-{field}">')[1].split("</div>")[0], changes
        assert await read_reviews(app) == REVIEWS_BEFORE, changes
    page = (await admin.get(EDIT)).text
    for text in (
        '<option value="1" selected>Sigrid</option>',
        '<option value="1" selected>Epic</option>',
        '<option value="glad" selected>Glad</option>',
        'data-add-for="review-1-critic_id"',
        'data-add-for="review-new0-tags"',
        'enctype="multipart/form-data"',
    ):
        assert text in page, text
    assert (await admin.post(EDIT, data=BOOK_FORM | make_review_form("1", REVIEW_ROW))).status_code == 303
    assert await read_reviews(app) == REVIEWS_BEFORE
    assert await read_all(app, AuditEntry) == [], "unchanged rows are not logged"
    changed = {"stars": "2", "critic_id": "2", "mood": "sad", "tags": ["", "2", "1"]}
    new = {"stars": "5", "critic_id": "", "mood": "__None", "tags": ["", "2"]}
    form = BOOK_FORM | make_review_form("1", changed) | make_review_form("new0", new)
    assert (await admin.post(EDIT, data=form)).status_code == 303
    assert await read_reviews(app) == [(2, 2, "sad", ["Epic", "Saga"], False), (5, None, None, ["Saga"], False)]


async def test_statement_count_is_independent_of_inline_rows(app: FastAPI, admin: AsyncClient) -> None:
    with counted_statements("test_bookshelf") as statements_for_one:
        await admin.get(EDIT)
    async with app.state.database.writer() as session:
        tags = (await session.scalars(select(Tag))).all()
        session.add_all([Review(book_id=1, critic_id=number % 2 + 1, tags=list(tags)) for number in range(20)])
    with counted_statements("test_bookshelf") as statements_for_many:
        await admin.get(EDIT)
    assert len(statements_for_many) == len(statements_for_one)


async def test_link_rows_can_be_inlines(app: FastAPI, admin: AsyncClient) -> None:
    url, tag = "/admin/tag/edit/1", {"name": "Epic", "save": "Save"}
    linked = {"book-tag-new0-book_id": "1", "book-tag-new0-note": "of course"}
    assert (await admin.post(url, data=tag | linked)).status_code == 303
    assert await read_links(app) == [(1, 1, "of course")]
    assert '<option value="1" selected>Kristin</option>' in (await admin.get(url)).text
    assert "This value is already in use." in (await admin.post(url, data=tag | linked)).text
    changed = {"book-tag-1;1-book_id": "1", "book-tag-1;1-note": "well"}
    await admin.post(url, data=tag | changed)
    assert await read_links(app) == [(1, 1, "well")]
    assert "Epic" in (await admin.get("/admin/book-tag/list")).text
    await admin.post(url, data=tag | changed | {"book-tag-1;1-delete": "1"})
    assert await read_links(app) == []


async def read_links(app: FastAPI) -> list[tuple[int, int, str]]:
    return [(link.book_id, link.tag_id, link.note) for link in await read_all(app, BookTag)]


@pytest.mark.parametrize(("inlines", "is_inline"), [(None, True), ((), False)], ids=["default", "none"])
async def test_rows_that_need_their_parent_are_inline(
    admin: AsyncClient, monkeypatch: pytest.MonkeyPatch, inlines: Any, is_inline: bool
) -> None:
    monkeypatch.setattr(BookAdmin, "inlines", inlines)
    page = (await admin.get("/admin/book/create")).text
    assert ('name="review-new0-stars"' in page) is is_inline
    assert "review-new0-book_id" not in page, "the form sets it"
    assert "data-inline" not in (await admin.get("/admin/author/create")).text, "books do not cascade"
