"""Rows that the data layer of a view makes unreadable or read-only, in the admin."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import ColumnElement, false
from sqlmodel import col

from opportune.accounts.models import User
from opportune.admin.options import option_faults
from opportune.admin.views import AdminView
from opportune.crud import Crud
from opportune.testing import add_permission, make_user, signed_in_client
from tests.opportune.admin.novel_feature import Copy, Novel, NovelAdmin
from tests.opportune.stored_rows import add_rows

HIDDEN_ID, FOREIGN_ID, OWNED_ID = 1, 2, 3


class Novels(Crud[Novel]):
    """Users read all rows except hidden ones, and change only rows that they have added."""

    def readable(self) -> ColumnElement[bool]:
        return col(Novel.title) != "Hidden"

    def writable(self) -> ColumnElement[bool]:
        return col(Novel.added_by) == self.user.email if self.user else false()


@pytest.fixture
async def app(app_with_novels: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(NovelAdmin, "crud", Novels)
    await add_rows(
        app_with_novels,
        Novel(id=HIDDEN_ID, title="Hidden", added_by="ed@example.com"),
        Novel(id=FOREIGN_ID, title="Emma", added_by="root@example.com"),
        Novel(id=OWNED_ID, title="Persuasion", added_by="ed@example.com"),
    )
    return app_with_novels


@pytest.fixture
async def editor(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Client of staff with all permissions on novels."""
    editor: User = await make_user(app.state.database, "ed@example.com", is_staff=True)
    await add_permission(app.state.database, editor, "novel", "*")
    async with signed_in_client(app, editor) as client:
        yield client


async def test_unreadable_rows_are_not_found(editor: AsyncClient) -> None:
    text = (await editor.get("/admin/novel/list")).text
    assert [title in text for title in ("Emma", "Persuasion", "Hidden")] == [True, True, False]
    for page in ("details", "edit"):
        assert (await editor.get(f"/admin/novel/{page}/{HIDDEN_ID}")).status_code == 404, page


async def test_unwritable_rows_are_read_only(editor: AsyncClient) -> None:
    changes = {"title": "New", "save": "Save"}
    assert (await editor.get(f"/admin/novel/details/{FOREIGN_ID}")).status_code == 200
    for number, status in ((FOREIGN_ID, 404), (OWNED_ID, 303)):
        assert (await editor.post(f"/admin/novel/edit/{number}", data=changes)).status_code == status
        deleted = await editor.post(f"/admin/novel/delete?pks={number}", data={"confirmed": "yes"})
        assert deleted.status_code == status
    assert "Emma" in (await editor.get("/admin/novel/list")).text


async def test_superusers_see_and_change_all_rows(admin: AsyncClient) -> None:
    assert "Hidden" in (await admin.get("/admin/novel/list")).text
    changes = {"title": "New", "save": "Save"}
    assert (await admin.post(f"/admin/novel/edit/{HIDDEN_ID}", data=changes)).status_code == 303


def test_data_layer_of_another_model_is_reported() -> None:
    class CopyAdmin(AdminView, model=Copy):
        crud = Novels

    assert next(option_faults(CopyAdmin, AdminView)) == "CopyAdmin.crud: Novels is for Novel, not for Copy."
