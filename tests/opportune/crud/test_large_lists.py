"""Large lists: estimated numbers of rows, and pages that begin at a row."""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import date
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import delete, text
from sqlmodel import col

from opportune import pagination
from opportune.accounts import User
from opportune.config.settings import Settings
from opportune.crud import Crud, CrudApi, CrudPages, Permission
from opportune.db import Database
from opportune.db.queries import row_count
from opportune.errors import FieldErrors
from opportune.feature import Feature
from opportune.pagination import Page
from opportune.testing import make_user
from tests.opportune.crud.library import TABLES, BookStatus, Opinion, Volume, Volumes, Writer, volume
from tests.opportune.site_with import site_with
from tests.opportune.stored_rows import add_rows, execute

SORTS = ("", "-title", "published_on", "-published_on", "-rating", "-writer.name")
NUMBER = 23


class AllVolumes(Crud[Volume]):
    read_permission = Permission.ANYONE
    search = ("title",)
    filters = ("pages",)
    sort = ("title", "published_on")


pages = CrudPages(AllVolumes, "/volumes", columns=("title", "pages")).router
shelf = Feature("library", models=TABLES, api=CrudApi(AllVolumes, "/volumes").router, pages=pages)


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    """A site for which lists of more than 10 rows are large."""
    async with site_with(shelf, settings) as app:
        await add_volumes(app.state.database)
        monkeypatch.setattr(row_count, "MAX_COUNTED_ROWS", 10)
        yield app


