"""Forms that add, change and delete rows of a model, and their choices."""

import re
from datetime import date
from itertools import product
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.testing import add_permission
from tests.opportune.crud.library import HTMX, VOLUME_FORM, BookStatus, Note, Opinion, Volume, Writer, read_volume
from tests.opportune.stored_rows import add_rows, change_row, read_one


async def test_writing_needs_a_permission(app: FastAPI, client: AsyncClient, member: AsyncClient) -> None:
    for method, path in product(("GET", "POST"), ("/new", "/emma/edit", "/emma/delete")):
        data = VOLUME_FORM if method == "POST" else None
        anonymous = await client.request(method, f"/volumes{path}", data=data)
        assert anonymous.status_code == 303, method
        assert anonymous.headers["location"].startswith("/accounts/login?next="), method
        assert (await member.request(method, f"/volumes{path}", data=data)).status_code == 403
        assert await read_volume(app, "emma"), method
        assert not await read_volume(app, "persuasion"), method


async def test_permitted_actions_are_allowed(app: FastAPI, member: AsyncClient, ann: User) -> None:
    await add_permission(app.state.database, ann, "volume", "update")
    assert (await member.get("/volumes/emma/edit")).status_code == 200
    assert (await member.get("/volumes/emma/delete")).status_code == 403
    text = (await member.get("/volumes/emma")).text
    assert "/emma/edit" in text
    assert "/emma/delete" not in text
    await add_permission(app.state.database, ann, "volume", "create")
    assert "/writers/new" not in (await member.get("/volumes/new")).text


async def test_row_is_added_with_its_links(app: FastAPI, admin: AsyncClient) -> None:
    form = (await admin.get("/volumes/new")).text
    assert '<option value="1">Jane &lt;b&gt;</option>' in form
    assert [text in form for text in ("Hidden", "secret_note", "<legend")] == [False, False, True]
    form_data = {**VOLUME_FORM, "topics": ["1", "2"], "is_staff": "true", "id": "77"}
    response = await admin.post("/volumes/new", data=form_data)
    assert (response.status_code, response.headers["location"]) == (303, "/volumes/persuasion")
    added = await read_one(app, Volume, slug="persuasion")
    assert (added.id == 77, added.is_staff, added.pages) == (False, False, 99)
    text = (await admin.get("/volumes/persuasion")).text
    assert "“Persuasion” is added." in text
    assert "Money" in text


async def test_new_form_is_prefilled_from_the_address(admin: AsyncClient) -> None:
    page = (await admin.get("/volumes/new?title=%3Cb%3ERome&published_on=2026-05-01&unknown=1")).text
    assert 'value="&lt;b&gt;Rome"' in page
    assert 'value="2026-05-01"' in page


async def test_htmx_gets_only_the_form_with_errors(admin: AsyncClient) -> None:
    response = await admin.post("/volumes/new", data=VOLUME_FORM, headers=HTMX)
    assert response.headers["HX-Redirect"] == "/volumes/persuasion"
    response = await admin.post("/volumes/new", data=VOLUME_FORM, headers=HTMX)
    assert response.status_code == 422
    assert response.text.strip().startswith("<form")
    assert "This value is already in use." in response.text
    assert 'value="Persuasion"' in response.text


async def test_row_is_changed_and_its_links_replaced(admin: AsyncClient) -> None:
    form = (await admin.get("/volumes/emma/edit")).text
    assert 'value="Emma &lt;b&gt;"' in form
    assert "checked" in form
    form_data = {**VOLUME_FORM, "slug": "emma", "topics": "2", "published_on": ""}
    response = await admin.post("/volumes/emma/edit", data=form_data)
    assert (response.status_code, response.headers["location"]) == (303, "/volumes/emma")
    text = (await admin.get("/volumes/emma")).text
    assert [word in text for word in ("Love", "Money", "“Persuasion” is saved.")] == [False, True, True]


