"""Related rows on the pages of a row."""

import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import event

from opportune.testing.factories import add_permission, signed_in_client
from tests.opportune.admin.shelf_feature import Book, Shelf, shelves
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import make_staff

PAGES = ("/admin/shelf/details/1", "/admin/shelf/edit/1")
app = site_fixture(
    shelves,
    lambda: [
        Shelf(id=1, title="Novels"),
        Shelf(id=2, title="Empty"),
        *[Book(shelf_id=1, title=f"Book {number}.") for number in range(30)],
    ],
)


async def test_only_the_newest_related_rows_are_loaded(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.admin.lists.related.MAX_COUNTED_ROWS", 20)
    loaded: list[object] = []
    event.listen(Book, "load", lambda book, _: loaded.append(book))
    for url in PAGES:
        loaded.clear()
        page = (await admin.get(url)).text
        assert len(loaded) == 10
        assert re.findall(r">(Book \d+\.)<", page) == [f"Book {number}." for number in range(29, 19, -1)]
        assert "more than 20" in page
        assert 'href="/admin/book/list?shelf_id=1"' in page
        assert 'href="/admin/book/create?shelf_id=1"' in page
    assert '<span class="badge bg-secondary-lt ms-1">0</span>' in (await admin.get("/admin/shelf/details/2")).text


async def test_related_rows_need_permission_to_list(app: FastAPI) -> None:
    user = await make_staff(app)
    cases = ((("shelf", "get"), False, False), (("book", "list"), True, False), (("book", "create"), True, True))
    for (identity, action), sees_rows, sees_add_link in cases:
        await add_permission(app.state.database, user, identity, action)
        async with signed_in_client(app, user) as staff:
            page = (await staff.get(PAGES[0])).text
        assert "Novels" in page
        assert ("Book 29." in page) is sees_rows
        assert ("/admin/book/create" in page) is sees_add_link
