"""Files, groups of fields, what may not be changed, and copies, shown with a model that has them all."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from pydantic import SecretStr
from sqlalchemy import select

from opportune.storage import StorageError, open_storage
from opportune.testing import picture
from opportune.testing.factories import make_user, signed_in_client
from opportune.web.forms.uploads import too_large
from tests.opportune.admin.shelf_feature import Shelf, meanwhile

pytestmark = pytest.mark.database("sqlite")

CREATE, EDIT, DETAILS = "/admin/shelf/create", "/admin/shelf/edit/1", "/admin/shelf/details/1"


@pytest.fixture
def app(app_with_shelves: FastAPI) -> FastAPI:
    return app_with_shelves


def files(**contents: bytes) -> dict[str, Any]:
    """As a browser sends a form with files: what was not chosen comes empty."""
    empty = {"photo": ("", b""), "plan": ("", b"")}
    return empty | {name: (f"../{name}.html", content) for name, content in contents.items()}


async def save(admin: AsyncClient, address: str = CREATE, *, sent: Any = None, **fields: Any) -> Response:
    values = {"title": "Novels", "slug": "novels", "code": "N1", "price": "3", "save": "Save"}
    return await admin.post(address, data=values | fields, files=files() if sent is None else sent)


async def shelves(app: FastAPI) -> list[Shelf]:
    async with app.state.database.reader() as session:
        return list(await session.scalars(select(Shelf).order_by(Shelf.id)))  # type: ignore[arg-type]  # a column


async def kept(app: FastAPI, tmp_path: Path) -> set[str]:
    """The names of the stored files, once the jobs are done."""
    await app.state.jobs.drain()
    folder = tmp_path / "uploads"
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def test_files_are_kept_replaced_and_cleared(app: FastAPI, admin: AsyncClient, tmp_path: Path) -> None:
    assert (await save(admin, sent=files(photo=picture(), plan=b"<html>plan"))).status_code == 303
    (first,) = await shelves(app)
    assert first.photo.startswith("shelves/")
    assert first.photo.endswith(".webp"), "drawn anew, without what else was in it"
    assert re.fullmatch(r"plans/\w+\.bin", first.plan or ""), "of any kind, and so of none"
    assert await kept(app, tmp_path) == {first.photo, first.plan}

    assert (await save(admin, EDIT, title="Other")).status_code == 303
    (same,) = await shelves(app)
    assert (same.title, same.photo, same.plan) == ("Other", first.photo, first.plan)

    await save(admin, EDIT, sent=files(photo=picture(colour="red")), plan="clear")
    (changed,) = await shelves(app)
    assert changed.photo != first.photo
    assert changed.plan is None
    assert await kept(app, tmp_path) == {changed.photo}

    assert (await admin.post("/admin/shelf/delete?pks=1", data={"confirmed": "1"})).status_code == 303
    assert await kept(app, tmp_path) == set()


async def test_a_stored_file_has_a_signed_address_a_row_leads_to_its_page_and_what_may_only_be_chosen_at_first_stays(
    app: FastAPI, admin: AsyncClient
) -> None:
    await save(admin, sent=files(photo=picture(), plan=b"<html>plan"))
    for page in (EDIT, DETAILS):
        text = (await admin.get(page)).text
        addresses = [part.split('"')[0].replace("&amp;", "&") for part in text.split('<a href="/files/')[1:]]
        answers = [await admin.get(f"/files/{address}") for address in addresses]
        assert [answer.headers["content-type"] for answer in answers] == ["image/webp", "application/octet-stream"]
        assert answers[1].headers["content-disposition"].startswith("attachment")

    for address in (EDIT, DETAILS):
        assert 'href="/shelves/novels"' in (await admin.get(address)).text

    page = (await admin.get(EDIT)).text
    assert 'name="code"' not in page
    assert "N1" in page
    await save(admin, EDIT, title="Forged", code="X")
    (after,) = await shelves(app)
    assert (after.title, after.code) == ("Forged", "N1")


REFUSED = [
    (b"<svg onload='alert(1)'/>", "not a picture"),
    (picture()[:60], "damaged"),
    (picture() + b"<script>", "holds more than a picture"),
    (b"x" * 10_000_001, too_large()),
]


async def test_a_file_that_is_no_picture_or_cannot_be_kept_is_refused_beside_its_field_and_the_rest_is_kept(
    app: FastAPI, admin: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content, words in REFUSED:
        answer = await save(admin, sent=files(photo=content, plan=b"plan"), title="Kept title")
        assert answer.status_code == 400
        assert words in answer.text.split('id="error-photo">')[1].split("</div>")[0]
        assert 'value="Kept title"' in answer.text
        assert "Please choose the file again." in answer.text
    assert await shelves(app) == []
    assert await kept(app, tmp_path) == set()

    async def refuse(*_: object) -> str:
        raise StorageError

    monkeypatch.setattr(app.state.storage, "save", refuse)
    answer = await save(admin, sent=files(photo=picture()), title="Kept title")
    assert answer.status_code == 400
    assert str(StorageError()) in answer.text.split('id="error-photo">')[1]
    assert 'value="Kept title"' in answer.text
    assert await shelves(app) == []


async def test_a_file_that_the_database_does_not_take_is_refused_beside_its_field(
    app: FastAPI, admin: AsyncClient
) -> None:
    limits = SecretStr("database:?max_file_megabytes=1&max_total_megabytes=1")
    app.state.storage = open_storage(app.state.settings.model_copy(update={"storage_url": limits}), app.state.database)
    for size, words in ((1_000_001, "at most 1 MB."), (900_000, ""), (200_000, "no room for more files")):
        answer = await save(admin, sent=files(photo=picture(), plan=bytes(size)), title=f"Of {size}", slug=f"s{size}")
        assert answer.status_code == (400 if words else 303)
        assert words in answer.text.partition('id="error-plan">')[2]
    (shelf,) = await shelves(app)
    assert len(await app.state.storage.read(shelf.plan)) == 900_000


async def test_a_change_that_is_refused_leaves_no_file_behind_and_no_name_of_a_file_is_taken_from_a_text(
    app: FastAPI, admin: AsyncClient, tmp_path: Path
) -> None:
    await save(admin, sent=files(photo=picture()))
    before = await kept(app, tmp_path)
    answer = await save(admin, sent=files(photo=picture(colour="red"), plan=b"plan"))  # the title is taken
    assert "This value is already in use." in answer.text
    assert await kept(app, tmp_path) == before

    photo = (await shelves(app))[0].photo
    data = {"title": "Forged", "photo": "shelves/another.webp", "plan": "../../.env"}
    assert (await admin.post(EDIT, data=data)).status_code == 303
    (after,) = await shelves(app)
    assert (after.title, after.photo, after.plan) == ("Forged", photo, None)


async def test_a_file_that_a_job_replaces_meanwhile_stays(
    app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save(admin, sent=files(photo=picture()))

    async def replace() -> None:
        async with app.state.database.writer() as session:
            (await session.get_one(Shelf, 1)).photo = "shelves/smaller.webp"

    meanwhile(monkeypatch, replace)
    await save(admin, EDIT, title="Other")
    (after,) = await shelves(app)
    assert (after.title, after.photo) == ("Other", "shelves/smaller.webp")


async def test_what_is_read_only_for_some_is_neither_shown_as_a_field_nor_read(
    app: FastAPI, admin: AsyncClient
) -> None:
    await save(admin, price="3")
    async with signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as other:
        assert 'name="price"' not in (await other.get(EDIT)).text
        assert (await save(other, EDIT, title="Forged", price="0")).status_code == 303
        assert (await save(other, title="Second", price="9")).status_code == 303
    assert [shelf.price for shelf in await shelves(app)] == [3, 0]


async def test_a_form_has_titles_hints_and_what_its_address_says(admin: AsyncClient) -> None:
    page = (await admin.get(f'{CREATE}?title=A"b<i>&price=7&photo=x&unknown=1')).text
    for shown in (
        '<legend class="h3">Looks</legend>',
        'value="A&#34;b&lt;i&gt;"',
        'value="7"',
        '<div class="form-hint" id="hint-title">What stands on its front.</div>',
        'aria-describedby="hint-title"',
        'data-slug-from="title"',
        'enctype="multipart/form-data"',
    ):
        assert shown in page
    assert "they are lost at the next deploy" not in page, "this machine keeps files"
    assert page.index(">Name</legend>") < page.index('name="slug"') < page.index(">Looks</legend>")
    assert page.index('name="plan"') < page.index('name="price"'), "what is in no group comes last"
    assert (await admin.get(f"{CREATE}?price=many")).status_code == 200

    large = {"title": ("a.txt", b"x" * 3_000_000)}
    assert (await admin.post("/admin/book/create", data={"shelf_id": "1"}, files=large)).status_code == 413


async def test_a_form_with_files_says_that_the_host_will_lose_them(
    admin: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RENDER", "true")
    assert "they are lost at the next deploy" in (await admin.get(CREATE)).text
    assert "they are lost" not in (await admin.get("/admin/group/create")).text, "a form without files"


async def test_a_copy_is_a_row_of_its_own_without_the_files(app: FastAPI, admin: AsyncClient) -> None:
    await save(admin, sent=files(photo=picture()))
    assert "Save as new" in (await admin.get(EDIT)).text
    copy = await save(admin, EDIT, title="Copy", code="C", save="Save as new")
    assert copy.headers["location"] == "/admin/shelf/edit/2"
    first, second = await shelves(app)
    assert (first.title, second.title, second.code, second.photo) == ("Novels", "Copy", "C", "")
    assert first.photo


async def test_what_was_saved_is_named_and_linked(admin: AsyncClient) -> None:
    await save(admin, title="<b>Bold</b>")
    page = (await admin.get("/admin/shelf/list")).text
    assert "Shelf “&lt;b&gt;Bold&lt;/b&gt;” was saved." in page
    assert 'href="/admin/shelf/edit/1">Open it again</a>' in page