async def test_invalid_form_keeps_its_values(app: FastAPI, admin: AsyncClient, ann: User, member: AsyncClient) -> None:
    new, edit = "/volumes/new", "/volumes/emma/edit"
    await add_permission(app.state.database, ann, "volume", "create")
    for data, message, paths in (
        ({"price": "-1"}, "Please enter 0 or more.", (new, edit)),
        ({"writer_id": ""}, "Please choose one.", (new,)),
        ({"writer_id": "2"}, "The selected entry no longer exists", (new,)),
        ({"writer_id": "x"}, "Choose one from the list", (new,)),
        ({"slug": "emma"}, "This value is already in use.", (new,)),
        ({"pages": "0"}, "does not allow this value", (new, edit)),
    ):
        for path in paths:
            # The superuser sees hidden writers, a librarian does not.
            sender = member if path.endswith("new") else admin
            response = await sender.post(path, data={**VOLUME_FORM, "blurb": "typed <i>", **data})
            assert (response.status_code, message in response.text) == (422, True), (path, response.text)
            assert 'value="99"' in response.text or "pages" in data
        assert not await read_volume(app, "persuasion"), data


async def test_referenced_row_is_not_deleted(admin: AsyncClient) -> None:
    page = (await admin.get("/writers/1/delete")).text
    assert "cannot be deleted now" in page
    assert "Yes, delete" not in page
    assert '<a href="/volumes/emma">Emma ' in page
    response = await admin.post("/writers/1/delete")
    assert (response.status_code, "Something else still refers to it" in response.text) == (422, True)


async def test_deletion_is_confirmed_with_its_consequences(app: FastAPI, admin: AsyncClient, ann: User) -> None:
    await add_rows(app, Opinion(volume_id=1, user_id=ann.id, stars=5))
    page = (await admin.get("/volumes/emma/delete")).text
    assert "Delete “Emma &lt;b&gt;”?" in page
    assert "1 opinion" in page
    response = await admin.post("/volumes/emma/delete")
    assert (response.status_code, response.headers["location"]) == (303, "/volumes")
    assert "“Emma &lt;b&gt;” is deleted." in (await admin.get("/volumes")).text
    assert (await admin.get("/volumes/emma")).status_code == 404


async def test_row_of_others_is_not_found(app: FastAPI, member: AsyncClient, admin: AsyncClient, ann: User) -> None:
    await add_rows(app, Note(id=5, owner_id=ann.id, text="Mine", parent_id=None))
    listed = (await member.get("/notes")).text
    assert ('href="/notes/5/edit">Mine' in listed, 'href="/notes/5"' in listed) == (True, False), "a note has no page"
    assert "Mine" not in (await admin.get("/notes")).text
    for path in ("/notes/5/edit", "/notes/5/delete"):
        assert (await admin.get(path)).status_code == 404
        assert (await admin.post(path, data={"text": "Taken"})).status_code == 404
    response = await member.post("/notes/5/edit", data={"text": "Changed"})
    assert (response.status_code, response.headers["location"]) == (303, "/notes?q=Changed")
    assert (await member.get("/notes/5")).status_code == 404


@pytest.fixture
async def many_writers(app: FastAPI) -> None:
    await add_rows(app, *(Writer(name=f"Writer {number:03}", is_hidden=number == 99) for number in range(100)))


@pytest.mark.usefixtures("many_writers")
async def test_choices_are_searched_among_visible_rows(admin: AsyncClient, client: AsyncClient) -> None:
    form = (await admin.get("/volumes/new")).text
    assert 'data-url="/volumes/new/choices"' in form
    assert form.count("<option") < 70
    results = (await client.get("/volumes/new/choices?name=writer&term=%22writer+09%22")).json()["results"]
    assert [row["text"] for row in results] == [f"Writer {number:03}" for number in range(90, 99)]
    assert len((await admin.get("/volumes/new/choices?name=writer_id&term=writer")).json()["results"]) == 20
    assert (await client.get("/volumes/new/choices?name=writer_id&term=a")).status_code == 404
    assert (await client.get("/volumes/new/choices")).status_code == 404


