"""Lamps: a model whose labels are derived from names, with pages, an API and a view of the admin."""

from enum import Enum
from typing import Annotated

from sqladmin import action
from sqlmodel import Field
from starlette.requests import Request
from starlette.responses import Response

from opportune.admin import AdminView
from opportune.crud import Crud, CrudApi, CrudPages
from opportune.feature import Admin, Feature
from opportune.fields import Country, FieldOptions
from tests.opportune.tables import Titled, UnmigratedTable


class Mood(Enum):
    WARM = "warm"
    VERY_COLD = "very_cold"


class Lamp(Titled, UnmigratedTable, table=True):
    __tablename__ = "lamps_lamp"

    title: str = Field(max_length=20, description="As on the box.")
    mood: Mood = Mood.WARM
    is_dimmable: bool = False
    height: Annotated[int, FieldOptions(suffix="inches")] = Field(default=0, title="Total height")
    origin: Country = ""


class Lamps(Crud[Lamp]):
    filters = ("mood", "height")


class LampAdmin(AdminView, model=Lamp):
    category = "Lights"
    can_import = True
    columns = ("title", "mood", "is_dimmable", "height", "origin")
    filters = ("mood", "height", "origin")
    column_labels = {"is_dimmable": "Can be dimmed"}
    fieldsets = (("Looks", ("mood", "height")),)

    @action("switch-on", "Switch on", "Really switch it on?")
    async def switch_on(self, request: Request) -> Response:
        return Response("")


pages, api = CrudPages(Lamps, "/lamps").router, CrudApi(Lamps, "/lamps").router
lamps = Feature("lamps", models=(Lamp,), pages=pages, api=api, admin=Admin((LampAdmin,)))
