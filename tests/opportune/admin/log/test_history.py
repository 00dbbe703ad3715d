"""The log of changes in the admin, and the history of a row."""

import re
from dataclasses import replace
from datetime import timedelta

from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.admin import AdminView
from opportune.admin.log.diff import diff_values, snapshot
from opportune.admin.models import AuditEntry
from opportune.feature import Admin
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from tests.opportune.admin.gadget_feature import GADGET_FORM, Gadget, GadgetAdmin, MakerAdmin, gadgets, make_makers
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, get_row, make_staff, read_all

NEW_PASSWORD = "an altogether new one"


class LightGadgetAdmin(AdminView, model=Gadget):
    identity = "light-gadget"


views = Admin((MakerAdmin, GadgetAdmin, LightGadgetAdmin))
app = site_fixture(replace(gadgets, admin=views), make_makers)


async def test_changes_of_a_row_are_logged(app: FastAPI, admin: AsyncClient) -> None:
    assert (await admin.post("/admin/gadget/create", data=GADGET_FORM | {"weight": "1.50"})).status_code == 303
    changed = GADGET_FORM | {"name": "Heavy anvil", "colour": "deep_blue", "made_on": "2026-11-20", "weight": "1.5"}
    assert (await admin.post("/admin/gadget/edit/1", data=changed)).status_code == 303
    assert (await admin.post("/admin/gadget/edit/1", data=changed)).status_code == 303
    await admin.post("/admin/gadget/action/polish?pks=1,999", data={"confirmed": "yes", "notes": "waxed"})
    await admin.post("/admin/gadget/delete?pks=1", data={"confirmed": "yes"})
    created, edited, polished, deleted = await read_all(app, AuditEntry)
    assert (created.action, created.row_id, created.actor) == ("create", "1", "root@example.com")
    assert created.changes["name"] == [None, "Anvil"]
    name, colour = ["Anvil", "Heavy anvil"], ["red", "deep_blue"]
    assert edited.changes == {"name": name, "colour": colour, "made_on": [None, "2026-11-20"]}
    assert (polished.action, polished.row_id) == ("action:polish", "1")
    assert deleted.action == "delete"
    assert deleted.changes["name"] == ["Heavy anvil", None]
    assert deleted.changes["notes"] == ["waxed", None]
    page = (await admin.get("/admin/gadget/history/1")).text
    order = [page.index(f"<strong>{action}</strong>") for action in ("Delete", "Polish", "Edit", "Create")]
    assert order == sorted(order)
    assert "Heavy anvil" in page
    assert "(deleted)" in page
    assert (await admin.get("/admin/gadget/history/2")).status_code == 404
    async with signed_in_client(app, await make_staff(app, "gadget.list")) as client:
        assert (await client.get("/admin/gadget/history/1")).status_code == 403


async def test_history_has_changes_by_other_views_and_pages(app: FastAPI, admin: AsyncClient) -> None:
    await admin.post("/admin/gadget/create", data=GADGET_FORM)
    await add_rows(app, AuditEntry(identity="gadget", row_id="1", action="update", actor="Page of Ann"))
    await admin.post("/admin/light-gadget/edit/1", data=GADGET_FORM | {"name": "Hammer"})
    for identity in ("gadget", "light-gadget"):
        history = (await admin.get(f"/admin/{identity}/history/1")).text
        assert [text in history for text in ("Hammer", "Page of Ann")] == [True, True], identity


async def test_log_shows_titles_of_visible_references(app: FastAPI, admin: AsyncClient) -> None:
    await admin.post("/admin/gadget/create", data=GADGET_FORM)
    assert (await admin.post("/admin/gadget/edit/1", data=GADGET_FORM | {"maker_id": "2"})).status_code == 303
    entry = (await read_all(app, AuditEntry))[1]
    assert entry.changes == {"maker_id": [1, 2]}
    for page in ("/admin/gadget/history/1", f"/admin/audit-entry/details/{entry.id}"):
        assert extract_changed_maker((await admin.get(page)).text) == ["Acme", "100% Ltd"]
    async with signed_in_client(app, await make_staff(app, "gadget.get")) as client:
        assert extract_changed_maker((await client.get("/admin/gadget/history/1")).text) == ["1", "2"]


