"""Forms of the admin: files, field groups, read-only fields and copies."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from opportune.storage import StorageError
from opportune.testing import picture
from opportune.web.forms.uploads import too_large_message
from tests.opportune.admin.shelf_feature import Shelf, run_before_saving, shelves
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import change_row, read_all

CREATE, EDIT, DETAILS = "/admin/shelf/create", "/admin/shelf/edit/1", "/admin/shelf/details/1"
app = site_fixture(shelves)


def make_uploads(**contents: bytes) -> dict[str, Any]:
    """Return files as a browser sends them. Files that were not selected are empty."""
    empty = {"photo": ("", b""), "plan": ("", b"")}
    return empty | {name: (f"../{name}.html", content) for name, content in contents.items()}


async def save_shelf(admin: AsyncClient, url: str = CREATE, *, uploads: Any = None, **fields: Any) -> Response:
    values = {"title": "Novels", "slug": "novels", "code": "N1", "price": "3", "save": "Save"}
    return await admin.post(url, data=values | fields, files=make_uploads() if uploads is None else uploads)


async def read_shelves(app: FastAPI) -> list[Shelf]:
    return await read_all(app, Shelf)


async def run_jobs_and_list_files(app: FastAPI, tmp_path: Path) -> set[str]:
    await app.state.jobs.worker.drain()
    folder = tmp_path / "uploads"
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def test_files_are_stored_replaced_and_cleared(app: FastAPI, admin: AsyncClient, tmp_path: Path) -> None:
    assert (await save_shelf(admin, uploads=make_uploads(photo=picture(), plan=b"<html>plan"))).status_code == 303
    (created,) = await read_shelves(app)
    assert created.photo.startswith("shelves/")
    assert created.photo.endswith(".webp"), "encoded again, without appended data"
    assert re.fullmatch(r"plans/\w+\.bin", created.plan or ""), "a file of any type has no media type"
    assert await run_jobs_and_list_files(app, tmp_path) == {created.photo, created.plan}
    assert (await save_shelf(admin, EDIT, title="Other")).status_code == 303
    (renamed,) = await read_shelves(app)
    assert (renamed.title, renamed.photo, renamed.plan) == ("Other", created.photo, created.plan)
    await save_shelf(admin, EDIT, uploads=make_uploads(photo=picture(colour="red")), plan="clear")
    (changed,) = await read_shelves(app)
    assert changed.photo != created.photo
    assert changed.plan is None
    assert await run_jobs_and_list_files(app, tmp_path) == {changed.photo}
    assert (await admin.post("/admin/shelf/delete?pks=1", data={"confirmed": "1"})).status_code == 303
    assert await run_jobs_and_list_files(app, tmp_path) == set()


async def test_stored_files_have_signed_urls(app: FastAPI, admin: AsyncClient) -> None:
    await save_shelf(admin, uploads=make_uploads(photo=picture(), plan=b"<html>plan"))
    for page in (EDIT, DETAILS):
        text = (await admin.get(page)).text
        addresses = [part.split('"')[0].replace("&amp;", "&") for part in text.split('<a href="/files/')[1:]]
        responses = [await admin.get(f"/files/{url}") for url in addresses]
        media_types = [response.headers["content-type"] for response in responses]
        assert media_types == ["image/webp", "application/octet-stream"]
        assert responses[1].headers["content-disposition"].startswith("attachment")


async def test_form_of_a_stored_row(app: FastAPI, admin: AsyncClient) -> None:
    await save_shelf(admin, title="<b>Bold</b>")
    page = (await admin.get("/admin/shelf/list")).text
    assert "Shelf “&lt;b&gt;Bold&lt;/b&gt;” was saved." in page
    assert 'href="/admin/shelf/edit/1">Open it again</a>' in page
    for url in (EDIT, DETAILS):
        page = (await admin.get(url)).text
        assert 'href="/shelves/novels"' in page, "the page of the site"
        assert ('name="code"' in page, "N1" in page) == (False, True), "a read-only field"
    await save_shelf(admin, EDIT, title="Forged", code="X")
    (shelf,) = await read_shelves(app)
    assert (shelf.title, shelf.code) == ("Forged", "N1")
    added = await save_shelf(admin, f"{CREATE}?price=7", slug="s2", title="Other", save="Save and add another")
    assert added.headers["location"].endswith("/admin/shelf/create?price=7")
    continued = await save_shelf(admin, f"{EDIT}?page=2", save="Save and continue editing")
    assert continued.headers["location"].endswith("/admin/shelf/edit/1?page=2")


INVALID_IMAGES = [
    (b"<svg onload='alert(1)'/>", "not a picture"),
    (picture()[:60], "damaged"),
    (picture() + b"<script>", "holds more than a picture"),
    (b"x" * 10_000_001, too_large_message()),
]


async def test_invalid_image_is_refused_beside_its_field(
    app: FastAPI, admin: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content, message in INVALID_IMAGES:
        response = await save_shelf(admin, uploads=make_uploads(photo=content, plan=b"plan"), title="Kept title")
        assert response.status_code == 400
        assert message in response.text.split('id="error-photo">')[1].split("</div>")[0]
        assert 'value="Kept title"' in response.text
        assert "Please choose the file again." in response.text
    assert await read_shelves(app) == []
    assert await run_jobs_and_list_files(app, tmp_path) == set()

    async def refuse(*_: object) -> str:
        raise StorageError

    monkeypatch.setattr(app.state.storage, "save", refuse)
    response = await save_shelf(admin, uploads=make_uploads(photo=picture()), title="Kept title")
    assert response.status_code == 400
    assert str(StorageError()) in response.text.split('id="error-photo">')[1]
    assert 'value="Kept title"' in response.text
    assert await read_shelves(app) == []


async def test_refused_change_stores_no_file(app: FastAPI, admin: AsyncClient, tmp_path: Path) -> None:
    await save_shelf(admin, uploads=make_uploads(photo=picture()))
    before = await run_jobs_and_list_files(app, tmp_path)
    uploads = make_uploads(photo=picture(colour="red"), plan=b"plan")
    assert "This value is already in use." in (await save_shelf(admin, uploads=uploads)).text
    assert await run_jobs_and_list_files(app, tmp_path) == before


async def test_forged_file_paths_are_ignored(app: FastAPI, admin: AsyncClient) -> None:
    await save_shelf(admin, uploads=make_uploads(photo=picture()))
    photo = (await read_shelves(app))[0].photo
    data = {"title": "Forged", "photo": "shelves/another.webp", "plan": "../../.env"}
    assert (await admin.post(EDIT, data=data)).status_code == 303
    (shelf,) = await read_shelves(app)
    assert (shelf.title, shelf.photo, shelf.plan) == ("Forged", photo, None)


async def test_file_replaced_by_job_is_kept(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await save_shelf(admin, uploads=make_uploads(photo=picture()))

    async def replace() -> None:
        await change_row(app, Shelf, photo="shelves/smaller.webp")

    run_before_saving(monkeypatch, replace)
    await save_shelf(admin, EDIT, title="Other")
    (shelf,) = await read_shelves(app)
    assert (shelf.title, shelf.photo) == ("Other", "shelves/smaller.webp")


async def test_form_has_legends_hints_and_prefilled_values(admin: AsyncClient) -> None:
    page = (await admin.get(f'{CREATE}?title=A"b<i>&price=7&photo=x&unknown=1')).text
    for text in (
        '<legend class="h3">Looks</legend>',
        'value="A&#34;b&lt;i&gt;"',
        'value="7"',
        '<div class="form-hint" id="hint-title">Printed on the front.</div>',
        'aria-describedby="hint-title"',
        'data-slug-from="title"',
        'enctype="multipart/form-data"',
    ):
        assert text in page
    assert "they are lost at the next deploy" not in page, "the local disk keeps files"
    assert page.index(">Name</legend>") < page.index('name="slug"') < page.index(">Looks</legend>")
    assert page.index('name="plan"') < page.index('name="price"'), "fields without a group come last"
    assert (await admin.get(f"{CREATE}?price=many")).status_code == 200
    large = {"title": ("a.txt", b"x" * 3_000_000)}
    assert (await admin.post("/admin/book/create", data={"shelf_id": "1"}, files=large)).status_code == 413


async def test_save_as_new_copies_a_row_without_files(app: FastAPI, admin: AsyncClient) -> None:
    await save_shelf(admin, uploads=make_uploads(photo=picture()))
    assert "Save as new" in (await admin.get(EDIT)).text
    copy = await save_shelf(admin, EDIT, title="Copy", code="C", save="Save as new")
    assert copy.headers["location"] == "/admin/shelf/edit/2"
    original, copied = await read_shelves(app)
    assert (original.title, copied.title, copied.code, copied.photo) == ("Novels", "Copy", "C", "")
    assert original.photo
