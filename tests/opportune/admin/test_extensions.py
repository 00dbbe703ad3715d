"""Pages and buttons that a feature adds to all models of the admin."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from opportune.admin import AdminExtension, MenuLink, ModelPage
from opportune.testing.factories import signed_in_client
from tests.opportune.admin.gadget_feature import gadgets
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import make_staff

EXTENSION = "tests.opportune.admin.test_extensions.Labels"
changed: list[Collection[str]] = []


async def print_labels(request: Request, view: Any) -> Response:
    return PlainTextResponse(f"Labels of {view.name_plural}")


class Labels(AdminExtension):
    pages = (ModelPage("labels", print_labels, ["GET"], "labels"),)

    async def menu_links(self, request: Request) -> Mapping[str, Sequence[MenuLink]]:
        return {"maker": [MenuLink("Print all", "/admin/maker/labels")]}

    def row_links(self, request: Request, view: Any, row: Any) -> Sequence[tuple[str, str]]:
        return [("Label", f"/labels/{view.identity}/{row.id}")]

    async def rows_changed(self, request: Request, identities: Collection[str]) -> None:
        changed.append(identities)


app = site_fixture(replace(gadgets, admin=replace(gadgets.admin, extension=EXTENSION)))


async def test_extension_adds_pages_links_and_buttons(admin: AsyncClient) -> None:
    assert (await admin.post("/admin/maker/create", data={"name": "Acme", "save": "Save"})).status_code == 303
    assert changed == [{"maker"}]
    assert '<a href="/admin/maker/labels"' in (await admin.get("/admin/")).text
    assert (await admin.get("/admin/maker/labels")).text == "Labels of Makers"
    for page in ("details", "edit"):
        assert 'href="/labels/maker/1">Label</a>' in (await admin.get(f"/admin/maker/{page}/1")).text


async def test_page_of_extension_requires_the_list(app: FastAPI) -> None:
    staff = await make_staff(app)
    async with signed_in_client(app, staff) as client:
        assert (await client.get("/admin/maker/labels")).status_code == 403
