"""Pages of users and of their sessions."""

import re
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import AccountEvent, Group, Session, User
from opportune.accounts.passwords import hashing
from opportune.db.queries import batches
from opportune.feature import Accounts, Admin, Feature, Person, PersonalData, UserColumn
from opportune.testing.factories import PASSWORD, add_permission, make_token, make_user, signed_in_client
from tests.opportune.stored_rows import add_rows, count, read_all, read_one, reload

NEW_PASSWORD = "an altogether new one"
CONFIRMED = {"confirmed": "yes"}


async def list_emails(admin: AsyncClient, **params: str) -> list[str]:
    """Return the e-mail addresses in the order of the list."""
    response = await admin.get(f"/admin/user/list?{urlencode(params)}")
    assert response.status_code == 200, response.text
    return re.findall(r'"words"><div>(?:<a [^>]*>)?([^<]*@[^<]*)<', response.text.replace("<wbr>", ""))


async def create_user(admin: AsyncClient, **fields: str) -> Response:
    values = {"email": "new@example.com", "password": NEW_PASSWORD, "is_active": "y", "save": "Save"}
    return await admin.post("/admin/user/create", data=values | fields)


async def test_new_user_has_a_hashed_password(app: FastAPI, admin: AsyncClient) -> None:
    response = await create_user(admin, email="New@Example.com")
    assert (response.status_code, response.headers["location"]) == (303, "/admin/user/list")
    user = await read_one(app, User, email="new@example.com")
    assert (user.is_active, user.is_superuser) == (True, False)
    assert NEW_PASSWORD not in user.hashed_password
    assert (await hashing.verify_password(NEW_PASSWORD, user.hashed_password))[0]
    assert "“new@example.com” was saved" in (await admin.get("/admin/user/list")).text
    assert "was saved" not in (await admin.get("/admin/user/list")).text
    page = (await admin.get("/admin/user/create?email=a@example.com&is_staff=true")).text
    assert 'value="a@example.com"' in page
    assert not re.search(r'name="is_staff"[^>]*checked|checked[^>]*name="is_staff"', page), "links give no permissions"


INVALID_FIELDS = [
    ({"email": ""}, "Please fill this in."),
    ({"email": "a\0@example.com"}, "NUL"),
    ({"email": "a" * 400 + "@example.com"}, "Please enter at most 320 characters."),
    ({"email": "<script>@x"}, "This is not an e-mail address."),
    ({"email": "ROOT@example.com"}, "This value is already in use."),
    ({"password": ""}, "Please fill this in."),
    ({"password": "short"}, "at least 8 characters"),
    ({"password": "password123"}, "too easy to guess"),
    ({"password": "NUL \0 inside it"}, "NUL"),
]


async def test_invalid_user_is_refused_beside_its_field(app: FastAPI, admin: AsyncClient) -> None:
    for fields, message in INVALID_FIELDS:
        response = await create_user(admin, **fields)
        assert response.status_code == 400, fields
        name = next(iter(fields))
        assert message in response.text.split(f'id="error-{name}"')[1].split("</div>")[0], fields
        for leak in ("INSERT", "UNIQUE constraint", "duplicate key", "sqlalchemy", NEW_PASSWORD):
            assert leak not in response.text
    assert await read_all(app, User, email="new@example.com") == []


async def test_edit_ignores_read_only_fields(app: FastAPI, admin: AsyncClient) -> None:
    user = await make_user(app.state.database, "old@example.com")
    forged = {"created_at": "1999-01-01 00:00:00", "id": "77", "hashed_password": "forged", "password": "forged"}
    form_data = {"email": "newer@example.com", "is_active": "y", "is_verified": "y", "save": "Save"}
    for location in ("/accounts/confirm?next=", "/admin/user/list?search=a"):  # the e-mail changes
        response = await admin.post(f"/admin/user/edit/{user.id}?search=a", data=form_data | forged)
        assert response.headers["location"].startswith(location)
        await admin.post("/accounts/confirm", data={"current_password": PASSWORD})
    changed = await read_one(app, User, email="newer@example.com")
    assert changed.is_verified
    assert (changed.id, changed.hashed_password, changed.created_at) == (user.id, user.hashed_password, user.created_at)


