"""Hooks run in the transaction with a complete row, before and after it is written."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.db import after_create, before_create
from opportune.db.hooks.registry import temporary_hooks
from opportune.errors import FieldErrors
from tests.opportune.admin.editing.parts_feature import undo_url
from tests.opportune.admin.novel_feature import Copy, Novel, NovelAdmin, make_genres, novels
from tests.opportune.contrib.import_export.import_steps import confirm_preview, upload_file
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import read_all, read_one

NOVEL_FORM = {"title": "Saga", "genres": "1", "save": "Save"}
app = site_fixture(novels, make_genres)


async def read_labels(app: FastAPI) -> list[str]:
    return await read_all(app, select(col(Copy.label)).order_by(col(Copy.id)))


async def test_hooks_run_before_and_after_a_row_is_saved(app: FastAPI, admin: AsyncClient) -> None:
    assert (await admin.post("/admin/novel/create", data=NOVEL_FORM)).status_code == 303
    novel = await read_one(app, Novel)
    assert (novel.title, novel.added_by) == ("Saga", "root@example.com")
    assert await read_labels(app) == ["new: Crime"]
    await admin.post("/admin/novel/edit/1", data=NOVEL_FORM | {"genres": "1,2"})
    assert await read_labels(app) == ["new: Crime", "changed: Crime, Poetry"]


async def test_refusing_hook_rolls_back(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for status in (303, 400):
        response = await admin.post("/admin/novel/create", data=NOVEL_FORM | {"title": "Taken"})
        assert response.status_code == status
    assert "There is one of this title." in response.text.split('id="error-title">')[1]

    async def refuse(_self: Any, _session: AsyncSession, _row: Any, _request: Request, *, is_created: bool) -> None:
        raise ValidationRefused(f"Not {'this one' if is_created else 'so'}.")

    monkeypatch.setattr(NovelAdmin, "after_save", refuse)
    assert "Not this one." in (await admin.post("/admin/novel/create", data=NOVEL_FORM)).text
    assert "Not so." in (await admin.post("/admin/novel/edit/1", data=NOVEL_FORM)).text
    assert await read_all(app, select(col(Novel.title))) == ["Taken"]


async def test_hooks_run_before_and_after_a_deletion(app: FastAPI, admin: AsyncClient) -> None:
    for title in ("Saga", "Keep"):
        await admin.post("/admin/novel/create", data=NOVEL_FORM | {"title": title})
    await admin.post("/admin/novel/delete?pks=1,2", data={"confirmed": "yes"})
    assert "This one stays." in (await admin.get("/admin/novel/list")).text
    assert await read_labels(app) == ["new: Crime"] * 2
    await admin.post("/admin/novel/delete?pks=1", data={"confirmed": "yes"})
    assert await read_labels(app) == ["new: Crime", "Saga is gone: True"]


async def test_model_hooks_run_between_view_hooks(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with temporary_hooks():
        calls: list[str] = []

        async def before_save(_self: Any, _session: Any, row: Novel, _request: Request, *, is_created: bool) -> None:
            calls.append("view, before")
            row.added_by = "a hook"

        async def after_save(
            _self: Any, _session: AsyncSession, _row: Any, _request: Request, *, is_created: bool
        ) -> None:
            calls.append("view, after")

        @before_create(Novel)
        async def before(session: AsyncSession, novel: Novel) -> None:
            calls.append(f"model, before: {novel.added_by}")
            if novel.title == "Refused":
                raise FieldErrors({"title": "Not this title."})

        @after_create(Novel)
        async def after(session: AsyncSession, novel: Novel) -> None:
            calls.append(f"model, after: {novel.id}")

        monkeypatch.setattr(NovelAdmin, "before_save", before_save)
        monkeypatch.setattr(NovelAdmin, "after_save", after_save)
        assert (await admin.post("/admin/novel/create", data=NOVEL_FORM)).status_code == 303
        assert calls == ["view, before", "model, before: a hook", "model, after: 1", "view, after"]
        response = await admin.post("/admin/novel/create", data=NOVEL_FORM | {"title": "Refused"})
        assert "Not this title." in response.text.split('id="error-title">')[1]
        preview = await upload_file(admin, "/admin/novel/import", "title\nOne\nRefused\n")
        assert "Title: Not this title." in preview.text


async def test_imported_rows_run_the_hooks(app: FastAPI, admin: AsyncClient) -> None:
    preview = await upload_file(admin, "/admin/novel/import", "title\nOne\nTwo\n")
    assert await read_labels(app) == []
    await confirm_preview(admin, preview)
    assert await read_labels(app) == ["new: "] * 2


@pytest.fixture
def titles(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Titles that `on_model_change` has changed and `after_model_change` gets, and whether the row is new."""
    titles: list[tuple[str, bool]] = []

    async def shout(_self: Any, data: dict[str, Any], _model: Novel, _is_created: bool, _request: Request) -> None:
        data["title"] += "!"

    async def record(_self: Any, data: dict[str, Any], _model: Novel, is_created: bool, _request: Request) -> None:
        assert "genres" not in data
        titles.append((data["title"], is_created))

    monkeypatch.setattr(NovelAdmin, "on_model_change", shout)
    monkeypatch.setattr(NovelAdmin, "after_model_change", record)
    return titles


async def test_hook_after_edit_and_undo_gets_changed_values(admin: AsyncClient, titles: list[tuple[str, bool]]) -> None:
    await admin.post("/admin/novel/create", data=NOVEL_FORM)
    changes = {"pks": "1", "change": ["title", "genres"], "new-title": "Epic", "new-genres": "2", "confirmed": "yes"}
    await admin.post("/admin/novel/edit-selected", data=changes)
    await admin.post(undo_url((await admin.get("/admin/novel/list")).text))
    assert titles == [("Saga!", True), ("Epic!", False), ("Saga!!", False)]