@pytest.mark.usefixtures("many_writers")
async def test_choices_are_searched_without_javascript(app: FastAPI, admin: AsyncClient) -> None:
    response = await admin.post("/volumes/new", data={**VOLUME_FORM, "writer_id.search": "097"})
    assert response.status_code == 422
    assert ">Writer 097</option>" in response.text
    assert "Choose one of the results" in response.text
    assert not await read_volume(app, "persuasion")


EDIT = "/volumes/emma/edit"


def _submission(page: str, **changes: str) -> dict[str, Any]:
    """Return the fields that a browser sends, with changes of the user."""
    (seen,) = re.findall(r'name="\(seen\)" value="([^"]+)"', page)
    fields = {"title": "Emma <b>", "slug": "emma", "price": "0", "pages": "1", "topics": ["1", "2"]}
    return {**VOLUME_FORM, **fields, "(seen)": seen, **changes}


async def test_stale_form_keeps_changes_of_other_users(app: FastAPI, admin: AsyncClient) -> None:
    page = (await admin.get(EDIT)).text
    others = {"title": "Theirs", "topics": "1", "published_on": "2020-01-02"}
    assert (await admin.post(EDIT, data=_submission(page, **others))).status_code == 303
    assert (await admin.post(EDIT, data=_submission(page, price="7"))).status_code == 303
    stored = await read_one(app, Volume, slug="emma")
    assert (stored.title, stored.published_on, stored.price) == ("Theirs", date(2020, 1, 2), 7)
    assert "Money" not in (await admin.get("/volumes/emma")).text


async def test_change_outside_the_sections_is_no_conflict(app: FastAPI, admin: AsyncClient) -> None:
    page = (await admin.get(EDIT)).text
    await change_row(app, Volume, status=BookStatus.DRAFT)
    assert (await admin.post(EDIT, data=_submission(page, price="7"))).status_code == 303


async def test_user_is_asked_if_two_have_changed_a_field(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, Writer(id=3, name="Anne"), Writer(id=4, name="Mary"))
    page = (await admin.get(EDIT)).text
    await admin.post(EDIT, data=_submission(page, title="Theirs", pages="9", writer_id="3"))
    response = await admin.post(EDIT, data=_submission(page, title="Mine", writer_id="4"))
    assert response.status_code == 422
    for text in ("Theirs", "Anne"):
        assert f"Another user has changed this to “{text}”. Save again to keep your text." in response.text
    assert 'value="Mine"' in response.text
    assert 'value="9"' in response.text
    response = await admin.post(EDIT, data=_submission(response.text, title="Mine"))
    assert response.status_code == 303
    assert "Mine" in (await admin.get("/volumes/emma")).text


async def test_form_follows_a_row_with_another_slug(app: FastAPI, admin: AsyncClient) -> None:
    page = (await admin.get(EDIT)).text
    await admin.post(EDIT, data=_submission(page, slug="emma-2", title="Theirs"))
    response = await admin.post(EDIT, data=_submission(page, title="Mine"))
    page = (await admin.get(response.headers["location"])).text
    assert "This row has another address now." in page
    assert 'value="Mine"' in page
    response = await admin.post("/volumes/emma-2/edit", data=_submission(page, title="Mine"))
    assert "Another user has changed this to “Theirs”." in response.text


async def test_text_for_a_deleted_row_is_kept(app: FastAPI, admin: AsyncClient, ann: User, member: AsyncClient) -> None:
    await add_permission(app.state.database, ann, "volume", "update")
    pages = [(client, (await client.get(EDIT)).text) for client in (admin, member)]
    await admin.post("/volumes/emma/delete")
    for (client, page), text in zip(pages, ('value="Mine"', ">\nMine</textarea>"), strict=True):
        response = await client.post(EDIT, data=_submission(page, title="Mine"))
        assert text in (await client.get(response.headers["location"])).text