def extract_changed_maker(page: str) -> list[str]:
    """Return the values before and after the first change of a maker."""
    _, _, after_label = page.partition("Maker</bdi>:")
    old, _, new = re.sub("<[^>]+>", "", after_label.partition("</li>")[0]).partition("became")
    return [old.strip(), new.strip()]


async def test_refused_changes_are_not_logged(app: FastAPI, admin: AsyncClient, superuser: User) -> None:
    for refused in ({"name": "gizmo"}, {"size": "13"}, {"maker_id": "99"}, {"name": ""}):
        assert (await admin.post("/admin/gadget/create", data=GADGET_FORM | refused)).status_code == 400, refused
    await add_rows(app, Gadget(name="keep me", maker_id=1))
    await admin.post("/admin/gadget/delete?pks=1", data={"confirmed": "yes"})
    await admin.post("/admin/maker/delete?pks=2,1", data={"confirmed": "yes"})  # the database refuses to delete maker 1
    await admin.post(f"/admin/user/action/deactivate?pks={superuser.id}", data={"confirmed": "yes"})
    await admin.post(f"/admin/user/password/{superuser.id}", data={"password": "short", "password_again": "short"})
    assert await read_all(app, AuditEntry) == []


async def test_group_permissions_and_members_are_logged(app: FastAPI, admin: AsyncClient, user: User) -> None:
    await admin.post("/accounts/confirm", data={"current_password": PASSWORD})
    await admin.post("/admin/group/create", data={"name": "Editors", "permissions": ["user:list"]})
    await admin.post("/admin/group/edit/1", data={"name": "Editors", "permissions": ["user:list", "user:update"]})
    await admin.post(f"/admin/user/edit/{user.id}", data={"email": user.email, "is_active": "y", "groups": "1"})
    created, changed, joined = await read_all(app, AuditEntry)
    assert created.changes == {"name": [None, "Editors"], "permissions": [[], ["user:list"]]}
    assert changed.changes == {"permissions": [["user:list"], ["user:list", "user:update"]]}
    assert joined.changes == {"groups": [[], ["Editors"]]}
    assert "user:list, user:update" in (await admin.get("/admin/group/history/1")).text


async def test_log_is_escaped_and_read_only(admin: AsyncClient) -> None:
    await admin.post("/admin/group/create", data={"name": "<b>Editors</b>"})
    page = (await admin.get("/admin/audit-entry/list")).text
    assert '<a href="/admin/group/history/1">&lt;b&gt;Editors&lt;/b&gt;</a>' in page
    assert "&lt;b&gt;Editors" in (await admin.get("/admin/audit-entry/details/1")).text
    for path in ("create", "edit/1", "delete?pks=1", "import", "history/1"):
        assert (await admin.get(f"/admin/audit-entry/{path}")).status_code == 403, path
        assert (await admin.post(f"/admin/audit-entry/{path}", data={"confirmed": "y"})).status_code in (403, 405), path


async def test_history_omits_a_deleted_user_with_the_same_id(admin: AsyncClient, app: FastAPI, user: User) -> None:
    hour = timedelta(hours=1)
    for at, actor in ((user.created_at - hour, "deleted user"), (user.created_at + hour, "current user")):
        await add_rows(app, AuditEntry(at=at, identity="user", row_id=str(user.id), action="update", actor=actor))
    page = (await admin.get(f"/admin/user/history/{user.id}")).text
    assert "current user" in page
    assert "deleted user" not in page
    restored = [await admin.post(f"/admin/user/restore-entry/{user.id}?entry={entry}") for entry in (1, 2)]
    assert [response.status_code for response in restored] == [404, 303]


async def test_log_hides_password_hashes(admin: AsyncClient, app: FastAPI) -> None:
    new_user = {"email": "new@example.com", "password": NEW_PASSWORD, "is_active": "y", "save": "Save"}
    await admin.post("/admin/user/create", data=new_user)
    created = (await read_all(app, AuditEntry))[-1]
    assert created.changes["hashed_password"] == [None, "(not shown)"]
    await admin.post("/accounts/confirm", data={"current_password": PASSWORD})
    await admin.post(f"/admin/user/password/{created.row_id}", data={"password": PASSWORD, "password_again": PASSWORD})
    entry = (await read_all(app, AuditEntry))[-1]
    assert (entry.action, entry.title, entry.changes) == ("set password", "new@example.com", {})
    page = (await admin.get(f"/admin/user/history/{created.row_id}")).text
    assert "Set password" in page
    assert "(not shown)" in page
    listed = (await admin.get("/admin/audit-entry/list")).text
    for text in (page, listed, (await admin.get("/admin/audit-entry/export/json")).text):
        assert "argon2" not in text


