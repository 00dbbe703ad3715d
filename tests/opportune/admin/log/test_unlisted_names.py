"""Names of rows that a member of staff may not list, on all pages that show names."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel import Field, Relationship

from opportune.accounts.models import User
from opportune.admin import AdminView
from opportune.crud import Crud, CrudPages
from opportune.db import SoftDelete
from opportune.feature import Admin, Feature, Table, UserColumn
from opportune.testing import add_permission, make_user, signed_in_client
from tests.opportune.crud.library import user_key
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, change_row, make_staff
from tests.opportune.tables import Titled, UnmigratedTable

SECRET, OWN = "Telltale merger", "Telltale picnic"


class FolderPaper(UnmigratedTable, table=True):
    folder_id: int = Field(foreign_key="test_folder.id")
    paper_id: int = Field(foreign_key="test_paper.id", ondelete="CASCADE")


class Paper(Titled, UnmigratedTable, SoftDelete, table=True):
    title: str = Field(max_length=80)
    owner_id: int = Field(sa_column=user_key())
    folder_id: int | None = Field(default=None, foreign_key="test_folder.id")


class Folder(UnmigratedTable, table=True):
    name: str = Field(max_length=80)
    papers: list[Paper] = Relationship(link_model=FolderPaper)


class Papers(Crud[Paper]):
    owner_column = "owner_id"
    search = ("title",)


class PaperAdmin(AdminView, model=Paper):
    crud = Papers
    readonly = ()
    can_import = True


class FolderAdmin(AdminView, model=Folder): ...


archive = Feature(
    "archive",
    models=(FolderPaper, Paper, Folder),
    admin=Admin(
        (PaperAdmin, FolderAdmin), metrics=[Table("Papers", Paper)], user_columns=[UserColumn("Papers", Paper.owner_id)]
    ),
    pages=CrudPages(Papers, "/papers").router,
)
app = site_fixture(archive)


@pytest.fixture
async def clerk(app: FastAPI) -> User:
    user = await make_user(app.state.database, "clerk@example.com", is_staff=True)
    for identity in ("paper", "folder", "audit-entry"):
        await add_permission(app.state.database, user, identity, "*")
    return user


@pytest.fixture
async def staff(app: FastAPI, clerk: User, admin: AsyncClient, superuser: User) -> AsyncIterator[AsyncClient]:
    """Client of staff who may list paper 4, which was their own from the beginning. Superusers keep papers 1 to 3."""
    for owner, title in ((superuser, SECRET), (superuser, SECRET), (superuser, SECRET), (clerk, OWN)):
        await admin.post("/admin/paper/create", data={"title": title, "owner_id": str(owner.id)})
    await admin.post("/admin/paper/edit/1", data={"title": f"{SECRET}!", "owner_id": str(superuser.id)})
    await admin.post("/admin/folder/create", data={"name": "Plans", "papers": ["1", "4"]})
    await admin.post("/admin/folder/edit/1", data={"name": "Plans"})
    await admin.post("/admin/paper/delete?pks=2", data={"confirmed": "yes"})
    await admin.post("/admin/paper/delete?pks=3", data={"confirmed": "yes"})
    await admin.post("/admin/paper/trash/purge?pks=3", data={"confirmed": "yes"})
    for paper_id in (1, 4):
        await change_row(app, Paper, paper_id, folder_id=1)
    async with signed_in_client(app, clerk) as client:
        yield client


PAGES = (
    *("/admin/?complete=1", "/admin/search?q=Telltale"),
    *("/admin/audit-entry/list", "/admin/audit-entry/list?search=Telltale"),
    *("/admin/audit-entry/export/json", "/admin/paper/list", "/admin/paper/export/json", "/admin/folder/delete?pks=1"),
    *("/search?q=Telltale", "/papers"),
)
PAGES_OF_ROWS = {
    **dict.fromkeys(("/admin/paper/history/1", "/admin/paper/history/2", "/admin/paper/history/3"), 404),
    "/admin/paper/editors/1?since=2026-01-01T00:00:00%2B00:00": 200,
    "/admin/paper/trash": 200,
    "/admin/folder/history/1": 200,
    "/admin/audit-entry/details/1": 404,
}


@pytest.mark.database("sqlite", "postgresql")
async def test_pages_only_name_listed_rows(staff: AsyncClient) -> None:
    texts = {path: (await staff.get(path)).text for path in PAGES}
    assert {path: (OWN in text, SECRET in text) for path, text in texts.items()} == dict.fromkeys(PAGES, (True, False))
    responses = {path: await staff.get(path) for path in PAGES_OF_ROWS}
    assert {path: response.status_code for path, response in responses.items()} == PAGES_OF_ROWS
    assert [path for path, response in responses.items() if SECRET in response.text] == []


async def test_staff_add_rows_of_their_own(staff: AsyncClient, clerk: User, superuser: User) -> None:
    assert f'<option value="{clerk.id}" selected>' in (await staff.get("/admin/paper/create")).text
    for owner, status in ((clerk, 303), (superuser, 400)):
        response = await staff.post("/admin/paper/create", data={"title": "Plan", "owner_id": str(owner.id)})
        assert response.status_code == status, owner


async def test_trash_needs_the_rows_and_the_permission_to_list(app: FastAPI, staff: AsyncClient) -> None:
    for action in ("restore", "purge"):
        response = await staff.post(f"/admin/paper/trash/{action}", data={"pk": "2", "confirmed": "yes"})
        assert response.status_code == 404, action
    async with signed_in_client(app, await make_staff(app, "paper.delete")) as client:
        assert (await client.get("/admin/paper/trash")).status_code == 403


async def test_log_shows_own_changes_and_no_older_row(app: FastAPI, staff: AsyncClient, clerk: User) -> None:
    await staff.post("/admin/paper/delete?pks=4", data={"confirmed": "yes"})
    await staff.post("/admin/paper/trash/purge?pks=4", data={"confirmed": "yes"})
    await add_rows(app, Paper(id=3, title="Reused id", owner_id=clerk.id))
    text = (await staff.get("/admin/audit-entry/export/json")).text
    assert OWN in text
    assert SECRET not in text
