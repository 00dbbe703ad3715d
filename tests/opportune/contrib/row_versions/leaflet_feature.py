"""Leaflets, whose changes are kept as versions."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field
from starlette.requests import Request

from opportune.admin import AdminView, ValidationRefused
from opportune.config.settings import Settings
from opportune.crud import Crud, CrudApi, Permission
from opportune.db import ModelBase, SoftDelete, Versioned
from opportune.feature import Admin, Feature
from opportune.schemas.text import Text
from tests.opportune.site_with import site_with
from tests.opportune.tables import Named, Titled, UnmigratedTable

BANNED = "Banned"


class Status(StrEnum):
    DRAFT = "draft"
    PRINTED = "printed"


class Editor(Named, UnmigratedTable, SoftDelete, table=True):
    __tablename__ = "test_leaflet_editor"

    name: str = Field(max_length=50)


class Leaflet(Titled, UnmigratedTable, Versioned, table=True):
    __tablename__ = "test_leaflet"

    title: str = Field(max_length=50, unique=True)
    body: Text = ""
    price: Decimal | None = Field(default=None, max_digits=8, decimal_places=2)
    status: Status = Status.DRAFT
    printed_at: datetime | None = None
    is_free: bool = False
    tags: dict[str, Any] = Field(default_factory=dict)
    number: int = 0
    api_key: str = Field(default="", max_length=50)
    editor_id: int | None = Field(default=None, foreign_key="test_leaflet_editor.id")


class Note(ModelBase, Versioned, table=True):
    __tablename__ = "test_leaflet_note"
    metadata = UnmigratedTable.metadata

    id: UUID = Field(primary_key=True)
    title: str = ""


class Label(ModelBase, Versioned, table=True):
    __tablename__ = "test_leaflet_label"
    metadata = UnmigratedTable.metadata

    id: str = Field(primary_key=True)


class Leaflets(Crud[Leaflet]):
    read_permission = write_permission = Permission.SIGNED_IN


class LeafletAdmin(AdminView, model=Leaflet):
    readonly = ("number",)
    can_import = True

    async def before_save(self, session: AsyncSession, row: Leaflet, request: Request, *, is_created: bool) -> None:
        if row.title == BANNED:
            raise ValidationRefused("This title is banned.", "title")


class EditorAdmin(AdminView, model=Editor):
    pass


API = CrudApi(Leaflets, "/leaflets").router
MODELS = (Leaflet, Editor, Note, Label)
leaflets = Feature("leaflets", models=MODELS, admin=Admin((LeafletAdmin, EditorAdmin)), api=API)


@asynccontextmanager
async def leaflet_site(settings: Settings, without: Collection[str] = ()) -> AsyncIterator[FastAPI]:
    """Yield a site with an editor, and with a leaflet that has three versions."""
    async with site_with(leaflets, settings, without=without) as app:
        async with app.state.database.writer() as session:
            editor = Editor(name="Ann")
            session.add(editor)
            await session.flush()
            leaflet = Leaflet(title="Tea", body="One\nTwo\nThree", number=1, api_key="k3y", editor_id=editor.id)
            session.add(leaflet)
            await session.flush()
            leaflet.title, leaflet.body, leaflet.editor_id, leaflet.number = "Coffee", "One\nTwo!\nThree", None, 2
            leaflet.is_free, leaflet.status = True, Status.PRINTED
            await session.flush()
            leaflet.title, leaflet.price = "Cocoa", Decimal("1.50")
        yield app
