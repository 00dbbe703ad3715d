"""Error pages below /admin, which keep the layout of the admin and link back."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.admin.gadget_feature import GadgetAdmin
from tests.opportune.stored_rows import make_staff

ADMIN_MENU = '<nav class="navbar-collapse" id="menu" popover aria-label="Admin">'
ACCEPT_HTML = {"Accept": "text/html"}


@pytest.fixture
async def app(app_with_gadgets: FastAPI) -> FastAPI:
    return app_with_gadgets


@pytest.mark.parametrize(
    ("path", "status", "back"),
    [
        ("/admin/nothing", 404, "Back to the overview"),
        ("/admin/nothing/list", 404, "Back to the overview"),
        ("/admin/gadget/edit/999", 404, "Back to Gadgets"),
        ("/admin/gadget/export/docx", 404, "Back to Gadgets"),
    ],
)
async def test_missing_pages_keep_the_frame(admin: AsyncClient, path: str, status: int, back: str) -> None:
    response = await admin.get(path, headers=ACCEPT_HTML)
    assert response.status_code == status
    assert ADMIN_MENU in response.text
    assert back in response.text


async def test_forbidden_pages_keep_the_frame(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GadgetAdmin, "can_create", False)
    response = await admin.get("/admin/gadget/create", headers=ACCEPT_HTML)
    assert response.status_code == 403
    assert ADMIN_MENU in response.text
    assert 'href="/admin/gadget/list"' in response.text


async def test_lookup_without_parameters_keeps_the_frame(admin: AsyncClient) -> None:
    response = await admin.get("/admin/gadget/ajax/lookup", headers=ACCEPT_HTML)
    assert 400 <= response.status_code < 500
    assert ADMIN_MENU in response.text


async def test_programs_get_problem_details(admin: AsyncClient) -> None:
    response = await admin.get("/admin/nothing", headers={"Accept": "application/json"})
    assert response.headers["content-type"] == "application/problem+json"


async def test_users_without_access_see_the_frame_of_the_site(app: FastAPI) -> None:
    async with signed_in_client(app, await make_user(app.state.database)) as client:
        response = await client.get("/admin/gadget/list", headers=ACCEPT_HTML)
    assert response.status_code == 403
    assert ADMIN_MENU not in response.text


async def test_staff_without_permissions_see_the_frame_of_the_admin(app: FastAPI) -> None:
    staff = await make_staff(app)
    async with signed_in_client(app, staff) as client:
        response = await client.get("/admin/", headers=ACCEPT_HTML)
    assert response.status_code == 403
    assert ADMIN_MENU in response.text
    assert "Back to the overview" not in response.text, "it would be refused"