HOSTILE_QUERIES = {
    200: (
        *("pageSize=999999", f"search={'word+' * 500}"),
        *("is_active=perhaps&created_at=nonsense", "created_at=9999-12-31"),
        "created_at=2001-01-01&created_at_op=nonsense&search=%00%ff",
    ),
    302: (f"page={'9' * 30}",),
    422: ("page=abc", "page=-5", "pageSize=0", "hashed_password=x", "sortBy=hashed_password"),
}


@pytest.mark.database("sqlite", "postgresql")
async def test_hostile_parameters_do_not_break_a_list(admin: AsyncClient) -> None:
    for status, query in ((status, query) for status, queries in HOSTILE_QUERIES.items() for query in queries):
        response = await admin.get(f"/admin/user/list?{query}")
        if response.status_code == 303:  # to the URL without empty and doubled parts
            response = await admin.get(response.headers["location"])
        assert response.status_code == status, query


async def test_hashes_are_never_shown(app: FastAPI, admin: AsyncClient, superuser: User) -> None:
    paths = ["list", "create", f"edit/{superuser.id}", f"details/{superuser.id}", "export/csv", "export/json"]
    token_hash = (await read_one(app, Session)).token_hash
    await make_token(app.state.database, superuser)
    pages = ("list", "details/1", "export/json")
    credentials = [f"{model}/{page}" for model in ("session", "api-token") for page in pages]
    for path in [*(f"user/{path}" for path in paths), *credentials]:
        text = (await admin.get(f"/admin/{path}")).text
        for secret in ("hashed_password", "token_hash", superuser.hashed_password, "argon2", token_hash):
            assert secret not in text, path
    for text in (superuser.hashed_password[:12], "argon2"):
        assert await list_emails(admin, search=text) == []


async def test_deletion_in_batches_is_atomic(
    app: FastAPI, admin: AsyncClient, superuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_session: AsyncSession, person: Person) -> str:
        return "Bob is needed." if person.id == needed.id else ""

    async def forget(session: AsyncSession, person: Person) -> None:
        await session.execute(update(User).where(col(User.id) == superuser.id).values(language=f"x{person.id}"))

    monkeypatch.setattr(batches, "MAX_CASCADED_ROWS", 0)
    notes = PersonalData(summary="Notes", refuse=refuse, forget=forget)
    app.state.features = [*app.state.features, Feature("notes", accounts=Accounts(personal_data=notes))]
    user, needed = [await make_user(app.state.database) for _ in range(2)]
    async with signed_in_client(app, user), signed_in_client(app, needed):
        for refused in (superuser, needed):
            await admin.post(f"/admin/user/delete?pks={user.id},{refused.id}", data=CONFIRMED)
            assert await count(app, Session) == 3
        assert "Bob is needed." in (await admin.get("/admin/user/list")).text
        await admin.post(f"/admin/user/delete?pks={user.id}", data=CONFIRMED)
    assert (await count(app, Session), await count(app, Session, user_id=user.id)) == (2, 0)
    assert (await reload(app, superuser)).language == f"x{user.id}", "features delete what no cascade deletes"


async def test_superuser_cannot_remove_own_permissions(admin: AsyncClient, superuser: User) -> None:
    for flag in ("is_superuser", "is_active"):
        refused = await admin.post(f"/admin/user/edit/{superuser.id}", data={"email": superuser.email, flag: "y"})
        assert refused.status_code == 400
        assert "You cannot remove your own permissions" in refused.text
        assert (await admin.get("/admin/user/export/json")).status_code == 200


