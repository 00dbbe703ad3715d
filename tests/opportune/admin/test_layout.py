"""Layout of the admin and its form fields."""

import pytest
from httpx2 import AsyncClient

from opportune.web.static import icons
from tests.opportune.admin.gadget_feature import GadgetAdmin, gadgets, make_makers
from tests.opportune.site_with import site_fixture

FONT_AWESOME = "fontawesome-all.min.css"


app = site_fixture(gadgets, make_makers)


async def test_font_awesome_is_not_loaded_without_its_icons(admin: AsyncClient) -> None:
    assert FONT_AWESOME not in (await admin.get("/admin/gadget/list")).text


async def test_font_awesome_is_loaded_for_an_icon_of_a_view(
    admin: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(icons, "_added", set())  # excludes the icon from the style sheet of other tests
    monkeypatch.setattr(GadgetAdmin, "icon", "fa-solid fa-gear")
    assert FONT_AWESOME in (await admin.get("/admin/gadget/list")).text


async def test_views_of_the_project_come_first(admin: AsyncClient) -> None:
    page = (await admin.get("/admin/gadget/list")).text
    menu = [page.index(f'class="nav-link" href="/admin/{name}') for name in ("maker", "gadget", "user", "job")]
    assert menu == sorted(menu)


async def test_booleans_are_checkboxes(admin: AsyncClient) -> None:
    page = (await admin.get("/admin/user/create")).text
    assert 'type="checkbox"' in page
    assert "form-switch" not in page
