"""Forms of the admin with foreign keys and many-to-many relationships."""

import json
import re
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.admin.forms.foreign_keys import MAX_SELECTED_ROWS
from opportune.admin.models import AuditEntry
from opportune.testing.factories import signed_in_client
from tests.opportune.admin.novel_feature import BANNED, Loan, Novel, NovelGenre, make_genres, novels
from tests.opportune.contrib.import_export.import_steps import upload_file
from tests.opportune.site_with import site_fixture, staff_fixture
from tests.opportune.stored_rows import add_rows, make_staff, read_all

NOVEL_FORM = {"title": "Saga", "save": "Save"}
CREATE, EDIT = "/admin/novel/create", "/admin/novel/edit/1"
app = site_fixture(novels, make_genres)
"""The view of genres hides genre 3 from everyone."""
staff = staff_fixture("novel.*")


async def read_genre_ids(app: FastAPI, novel: int = 1) -> list[int]:
    statement = select(col(NovelGenre.genre_id)).where(col(NovelGenre.novel_id) == novel)
    return await read_all(app, statement.order_by(col(NovelGenre.genre_id)))


def extract_error(page: str) -> str:
    match = re.search(r'id="error-genres">(.*?)</div>', page)
    return unescape(match[1]) if match else ""


async def test_links_are_changed_shown_and_logged(app: FastAPI, admin: AsyncClient) -> None:
    assert (await admin.post(CREATE, data=NOVEL_FORM | {"genres": ["", "2", "1"]})).status_code == 303
    assert await read_genre_ids(app) == [1, 2]
    for page in ("list", "details/1"):
        text = (await admin.get(f"/admin/novel/{page}")).text
        assert '<a href="/admin/genre/details/1">Crime</a>, <a href="/admin/genre/details/2">Poetry</a>' in text, page
    form = (await admin.get(EDIT)).text
    assert '<option value="1" selected>Crime</option><option value="2" selected>Poetry</option>' in form
    await admin.post(EDIT, data=NOVEL_FORM | {"genres": ["", "2"]})
    assert await read_genre_ids(app) == [2]
    await admin.post(EDIT, data={"title": "Saga II", "save": "Save"})
    assert await read_genre_ids(app) == [2], "a form without the field changes nothing"
    await admin.post(EDIT, data=NOVEL_FORM | {"genres": ""})
    assert await read_genre_ids(app) == []
    entries = await read_all(app, AuditEntry)
    recorded = [entry.changes.get("genres") for entry in entries]
    assert recorded == [[[], ["Crime", "Poetry"]], [["Crime", "Poetry"], ["Poetry"]], None, [["Poetry"], []]]
    assert "Crime, Poetry" in (await admin.get("/admin/novel/history/1")).text


async def test_links_with_more_required_columns_are_read_only(app: FastAPI, admin: AsyncClient) -> None:
    assert 'name="lent"' not in (await admin.get("/admin/reader/create")).text
    await admin.post("/admin/reader/create", data={"name": "Ada", "lent": "1", "save": "Save"})
    assert await read_all(app, Loan) == []
    await add_rows(app, Loan(reader_id=1, genre_id=2, until="Monday"))
    form = (await admin.get("/admin/reader/edit/1")).text
    assert [text in form for text in ("Poetry", 'name="lent"')] == [True, False]


async def test_deletion_removes_links(app: FastAPI, admin: AsyncClient) -> None:
    await admin.post(CREATE, data=NOVEL_FORM | {"genres": "1"})
    assert "NovelGenre" in (await admin.get("/admin/novel/delete?pks=1")).text
    assert (await admin.post("/admin/genre/delete?pks=1", data={"confirmed": "yes"})).status_code == 303
    assert "Something else still refers to it" in (await admin.get("/admin/genre/list")).text
    await admin.post("/admin/novel/delete?pks=1", data={"confirmed": "yes"})
    assert await read_genre_ids(app) == []


async def test_add_button_needs_permission_to_create(app: FastAPI, admin: AsyncClient) -> None:
    add_link = 'href="/admin/genre/create?_dialog=1"'
    assert add_link in (await admin.get(CREATE)).text
    async with signed_in_client(app, await make_staff(app, "novel.*", "genre.list")) as reader:
        assert add_link not in (await reader.get(CREATE)).text
        assert (await reader.get("/admin/genre/create?_dialog=1")).status_code == 403


