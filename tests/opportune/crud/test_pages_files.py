"""Pages of a model with image fields."""

import re
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlmodel import Field

from opportune.config.settings import Settings
from opportune.crud import Access, Crud, CrudPages
from opportune.feature import Feature
from opportune.fields import Image, Line, Markdown, image_field
from opportune.testing import make_user, signed_in_client
from tests.opportune.crud.library import LibraryTable
from tests.opportune.site_with import site_with
from tests.opportune.storage.pictures import photo

pytestmark = pytest.mark.database("sqlite")


class Poster(LibraryTable, table=True):
    __tablename__ = "library_poster"

    title: Line = Field(max_length=80)
    picture: Image = image_field("posters", {"thumb": 20})
    back: Image = image_field("posters", {"thumb": 20}, default="")
    words: Markdown = ""


class Posters(Crud[Poster]):
    read_access = Access.ANYONE


posters = Feature(
    name="posters",
    summary="Pictures.",
    pages=[
        CrudPages(Posters, "/posters", columns=("picture", "title")).router,
        CrudPages(Posters, "/titles", sections=(("Poster", ("title", "picture")),)).router,
    ],
)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with site_with(posters, LibraryTable.metadata, settings) as app:
        yield app


@pytest.fixture
async def root(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as client:
        yield client


def picture_in(page: str) -> str:
    """Return the address of the image on a page."""
    match = re.search(r'<img src="([^"]+)" alt="" loading="lazy">', page)
    assert match
    return match[1]


async def test_image_is_required_stored_and_shown(root: AsyncClient, client: AsyncClient) -> None:
    assert 'enctype="multipart/form-data"' in (await root.get("/posters/new")).text
    without = await root.post("/posters/new", data={"title": "Cats"})
    assert (without.status_code, "Please choose a file." in without.text) == (422, True)
    files = {"picture": ("a.jpg", photo(), "image/jpeg")}
    response = await root.post("/posters/new", data={"title": "Cats", "words": "**Big**"}, files=files)
    assert response.status_code == 303
    page = (await client.get(response.headers["location"])).text
    assert '<div class="markdown"><p><strong>Big</strong></p>' in page
    assert picture_in(page)
    address = picture_in((await client.get("/posters")).text)
    assert (await client.get(address)).headers["content-type"] == "image/webp"


async def test_image_stays_without_a_new_upload(root: AsyncClient) -> None:
    files = {"picture": ("a.jpg", photo(), "image/jpeg")}
    address = (await root.post("/posters/new", data={"title": "Cats"}, files=files)).headers["location"]
    before = picture_in((await root.get(address)).text)
    assert "required" not in (await root.get(f"{address}/edit")).text.partition('name="picture"')[2].partition(">")[0]
    assert (await root.post(f"{address}/edit", data={"title": "Dogs"})).status_code == 303
    page = (await root.get(address)).text
    assert "Dogs" in page
    assert before in page


async def test_optional_image_can_be_removed(root: AsyncClient) -> None:
    files = {name: ("a.jpg", photo(), "image/jpeg") for name in ("picture", "back")}
    address = (await root.post("/posters/new", data={"title": "Cats"}, files=files)).headers["location"]
    form = (await root.get(f"{address}/edit")).text
    assert re.findall(r'type="checkbox" name="(\w+)" value="clear"', form) == ["back"]
    assert (await root.get(address)).text.count('loading="lazy"') == 2
    sent = {"title": "Cats", "back": "clear"}
    wrong = (await root.post(f"{address}/edit", data=sent | {"title": ""})).text
    assert 'value="clear" checked' in wrong
    assert (await root.post(f"{address}/edit", data=sent)).status_code == 303
    assert (await root.get(address)).text.count('loading="lazy"') == 1
    assert (await root.post(f"{address}/edit", data={"title": "Cats", "picture": "clear"})).status_code == 422


async def test_fields_without_an_input_are_kept(root: AsyncClient) -> None:
    files = {"picture": ("a.jpg", photo(), "image/jpeg")}
    response = await root.post("/posters/new", data={"title": "Cats", "words": "**Big**"}, files=files)
    number = response.headers["location"].removeprefix("/posters/")
    assert (await root.post(f"/titles/{number}/edit", data={"title": "Dogs"})).status_code == 303
    page = (await root.get(f"/posters/{number}")).text
    assert ("Dogs" in page, "<strong>Big</strong>" in page) == (True, True)
