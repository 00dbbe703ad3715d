"""The project's fields of users on the profile page, in the API and in the admin."""

from pathlib import Path

from fastapi import FastAPI
from httpx2 import AsyncClient

from app.users.models import User
from opportune.db import Database
from opportune.testing import make_token, make_user, signed_in_client, upload

PROFILE, ME = "/accounts/profile", "/api/v1/users/me"


async def stored(database: Database, user: User) -> User:
    async with database.reader(fresh=True) as session:
        return await session.get_one(User, user.id)


async def test_name_replaces_the_email(browser: AsyncClient) -> None:
    response = await browser.post(PROFILE, data={"display_name": " Ada <b>Lovelace</b> "})
    assert (response.status_code, response.headers["location"]) == (303, PROFILE)
    assert 'header-name">Ada &lt;b&gt;Lovelace&lt;/b&gt;</bdi>' in (await browser.get(PROFILE)).text
    assert 'text-truncate">ada@example.com</span>' in (await browser.get("/accounts/password")).text  # on a phone
    await browser.post(PROFILE, data={"display_name": ""})
    assert "Lovelace" not in (await browser.get(PROFILE)).text


async def test_invalid_name_is_refused(browser: AsyncClient, database: Database, ada: User) -> None:
    for name in ("x" * 101, "two\nlines", "nul\0"):
        response = await browser.post(PROFILE, data={"display_name": name})
        assert response.status_code == 422, name
        assert "invalid-feedback" in response.text, name
        assert (await stored(database, ada)).display_name == "", name


async def test_picture_is_replaced_and_removed(
    browser: AsyncClient, database: Database, ada: User, tmp_path: Path
) -> None:
    await browser.post(PROFILE, data={"display_name": "Ada"}, files={"avatar": upload()})
    old_avatar = (await stored(database, ada)).avatar
    assert (await browser.get(old_avatar.url("small"))).headers["content-type"] == "image/webp"
    await browser.post(PROFILE, data={"display_name": "Ada L"})
    assert (await stored(database, ada)).avatar == old_avatar, "a missing field stays"
    await browser.post(PROFILE, files={"avatar": upload()})
    assert (await stored(database, ada)).avatar not in ("", old_avatar)
    await browser.post(PROFILE, data={"avatar": "clear"})
    assert (await stored(database, ada)).avatar == ""


async def test_api_reads_and_changes_the_profile(client: AsyncClient, database: Database, ada: User) -> None:
    client.headers["authorization"] = f"Bearer {await make_token(database, ada)}"
    response = await client.patch(ME, json={"display_name": "Ada"})
    assert (response.status_code, response.json()["display_name"], response.json()["avatar"]) == (200, "Ada", "")
    assert (await client.patch(ME, json={})).json()["display_name"] == "Ada", "a missing field stays"
    for invalid_fields in ({"display_name": None}, {"display_name": "x" * 101}, {"avatar": "avatars/of-others.webp"}):
        assert (await client.patch(ME, json=invalid_fields)).status_code == 422, invalid_fields
    assert (await stored(database, ada)).display_name == "Ada"


async def test_admin_lists_and_changes_the_profile(app: FastAPI, database: Database, ada: User) -> None:
    async with signed_in_client(app, await make_user(database, is_superuser=True)) as admin:
        form = {"email": ada.email, "display_name": "Countess", "is_active": "y", "save": "Save"}
        response = await admin.post(f"/admin/user/edit/{ada.id}", data=form, files={"avatar": upload()})
        assert response.status_code == 303
        assert "Countess" in (await admin.get("/admin/user/list")).text
        changed = await stored(database, ada)
        assert changed.avatar.removesuffix(".webp") in (await admin.get(f"/admin/user/details/{ada.id}")).text


async def test_deletion_removes_picture(browser: AsyncClient, database: Database, ada: User, tmp_path: Path) -> None:
    await browser.post(PROFILE, data={"display_name": "Ada"}, files={"avatar": upload()})
    assert any(path.is_file() for path in (tmp_path / "uploads").rglob("*"))
    export = await browser.get("/accounts/data/export")
    assert export.headers["content-type"] == "application/zip"
    form = {"email": ada.email, "current_password": "correct horse battery"}
    assert (await browser.post("/accounts/data/delete", data=form)).headers["location"] == "/accounts/left"
