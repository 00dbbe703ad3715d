"""Shelves: a model with files, field groups and related rows, and its views."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlmodel import Field
from starlette.requests import Request

from opportune.admin import AdminView, FileColumn, ImageColumn, Inline
from opportune.admin.forms.files import stored_uploads
from opportune.feature import Admin, Feature
from tests.opportune.tables import Titled, UnmigratedTable


def run_before_saving(monkeypatch: pytest.MonkeyPatch, action: Callable[[], Awaitable[None]]) -> None:
    """Run code after a form is read and before it is saved."""

    @asynccontextmanager
    async def run_first(*arguments: Any) -> AsyncIterator[None]:
        await action()
        async with stored_uploads(*arguments):
            yield

    monkeypatch.setattr("opportune.admin.forms.form_view.stored_uploads", run_first)


class Shelf(Titled, UnmigratedTable, table=True):
    title: str = Field(max_length=80, unique=True, description="Printed on the front.")
    slug: str = Field(default="", max_length=40)
    code: str = Field(default="", max_length=20)
    price: int = 0
    photo: str = Field(default="", max_length=100)
    plan: str | None = Field(default=None, max_length=100)


class Book(Titled, UnmigratedTable, table=True):
    shelf_id: int = Field(foreign_key="test_shelf.id", index=True)
    title: str = Field(max_length=80)


class Label(UnmigratedTable, table=True):
    shelf_id: int = Field(foreign_key="test_shelf.id", index=True)
    text: str = Field(max_length=20, unique=True)
    size: int = Field(default=1, ge=1)
    is_bold: bool = True
    position: int = 0

    def __str__(self) -> str:
        return self.text


class ShelfAdmin(AdminView, model=Shelf):
    plural = "Shelves"
    fieldsets = (("Name", ("title", "slug")), ("Looks", ("photo", "plan")))
    file_columns = {"photo": ImageColumn("shelves", max_side_pixels=20), "plan": FileColumn("plans")}
    prepopulated = {"slug": "title"}
    readonly_after_create = ("code",)
    inlines = (Inline(Label, "shelf_id", ("text", "size", "is_bold")),)
    save_as = True

    def get_readonly_fields(self, request: Request, row: Any) -> Sequence[str]:
        locked_fields = () if request.state.user.email == "root@example.com" else ("price",)
        return (*super().get_readonly_fields(request, row), *locked_fields)

    def site_url(self, row: Any) -> str:
        return f"/shelves/{row.slug}"


class BookAdmin(AdminView, model=Book): ...


class LabelAdmin(AdminView, model=Label): ...


shelves = Feature("shelves", models=(Shelf, Book, Label), admin=Admin((ShelfAdmin, BookAdmin, LabelAdmin)))