async def test_staff_see_entries_of_models_they_may_open(app: FastAPI, admin: AsyncClient) -> None:
    await admin.post("/admin/group/create", data={"name": "Hidden"})
    victim = await make_user(app.state.database, "victim@example.com")
    await admin.post(f"/admin/user/delete?pks={victim.id}", data={"confirmed": "yes"})
    async with signed_in_client(app, await make_staff(app, "audit-entry.*", "user.*")) as client:
        for path in ("list", "export/json", "list?identity=group"):
            assert "Hidden" not in (await client.get(f"/admin/audit-entry/{path}")).text, path
        assert "victim@example.com" in (await client.get("/admin/audit-entry/list")).text
        assert (await client.get("/admin/audit-entry/details/1")).status_code == 404
        assert (await client.get("/admin/group/history/1")).status_code == 403
        assert "Hidden" not in (await client.get("/admin/?complete=1")).text


async def test_wildcard_hides_entries_for_superusers(app: FastAPI, superuser: User) -> None:
    await add_rows(
        app,
        AuditEntry(actor="root@example.com", action="delete", identity="session", title="Telltale"),
        AuditEntry(actor="root@example.com", action="update", identity="user", row_id="1", title="Usual"),
    )
    for user, sees_session_entry in ((await make_staff(app, "*.*"), False), (superuser, True)):
        async with signed_in_client(app, user) as client:
            for path in ("audit-entry/list", "audit-entry/export/json", "?complete=1"):
                page = (await client.get(f"/admin/{path}")).text
                assert ("Usual" in page, "Telltale" in page) == (True, sees_session_entry), path


def test_logged_values_are_short_json() -> None:
    values = {"text": "x" * 9000, "data": b"abc", "ratio": float("nan"), "tags": ["é", 1], "no": False}
    recorded = diff_values({}, values)
    assert recorded["text"][1] == "x" * 499 + "…"
    assert recorded["data"] == [None, "3 bytes"]
    assert recorded["ratio"] == [None, "nan"]
    assert recorded["tags"] == [None, '["é", 1]']
    assert recorded["no"] == [None, False]
    assert diff_values({"note": None}, {"note": ""}) == {}
    assert "id" not in snapshot(User(id=3, email="a@example.com", hashed_password="x"))


async def test_history_restores_the_values_before_a_change(app: FastAPI, admin: AsyncClient) -> None:
    await admin.post("/admin/gadget/create", data=GADGET_FORM | {"weight": "1.50"})
    changed = GADGET_FORM | {"colour": "deep_blue", "weight": "2", "made_on": "2026-11-20"}
    await admin.post("/admin/gadget/edit/1", data=changed)
    await admin.post("/admin/gadget/edit/1", data=changed | {"size": "5"})
    page = (await admin.get("/admin/gadget/history/1")).text
    urls = re.findall(r'action="([^"]*restore-entry[^"]*)"', page)
    assert len(urls) == 2
    await admin.post(urls[1])
    assert "The old values were restored." in (await admin.get("/admin/gadget/history/1")).text
    gadget = await get_row(app, Gadget, 1)
    assert (gadget.colour.value, str(gadget.weight), gadget.made_on, gadget.size) == ("red", "1.50", None, 5)
    assert (await admin.post("/admin/gadget/restore-entry/1?entry=999")).status_code == 404
    assert (await admin.post("/admin/gadget/restore-entry/2?entry=2")).status_code == 404


async def test_history_restores_nothing_that_is_no_longer_valid(app: FastAPI, admin: AsyncClient) -> None:
    await admin.post("/admin/gadget/create", data=GADGET_FORM)
    await admin.post("/admin/gadget/edit/1", data=GADGET_FORM | {"name": "Hammer"})
    await admin.post("/admin/gadget/create", data=GADGET_FORM)
    page = (await admin.get("/admin/gadget/history/1")).text
    (url,) = re.findall(r'action="([^"]*restore-entry[^"]*)"', page)
    await admin.post(url)
    page = (await admin.get("/admin/gadget/history/1")).text
    assert "Nothing was restored. Name: This value is already in use." in page