async def test_new_password_ends_all_sessions(app: FastAPI, admin: AsyncClient) -> None:
    user = await make_user(app.state.database, "user@example.com")
    async with signed_in_client(app, user) as browser:
        assert (await browser.get("/accounts/profile")).status_code == 200
        form_data = {"password": NEW_PASSWORD, "password_again": NEW_PASSWORD}
        for page in (f"password/{user.id}", f"action/reset-two-factor?pks={user.id}"):
            refused = await admin.post(f"/admin/user/{page}", data=form_data | CONFIRMED)
            assert refused.headers["location"].startswith("/accounts/confirm?next="), page
        await admin.post("/accounts/confirm", data={"current_password": PASSWORD})
        differing = await admin.post(f"/admin/user/password/{user.id}", data=form_data | {"password_again": "differs"})
        assert "The passwords differ." in differing.text
        response = await admin.post(f"/admin/user/password/{user.id}", data=form_data)
        assert response.headers["location"] == f"/admin/user/details/{user.id}"
        assert (await browser.get("/accounts/profile")).status_code == 303
    changed = await reload(app, user)
    assert (await hashing.verify_password(NEW_PASSWORD, changed.hashed_password))[0]
    assert "signed out everywhere" in (await admin.get("/admin/user/list")).text


async def test_changes_of_credentials_and_groups_are_events(app: FastAPI, admin: AsyncClient, user: User) -> None:
    await add_rows(app, Group(name="Editors"))
    await make_token(app.state.database, user)
    membership = {"user_id": str(user.id), "group_id": "1", "save": "Save"}
    for location in ("/accounts/confirm?next=", "/admin/membership/list"):
        response = await admin.post("/admin/membership/create", data=membership)
        assert response.headers["location"].startswith(location)
        await admin.post("/accounts/confirm", data={"current_password": PASSWORD})
    for model in ("membership", "api-token"):
        assert (await admin.post(f"/admin/{model}/delete?pks=1", data=CONFIRMED)).status_code == 303, model
    kinds = [event.kind for event in await read_all(app, AccountEvent)]
    assert kinds == ["updated_by_staff", "updated_by_staff", "token_revoked"]


async def test_session_is_deleted_but_not_edited(app: FastAPI, admin: AsyncClient) -> None:
    user = await make_user(app.state.database, "user@example.com")
    async with signed_in_client(app, user) as browser:
        row = await read_one(app, Session, user_id=user.id)
        page = (await admin.get(f"/admin/session/list?user_id={user.id}")).text
        assert f'<a href="/admin/user/details/{user.id}">user@<wbr>example.com</a>' in page
        deleted = await admin.post(f"/admin/session/delete?pks={row.id}", data=CONFIRMED)
        assert deleted.status_code == 303
        assert (await browser.get("/accounts/profile")).status_code == 303
    assert (await read_one(app, AccountEvent)).kind == "session_ended"
    for path in ("create", "edit/1"):
        assert (await admin.get(f"/admin/session/{path}")).status_code == 403
        assert (await admin.post(f"/admin/session/{path}")).status_code == 403
    assert (await admin.get("/admin/session/ajax/lookup?name=token_hash&term=a")).status_code == 404


async def test_user_page_shows_columns_of_features(app: FastAPI, admin: AsyncClient, user: User, staff: User) -> None:
    columns = [UserColumn("Browsers", Session.user_id), UserColumn("Seen", Session.user_id, func.max(Session.seen_at))]
    app.state.features = (*app.state.features, Feature("other", admin=Admin(user_columns=columns)))
    path = f"/admin/user/details/{user.id}"
    cell = '<dt class="col-sm-3">Browsers</dt>\n    <dd class="col-sm-9 details-value">'
    assert f"{cell}0</dd>" in (await admin.get(path)).text
    async with signed_in_client(app, user), signed_in_client(app, user):
        page = (await admin.get(path)).text
    assert f"{cell}2</dd>" in page
    assert '<h1 class="page-title text-break">ada@<wbr>example.com</h1>' in page, "long addresses wrap"
    assert " UTC</dd>" in page.partition("Seen</dt>")[2]
    for action in ("list", "get"):
        await add_permission(app.state.database, staff, "user", action)
    async with signed_in_client(app, staff) as browser:
        response = await browser.get(f"/admin/user/details/{staff.id}")
    assert (response.status_code, "Browsers" in response.text) == (200, False), "staff may not list sessions"
