"""Errors, layout and icons of the admin's pages."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.admin.model_icons import guess_icon
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.admin.gadget_feature import GadgetAdmin, gadgets, make_makers
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import make_staff

app = site_fixture(gadgets, make_makers)
ADMIN_MENU = '<nav class="navbar-collapse" id="menu" popover aria-label="Admin">'
ACCEPT_HTML = {"Accept": "text/html"}


async def test_error_pages_keep_the_frame(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GadgetAdmin, "can_create", False)
    for path, status, back in (
        ("nothing", 404, "Back to the overview"),
        ("nothing/list", 404, "Back to the overview"),
        ("gadget/edit/999", 404, "Back to Gadgets"),
        ("gadget/export/docx", 404, "Back to Gadgets"),
        ("gadget/create", 403, "Back to Gadgets"),
        ("gadget/ajax/lookup", 404, "Back to Gadgets"),
    ):
        response = await admin.get(f"/admin/{path}", headers=ACCEPT_HTML)
        assert response.status_code == status, path
        assert ADMIN_MENU in response.text, path
        assert back in response.text, path
        assert '<li class="breadcrumb-item">' in response.text, path
    response = await admin.get("/admin/nothing", headers={"Accept": "application/json"})
    assert response.headers["content-type"] == "application/problem+json"


async def test_frame_depends_on_the_access_of_the_user(app: FastAPI) -> None:
    for user, has_menu in ((await make_user(app.state.database), False), (await make_staff(app), True)):
        async with signed_in_client(app, user) as client:
            response = await client.get("/admin/", headers=ACCEPT_HTML)
        assert response.status_code == 403
        assert (ADMIN_MENU in response.text) == has_menu
        assert "Back to the overview" not in response.text, "it would be refused"


@pytest.mark.parametrize(
    ("model", "icon"),
    [("BookReview", "star"), ("Wombat", "square-letter-w"), ("\u00dcbung", "table"), ("ISBNBook", "book")],
)
def test_icon_is_guessed_from_the_name_of_a_model(model: str, icon: str) -> None:
    assert guess_icon(model) == icon