async def test_invalid_selection_is_refused(app: FastAPI, admin: AsyncClient) -> None:
    for text, message in (
        ("Crime", "Choose one from the list, or enter its number."),
        ("1,Crime", "Choose one from the list, or enter its number."),
        ("-1", "The selected entry no longer exists."),
        ("9" * 30, "Choose one from the list, or enter its number."),
        ("999", "The selected entry no longer exists."),
        ("3", "The selected entry no longer exists."),
        (",".join(map(str, range(1, MAX_SELECTED_ROWS + 2))), f"Choose at most {MAX_SELECTED_ROWS} rows."),
    ):
        response = await admin.post(CREATE, data=NOVEL_FORM | {"genres": text})
        assert (response.status_code, extract_error(response.text)) == (400, message), text
        assert BANNED not in response.text, text
        assert await read_all(app, Novel) == [], text


async def test_unlisted_links_can_be_kept_and_removed(app: FastAPI, admin: AsyncClient, staff: AsyncClient) -> None:
    await admin.post(CREATE, data=NOVEL_FORM | {"genres": "1,2"})
    form = (await staff.get(EDIT)).text
    assert [text in form for text in ('<option value="1" selected>Crime</option>', "<row-picker")] == [True, False]
    await staff.post(EDIT, data=NOVEL_FORM | {"genres": ["", "2"]})
    assert await read_genre_ids(app) == [2]
    response = await staff.post(EDIT, data=NOVEL_FORM | {"genres": "1,2"})
    assert "may not list these rows" in extract_error(response.text)
    assert "Crime" not in response.text
    assert await read_genre_ids(app) == [2]


async def test_hidden_link_is_kept(app: FastAPI, admin: AsyncClient) -> None:
    await admin.post(CREATE, data=NOVEL_FORM)
    await add_rows(app, NovelGenre(novel_id=1, genre_id=3))
    await admin.post(EDIT, data=NOVEL_FORM | {"genres": "3,1"})
    assert await read_genre_ids(app) == [1, 3]


async def test_dialog_form_returns_the_new_row(admin: AsyncClient) -> None:
    url = "/admin/genre/create?_dialog=1"
    form = await admin.get(url)
    assert 'id="menu"' not in form.text
    assert "Save and add another" not in form.text
    assert (await admin.post(url, data={"name": "Crime"})).status_code == 400
    created = await admin.post(url, data={"name": "Space & <Opera>", "save": "Save"})
    assert created.status_code == 201
    assert '<p data-created="4" data-title="Space &amp; &lt;Opera&gt;">' in created.text
    page = await admin.get("/admin/genre/create")
    for response, framing in ((form, "SAMEORIGIN"), (created, "SAMEORIGIN"), (page, "DENY")):
        (policy,) = response.headers.get_list("content-security-policy")
        assert response.headers.get_list("x-frame-options") == [framing]
        assert ("frame-ancestors 'self'" in policy) == (framing == "SAMEORIGIN")


ENTRY_MISSING = "The selected entry no longer exists."


async def collect_refusals(admin: AsyncClient, model: str, row: dict[str, Any]) -> list[str]:
    """Return the page of the form and of the import; instead of it the status if the value is accepted."""
    form = await admin.post(f"/admin/{model}/create", data=row)
    file = await upload_file(admin, f"/admin/{model}/import", json.dumps([row]), "rows.json")
    pages = (form, form.status_code == 400), (file, "Lines with errors" in file.text)
    return [unescape(page.text) if is_refused else str(page.status_code) for page, is_refused in pages]


@pytest.mark.database("postgresql")  # SQLite would compare a number with a text
async def test_other_keys_are_checked_by_the_database(admin: AsyncClient) -> None:
    for column, text, message in (
        ("language", "xx", ENTRY_MISSING),
        ("shelf_id", "7", ENTRY_MISSING),
        ("shelf_id", "A", "Please enter a whole number."),
    ):
        for page in await collect_refusals(admin, "novel", {"title": "Emma", column: text}):
            assert message in page, (column, text)
            assert "must be between" not in page, "text is not compared as a number"
    assert (await admin.post("/admin/novel/create", data={"title": "Emma", "save": "Save"})).status_code == 303