@pytest.fixture
async def stored_volumes(library: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database without a site, for which lists of more than 10 rows are large."""
    await add_volumes(library)
    monkeypatch.setattr(row_count, "MAX_COUNTED_ROWS", 10)
    return library


@pytest.fixture
async def reader(stored_volumes: Database) -> User:
    return await make_user(stored_volumes, is_superuser=True)


async def add_volumes(database: Database) -> None:
    user = await make_user(database)
    volumes = (
        volume(
            title=f"Volume {number % 5}",
            slug=f"v{number}",
            writer_id=1 + number % 2,
            price=Decimal(number % 4),
            pages=number,
            published_on=date(2000 + number % 3, 1, 1) if number % 4 else None,
            status=BookStatus.PUBLISHED if number < NUMBER else BookStatus.DRAFT,
        )
        for number in range(1, NUMBER + 1)
    )
    opinions = (Opinion(volume_id=number, user_id=user.id, stars=1 + number % 3) for number in (1, 2, 3, 7))
    await add_rows(database, Writer(name="Austen"), Writer(name="Brontë"), *volumes, *opinions)
    if database.engine.dialect.name == "postgresql":
        async with database.engine.begin() as connection:
            await connection.execute(text("ANALYZE library_volume"))


async def read_ids(
    database: Database, user: User, *, objects: bool = False, **query: Any
) -> tuple[list[int], Page[Any]]:
    async with database.reader() as session:
        crud = Volumes(session, user)
        filters = crud.Filter(**query)
        page: Page[Any] = await crud.list(filters) if objects else await crud.list_values(filters, ["title", "id"])
        return [row.id if objects else row["id"] for row in page.items], page


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize(("objects", "sorts"), [(False, SORTS), (True, ("price", "-rating"))])
async def test_cursors_reach_rows(stored_volumes: Database, reader: User, objects: bool, sorts: Sequence[str]) -> None:
    for sort in sorts:
        await walk_through_all_rows(stored_volumes, reader, sort, objects)


async def walk_through_all_rows(database: Database, reader: User, sort: str, objects: bool) -> None:
    expected: list[int] = []
    for number in (1, 2, 3, 4, 5):
        ids, page = await read_ids(database, reader, objects=objects, sort=sort, size=5, page=number)
        expected += ids
    assert sorted(expected) == list(range(1, NUMBER + 1))
    ids, page = await read_ids(database, reader, objects=objects, sort=sort, size=5)
    while page.next_cursor:
        more, page = await read_ids(database, reader, objects=objects, sort=sort, size=5, cursor=page.next_cursor)
        ids += more
    assert ids == expected
    ids, page = await read_ids(database, reader, objects=objects, sort=sort, size=5, cursor="last")
    assert (len(ids), page.next_cursor) == (5, "")
    while page.previous_cursor:
        more, page = await read_ids(database, reader, objects=objects, sort=sort, size=5, cursor=page.previous_cursor)
        assert page.next_cursor
        ids = more + ids
    assert ids == expected


async def test_wrong_cursor_is_refused(stored_volumes: Database, reader: User) -> None:
    for cursor in ("x", "after:999", "before:-1", "after:99999999999999999999"):
        with pytest.raises(FieldErrors, match=r"There is no such row\. Begin with the first page\."):
            pytest.fail(f"{cursor} gives {await read_ids(stored_volumes, reader, cursor=cursor)}")


async def test_cursor_of_hidden_row_is_refused(stored_volumes: Database) -> None:
    async with stored_volumes.reader() as session:
        volumes = Volumes(session)
        with pytest.raises(FieldErrors, match="There is no such row"):
            await volumes.list_values(volumes.Filter(cursor=f"after:{NUMBER}"))


@pytest.mark.database("sqlite", "postgresql")
async def test_api_says_that_total_is_an_estimate(client: AsyncClient) -> None:
    page = (await client.get("/api/v1/volumes?pages__gte=1&size=5")).json()
    assert page["is_estimate"] is True
    assert page["total"] >= 10
    ids = [row["id"] for row in page["items"]]
    while cursor := page.get("next_cursor"):
        page = (await client.get("/api/v1/volumes", params={"pages__gte": 1, "size": 5, "cursor": cursor})).json()
        ids += [row["id"] for row in page["items"]]
    assert ids == list(range(NUMBER, 0, -1))
    assert page["previous_cursor"] == "before:3"


async def test_large_list_is_counted_again(client: AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async def read(first: int) -> tuple[bool, int]:
        page = (await client.get(f"/api/v1/volumes?size=5&pages__gte={first}")).json()
        return "is_estimate" in page, page["total"]

    monkeypatch.setattr(row_count, "monotonic", lambda: 0)
    assert (await read(11))[0]
    await execute(app, delete(Volume).where(col(Volume.pages) > 17))
    assert (await read(11))[0]
    assert await read(15) == (False, 3)
    monkeypatch.setattr(row_count, "monotonic", lambda: 3_600)
    assert await read(11) == (False, 7)


async def find_links(client: AsyncClient, url: str) -> tuple[str, dict[str, str]]:
    """Return the page, and its links to other pages by label."""
    page = (await client.get(url)).text
    links: Sequence[tuple[str, str]] = re.findall(r'<a class="btn" href="(\?[^"]*)"[^>]*>(\w+)</a>', page)
    return page, {label: unescape(link) for link, label in links}


async def test_list_is_browsed_by_row_after_last_number(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagination, "MAX_NUMBERED_PAGES", 2)
    page, links = await find_links(client, "/volumes?sort=title&size=5")
    assert links == {"Next": "?sort=title&size=5&page=2", "Last": "?sort=title&size=5&cursor=last"}
    beyond = await client.get("/volumes?sort=title&size=5&page=900")
    assert beyond.headers["location"] == "?sort=title&size=5&cursor=last"
    assert 'aria-label="Page 2"' in page
    assert 'aria-label="Page 3"' not in page
    _, links = await find_links(client, f"/volumes{links['Next']}")
    assert links["Previous"] == "?sort=title&size=5&page=1"
    assert links["Next"].startswith("?sort=title&size=5&cursor=after%3A")
    page, links = await find_links(client, f"/volumes{links['Next']}")
    assert links["First"] == "?sort=title&size=5"
    assert "cursor=before" in links["Previous"]
    assert 'href="?sort=-title&amp;size=5"' in page or 'href="?size=5&amp;sort=-title"' in page
    assert "Show all" not in page
    _, links = await find_links(client, f"/volumes{links['Last']}")
    assert "Next" not in links
