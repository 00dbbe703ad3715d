"""A model whose fields have names that WTForms uses for its own attributes."""

from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel import Field

from opportune.admin import AdminView
from opportune.feature import Admin, Feature
from opportune.fields import Json
from tests.opportune.admin.gadget_feature import Table
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import get_row

EDIT = "/admin/parcel/edit/1"


class Parcel(Table, table=True):
    __tablename__ = "test_parcel"

    name: str = Field(max_length=50)
    data: Json = Field(default_factory=dict)
    errors: str = Field(default="", max_length=50)


class ParcelAdmin(AdminView, model=Parcel):
    pass


app = site_fixture(Feature("parcels", "Parcels.", models=[Parcel], admin=Admin((ParcelAdmin,))))


async def test_reserved_names_are_created_and_edited(app: FastAPI, admin: AsyncClient) -> None:
    form = {"name": "A", "data": '{"size": 3}', "errors": "late", "save": "Save"}
    assert (await admin.post("/admin/parcel/create", data=form)).status_code == 303
    page = (await admin.get(EDIT)).text
    assert 'value="late"' in page
    assert "&#34;size&#34;: 3" in page
    assert (await admin.post(EDIT, data={**form, "name": "B"})).status_code == 303
    parcel = await get_row(app, Parcel)
    assert (parcel.name, parcel.data, parcel.errors) == ("B", {"size": 3}, "late")


async def test_error_is_shown_at_a_reserved_name(admin: AsyncClient) -> None:
    refused = await admin.post("/admin/parcel/create", data={"name": "A", "errors": "x" * 51, "save": "Save"})
    assert refused.status_code == 400
    assert 'id="error-errors"' in refused.text
