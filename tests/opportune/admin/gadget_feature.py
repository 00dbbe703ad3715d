"""Gadgets: a model with a column of every type, and its view with default options."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

from pydantic import field_validator
from sqladmin import action
from sqlalchemy import CheckConstraint, update
from sqlmodel import Field, col
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin import AdminView, ValidationRefused
from opportune.db.clock import utc_now
from opportune.feature import Admin, Feature
from opportune.fields import Markdown
from tests.opportune.tables import Named, UnmigratedTable


class Colour(Enum):
    RED = "red"
    DEEP_BLUE = "deep_blue"


class Maker(Named, UnmigratedTable, table=True):
    name: str = Field(max_length=50)
    api_key: str = ""


class Gadget(UnmigratedTable, table=True):
    __table_args__ = (CheckConstraint("size <> 13", name="lucky"),)

    name: str = Field(max_length=20, unique=True)
    maker_id: int = Field(foreign_key="test_maker.id")
    spare_id: int | None = Field(default=None, foreign_key="test_maker.id")
    colour: Colour = Colour.RED
    state: Literal["new", "used"] = "new"
    size: int = Field(default=1, ge=0)
    weight: Decimal | None = Field(default=None, max_digits=6, decimal_places=2)
    ratio: float | None = None
    made_on: date | None = None
    seen_at: datetime | None = None
    notes: Markdown = ""
    story: str = Field(default="", max_length=2000)
    data: str = ""  # a name that WTForms reserves
    nickname: str | None = Field(default=None, max_length=20)
    created_at: datetime = Field(default_factory=utc_now)

    @field_validator("name")
    @classmethod
    def _refuse_gizmo(cls, value: str) -> str:
        if value == "gizmo":
            raise ValueError("a gizmo is no gadget")
        return value.strip()


class MakerAdmin(AdminView, model=Maker): ...


class GadgetAdmin(AdminView, model=Gadget):
    can_import = True

    async def on_model_delete(self, model: Any, request: Request) -> None:
        if model.name == "keep me":
            raise ValidationRefused("This one stays.")

    @action("polish", "Polish", "Polish them?")
    async def polish(self, request: Request) -> Response:
        notes = (await request.form()).get("notes", "polished")
        ids = map(int, request.query_params["pks"].split(","))
        async with self.site.database.writer() as session:
            await session.execute(update(Gadget).where(col(Gadget.id).in_(ids)).values(notes=notes))
        return RedirectResponse(request.url_for("admin:list", identity=self.identity), 303)


gadgets = Feature("gadgets", models=(Maker, Gadget), admin=Admin((MakerAdmin, GadgetAdmin)))
GADGET_FORM = {"name": "Anvil", "maker_id": "1", "colour": "red", "state": "new", "size": "1", "save": "Save"}
"""Fields of the form of a gadget of the first maker."""


def make_makers() -> Sequence[Maker]:
    return Maker(name="Acme", api_key="k3y"), Maker(name="100% Ltd")
