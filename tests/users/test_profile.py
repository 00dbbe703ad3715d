"""The fields that this site adds to its users: on the profile page, in the API, in the admin."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from app.users.models import User
from opportune.db import Database
from opportune.testing import make_token, make_user, signed_in_client, upload

pytestmark = pytest.mark.database("sqlite")

PROFILE, ME = "/accounts/profile", "/api/v1/users/me"


async def stored(database: Database, user: User) -> User:
    async with database.reader(fresh=True) as session:
        return await session.get_one(User, user.id)


def kept(tmp_path: Path) -> list[str]:
    return sorted(path.suffix for path in (tmp_path / "uploads").rglob("*") if path.is_file())


async def test_a_name_is_shown_in_place_of_the_email(browser: AsyncClient) -> None:
    answer = await browser.post(PROFILE, data={"display_name": " Ada <b>Lovelace</b> "})
    assert (answer.status_code, answer.headers["location"]) == (303, PROFILE)
    page = await browser.get(PROFILE)
    assert "Your profile is saved." in page.text
    assert 'account">Ada &lt;b&gt;Lovelace&lt;/b&gt;</span>' in page.text
    assert 'account">ada@example.com</span>' in (await browser.get("/accounts/password")).text  # on a phone

    await browser.post(PROFILE, data={"display_name": ""})
    assert "Lovelace" not in (await browser.get(PROFILE)).text


async def test_a_name_that_is_none_is_refused(browser: AsyncClient, database: Database, ada: User) -> None:
    for name in ("x" * 101, "two\nlines", "nul\0"):
        answer = await browser.post(PROFILE, data={"display_name": name})
        assert answer.status_code == 422, name
        assert "invalid-feedback" in answer.text, name
        assert (await stored(database, ada)).display_name == "", name


async def test_a_picture_is_kept_shown_replaced_and_taken_away(
    browser: AsyncClient, database: Database, ada: User, tmp_path: Path
) -> None:
    await browser.post(PROFILE, data={"display_name": "Ada"}, files={"avatar": upload()})
    first = (await stored(database, ada)).avatar
    assert (await browser.get(first.url("small"))).headers["content-type"] == "image/webp"

    await browser.post(PROFILE, data={"display_name": "Ada L"})
    assert (await stored(database, ada)).avatar == first, "a form without one leaves it"
    await browser.post(PROFILE, files={"avatar": upload()})
    assert (await stored(database, ada)).avatar not in ("", first)
    await browser.post(PROFILE, data={"avatar": "clear"})
    assert (await stored(database, ada)).avatar == ""


async def test_what_is_no_picture_is_refused_and_nothing_is_kept(
    browser: AsyncClient, database: Database, ada: User, tmp_path: Path
) -> None:
    answer = await browser.post(PROFILE, files={"avatar": upload(content=b"<html>")})
    assert answer.status_code == 422
    assert ((await stored(database, ada)).avatar, kept(tmp_path)) == ("", [])


async def test_a_program_reads_and_changes_them(client: AsyncClient, database: Database, ada: User) -> None:
    client.headers["authorization"] = f"Bearer {await make_token(database, ada)}"
    answer = await client.patch(ME, json={"display_name": "Ada"})
    assert (answer.status_code, answer.json()["display_name"], answer.json()["avatar"]) == (200, "Ada", "")
    assert (await client.patch(ME, json={})).json()["display_name"] == "Ada", "what is left out stays"
    for wrong in ({"display_name": None}, {"display_name": "x" * 101}, {"avatar": "avatars/of-others.webp"}):
        assert (await client.patch(ME, json=wrong)).status_code == 422, wrong
    assert (await stored(database, ada)).display_name == "Ada"


async def test_the_admin_lists_shows_and_changes_them(app: FastAPI, database: Database, ada: User) -> None:
    async with signed_in_client(app, await make_user(database, is_superuser=True)) as admin:
        sent = {"email": ada.email, "display_name": "Countess", "is_active": "y", "save": "Save"}
        answer = await admin.post(f"/admin/user/edit/{ada.id}", data=sent, files={"avatar": upload()})
        assert answer.status_code == 303
        assert "Countess" in (await admin.get("/admin/user/list")).text
        changed = await stored(database, ada)
        assert changed.avatar.removesuffix(".webp") in (await admin.get(f"/admin/user/details/{ada.id}")).text


async def test_who_leaves_takes_them_along_and_leaves_no_file(
    browser: AsyncClient, database: Database, ada: User, tmp_path: Path
) -> None:
    await browser.post(PROFILE, data={"display_name": "Ada"}, files={"avatar": upload()})
    assert kept(tmp_path) != []
    export = await browser.get("/accounts/data/export")
    assert export.headers["content-type"] == "application/zip"
    sent = {"email": ada.email, "current_password": "correct horse battery"}
    assert (await browser.post("/accounts/data/delete", data=sent)).headers["location"] == "/accounts/left"
