"""Pages of a model with image fields."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import DEFAULT, AsyncMock

import pytest
from fastapi import FastAPI, Request, Response
from httpx2 import AsyncClient
from pydantic import BaseModel, SecretStr
from sqlalchemy import select, update
from sqlmodel import Field

from opportune.config.settings import Settings
from opportune.crud import Crud, CrudApi, CrudPages, Permission, writing
from opportune.db import RowId
from opportune.db.listeners import listening
from opportune.db.sessions.insertion import InsertingSession
from opportune.errors import FieldErrors
from opportune.feature import Feature
from opportune.fields import Image, Line, Markdown, Url, image_field, stored_uploads
from opportune.storage import StorageDependency, StorageError, open_storage
from opportune.web import Form, ImageUpload, read_form
from tests.opportune.site_with import site_fixture
from tests.opportune.storage.pictures import photo
from tests.opportune.tables import UnmigratedTable


class Poster(UnmigratedTable, table=True):
    __tablename__ = "library_poster"

    title: Line = Field(max_length=80)
    picture: Image = image_field("posters", {"thumb": 20})
    back: Image = image_field("posters", {"thumb": 20}, default="")
    website: Url = ""
    words: Markdown = ""


class Posters(Crud[Poster]):
    read_permission = Permission.ANYONE


class LockingPages(CrudPages[Poster]):
    """Pages whose session has a transaction before the form is saved, as those of teams."""

    async def build_form(self, request: Request, crud: Any, row: Any = None) -> Form[Any]:
        await crud.session.execute(select(1))
        return await super().build_form(request, crud, row)


class Picture(BaseModel):
    picture: ImageUpload


poster_api = CrudApi(Posters, "/posters", without=("create",))


@poster_api.router.put("/{poster_id}/picture")
async def change_picture(
    request: Request,
    posters: Annotated[Posters, writing(Posters, "update")],
    poster_id: RowId,
    storage: StorageDependency,
) -> Response:
    """Upload of an API, as in docs/crud.md."""
    form = await read_form(request, Picture)
    if form.data is None:
        raise FieldErrors(form.errors)
    async with stored_uploads(storage, Poster, {"picture": form.data.picture}, posters.session) as values:
        return await poster_api.respond(posters, await posters.update(poster_id, values), 200)


posters = Feature(
    "posters",
    "Pictures.",
    models=[Poster],
    api=poster_api.router,
    pages=[
        CrudPages(Posters, "/posters", columns=("picture", "title")).router,
        LockingPages(Posters, "/locked").router,
        CrudPages(Posters, "/titles", sections=(("Poster", ("title", "picture")),)).router,
    ],
)
app = site_fixture(posters)


def find_picture(page: str) -> str:
    match = re.search(r'<img src="([^"]+)" alt="" loading="lazy">', page)
    assert match
    return match[1]


async def add_poster(admin: AsyncClient, *pictures: str, **fields: str) -> str:
    """Add a poster with these pictures, and return the path of its page."""
    files = {name: ("a.jpg", photo(), "image/jpeg") for name in pictures}
    response = await admin.post("/posters/new", data={"title": "Cats", **fields}, files=files)
    assert response.status_code == 303
    return response.headers["location"]


async def test_uploaded_image_is_stored_and_shown(admin: AsyncClient, client: AsyncClient) -> None:
    page = (await client.get(await add_poster(admin, "picture", words="**Big**"))).text
    assert '<div class="markdown" dir="auto"><p><strong>Big</strong></p>' in page
    assert find_picture(page)
    url = find_picture((await client.get("/posters")).text)
    assert (await client.get(url)).headers["content-type"] == "image/webp"


def stored_files(folder: Path) -> list[Path]:
    return [path for path in (folder / "uploads").rglob("*") if path.is_file()]


async def test_failed_commit_deletes_the_upload(app: FastAPI, admin: AsyncClient, tmp_path: Path) -> None:
    def fail(_session: object) -> None:
        raise ZeroDivisionError

    with listening(InsertingSession, before_commit=fail):
        response = await admin.post("/posters/new", data={"title": "Cats"}, files={"picture": ("a.jpg", photo())})
    assert response.status_code == 500
    assert stored_files(tmp_path) == []


async def test_storage_in_the_database_saves_files(app: FastAPI, settings: Settings, admin: AsyncClient) -> None:
    in_database = settings.model_copy(update={"storage_url": SecretStr("database:")})
    app.state.storage = open_storage(in_database, app.state.database)
    response = await admin.post("/locked/new", data={"title": "Cats"}, files={"picture": ("a.jpg", photo())})
    assert response.status_code == 303


async def test_failed_copy_deletes_the_upload(app: FastAPI, admin: AsyncClient, tmp_path: Path) -> None:
    storage = app.state.storage
    with pytest.MonkeyPatch.context() as patch:
        put = AsyncMock(wraps=storage.put, side_effect=[DEFAULT, StorageError()])
        patch.setattr(storage, "put", put)
        response = await admin.post("/posters/new", data={"title": "Cats"}, files={"picture": ("a.jpg", photo())})
    assert (response.status_code, put.await_count) == (503, 2)
    assert stored_files(tmp_path) == []


async def test_no_row_is_locked_while_a_file_is_stored(app: FastAPI, admin: AsyncClient) -> None:
    url = await add_poster(admin, "picture")
    storage = app.state.storage
    original = storage.put

    async def put_after_another_change(*args: Any, **options: Any) -> None:
        async with app.state.database.writer() as session:
            await session.execute(update(Poster).values(title="Cats"))
        await original(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "put", put_after_another_change)
        response = await admin.post(f"{url}/edit", data={"title": "Dogs"}, files={"back": ("a.jpg", photo())})
    assert response.status_code == 303
    assert "Dogs" in (await admin.get(url)).text


async def test_upload_holds_no_connection(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    url = await add_poster(admin, "picture")
    read_body = Request.stream
    database: Any = app.state.database
    counts: list[int] = []

    async def count_and_read(request: Request) -> AsyncGenerator[bytes, None]:
        counts.append(database.engine.pool.checkedout() + database.reading_engine.pool.checkedout())
        async for part in read_body(request):
            yield part

    monkeypatch.setattr(Request, "stream", count_and_read)
    response = await admin.post(f"{url}/edit", data={"title": "Dogs"}, files={"back": ("a.jpg", photo())})
    assert (response.status_code, counts) == (303, [0])


async def test_image_stays_without_a_new_upload(admin: AsyncClient) -> None:
    url = await add_poster(admin, "picture")
    address_before = find_picture((await admin.get(url)).text)
    assert "required" not in (await admin.get(f"{url}/edit")).text.partition('name="picture"')[2].partition(">")[0]
    assert (await admin.post(f"{url}/edit", data={"title": "Dogs"})).status_code == 303
    page = (await admin.get(url)).text
    assert "Dogs" in page
    assert address_before in page


async def test_optional_image_can_be_removed(admin: AsyncClient) -> None:
    url = await add_poster(admin, "picture", "back")
    form = (await admin.get(f"{url}/edit")).text
    assert re.findall(r'type="checkbox" name="(\w+)" value="clear"', form) == ["back"]
    assert (await admin.get(url)).text.count('loading="lazy"') == 2
    form_data = {"title": "Cats", "back": "clear"}
    invalid = (await admin.post(f"{url}/edit", data=form_data | {"title": ""})).text
    assert 'value="clear" checked' in invalid
    assert (await admin.post(f"{url}/edit", data=form_data)).status_code == 303
    assert (await admin.get(url)).text.count('loading="lazy"') == 1
    assert (await admin.post(f"{url}/edit", data={"title": "Cats", "picture": "clear"})).status_code == 422


async def test_fields_without_an_input_are_kept(admin: AsyncClient) -> None:
    number = (await add_poster(admin, "picture", words="**Big**")).removeprefix("/posters/")
    assert (await admin.post(f"/titles/{number}/edit", data={"title": "Dogs"})).status_code == 303
    page = (await admin.get(f"/posters/{number}")).text
    assert "Dogs" in page
    assert "<strong>Big</strong>" in page


async def test_api_removes_only_an_optional_image(admin: AsyncClient) -> None:
    url = await add_poster(admin, "picture", "back")
    responses = [await admin.patch(f"/api/v1{url}", json={name: ""}) for name in ("picture", "back")]
    assert [response.status_code for response in responses] == [422, 200]


async def test_api_takes_an_upload_in_its_own_route(app: FastAPI, admin: AsyncClient) -> None:
    url = await add_poster(admin, "picture")
    before = (await admin.get(f"/api/v1{url}")).json()["picture"]
    response = await admin.put(f"/api/v1{url}/picture", files={"picture": ("a.jpg", photo())})
    assert response.status_code == 200, response.text
    assert (await admin.get(response.json()["picture"])).status_code == 200
    assert response.json()["picture"] != before
    refused = await admin.put(f"/api/v1{url}/picture", files={"picture": ("a.svg", b"<svg/>")})
    assert refused.json()["errors"][0]["field"] == ["picture"]
