"""Access to every address of the admin as visitor, user and superuser, and the time at which it is built."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import update
from sqlmodel import col

from opportune.accounts.models import User
from opportune.admin.site import AdminSite
from opportune.admin.view_classes import views_of
from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.db import Database
from opportune.testing.app import create_test_app
from opportune.testing.factories import make_user, signed_in_client
from opportune.testing.plugin import settings_for
from tests.opportune.stored_rows import execute

PAGES = ["/admin/", "/admin/login"]
ADDRESSES = ("logout", "statics/css/main.css", "user/1/email/download/", "nothing/list", "nowhere")
MISSING_PATHS = [f"/admin/{address}" for address in ADDRESSES]


async def test_only_staff_may_open_the_admin(client: AsyncClient, user_client: AsyncClient) -> None:
    for path in PAGES + MISSING_PATHS:
        response = await client.get(path)
        assert response.status_code == 303, path
        assert response.headers["location"].startswith("/accounts/login?next=%2Fadmin%2F"), path
    assert (await client.get("/admin")).headers["location"] == "/admin/"
    json_only = {"accept": "application/json"}
    response = await client.get("/admin/session/ajax/lookup?name=user_id&term=a", headers=json_only)
    assert response.status_code == 401
    for path in PAGES + MISSING_PATHS:  # the test of all URLs requests every existing page
        response = await user_client.get(path)
        assert response.status_code == 403, path
        assert "for staff" in response.text, path


async def test_superuser_gets_relative_links(admin: AsyncClient, client: AsyncClient, superuser: User) -> None:
    for path in MISSING_PATHS:
        assert (await admin.get(path)).status_code == 404, path
    assert (await client.get("/admin/login")).headers["location"].startswith("/accounts/login")
    assert (await admin.get("/admin/login")).headers["location"] == "/admin/"
    assert (await admin.post("/admin/login", data={"username": "a", "password": "b"})).headers["location"] == "/admin/"
    await admin.get("/admin/logout")
    for path in ("/admin/", "/admin/user/list?search=root", f"/admin/user/edit/{superuser.id}"):
        page = await admin.get(path, headers={"host": "public.example", "x-forwarded-proto": "https"})
        assert "http://" not in page.text.replace("http://www.w3.org", "")
        assert "public.example" not in page.text
        assert '<form method="post" action="/accounts/logout"' in page.text


async def test_demoted_superuser_is_refused_immediately(app: FastAPI, admin: AsyncClient, superuser: User) -> None:
    for change in ({"is_superuser": False}, {"is_superuser": True, "is_active": False}):
        await execute(app, update(User).where(col(User.id) == superuser.id).values(is_superuser=True, is_active=True))
        assert (await admin.get("/admin/user/export/json")).status_code == 200
        await execute(app, update(User).where(col(User.id) == superuser.id).values(**change))
        assert (await admin.get("/admin/user/list")).status_code in (303, 403)


async def test_cross_site_requests_change_nothing(app: FastAPI, admin: AsyncClient) -> None:
    victim = await make_user(app.state.database, "victim@example.com")
    path = f"/admin/user/edit/{victim.id}"
    new_user = {"email": "new@example.com", "password": "correct horse battery", "save": "Save"}
    foreign = ({"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"referer": "https://evil.example/"})
    for headers in ({"origin": "https://evil.example"}, *foreign):
        assert (await admin.post("/admin/user/create", data=new_user, headers=headers)).status_code == 403
        assert (await admin.post(path, data={"email": "x@example.com"}, headers=headers)).status_code == 403
        assert (await admin.delete(f"/admin/user/delete?pks={victim.id}", headers=headers)).status_code == 403
        password = {"password": "a new password", "password_again": "a new password"}
        response = await admin.post(f"/admin/user/password/{victim.id}", data=password, headers=headers)
        assert response.status_code == 403
    users = (await admin.get("/admin/user/export/json")).json()
    assert [user["email"] for user in users] == ["root@example.com", "victim@example.com"]


@pytest.mark.database("postgresql")
async def test_views_of_all_features_open(app: FastAPI, admin: AsyncClient) -> None:
    """Runs on PostgreSQL, the stricter database; on SQLite the test of all URLs opens these pages."""
    views = [view for feature in app.state.features for view in views_of(feature) if view.is_model]
    for view in views:
        assert (await admin.get(f"/admin/{view.identity}/list?search=a")).status_code == 200, view


async def test_crash_reveals_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*_: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("opportune.admin.site.AdminSite.index", crash)
    app = create_test_app(settings)
    async with app.router.lifespan_context(app):
        user = await make_user(app.state.database, is_superuser=True)
        async with signed_in_client(app, user) as browser:
            response = await browser.get("/admin/")
    assert response.status_code == 500
    assert "Something went wrong on our side." in response.text
    assert "a secret" not in response.text


@pytest.mark.parametrize(("environment", "is_built"), [("production", False), ("test", True)])
def test_production_builds_admin_lazily(monkeypatch: pytest.MonkeyPatch, environment: str, is_built: bool) -> None:
    settings = settings_for("sqlite:///unused.db").model_copy(update={"environment": environment, "debug": False})
    sites: list[AdminSite] = []
    initialize = AdminSite.__init__

    def record(admin: AdminSite, *arguments: Any) -> None:
        sites.append(admin)
        initialize(admin, *arguments)

    monkeypatch.setattr(AdminSite, "__init__", record)
    app = create_app(settings)
    assert bool(sites) is is_built
    assert app.url_path_for("admin:list", identity="user") == "/admin/user/list"
    assert len(sites) == 1


async def test_head_of_a_page_that_acts_on_post_changes_nothing(app: FastAPI, database: Database) -> None:
    async with signed_in_client(app, await make_user(database, is_superuser=True)) as admin:
        pages = [await admin.request(method, "/admin/llm/provider") for method in ("GET", "HEAD")]
    assert [page.headers["location"] for page in pages] == ["/accounts/confirm?next=/admin/llm/provider"] * 2
    assert "set-cookie" not in pages[1].headers
