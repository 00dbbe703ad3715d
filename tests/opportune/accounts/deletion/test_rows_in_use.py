"""Refused deletion of an account, because rows of other users refer to its rows."""

from html import unescape

import pytest
from fastapi import FastAPI
from sqlmodel import Field

from opportune.accounts.deletion.service import STILL_NEEDED
from opportune.feature import Feature
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from tests.opportune.crud.library import LibraryTable, user_key
from tests.opportune.site_with import site_fixture


class Order(LibraryTable, table=True):
    __tablename__ = "library_order"

    user_id: int = Field(sa_column=user_key())


class Invoice(LibraryTable, table=True):
    __tablename__ = "library_invoice"

    order_id: int = Field(foreign_key="library_order.id")


app = site_fixture(Feature("shop", "For tests.", models=[Order, Invoice]))


@pytest.mark.database("sqlite", "postgresql")
async def test_account_with_rows_in_use_is_not_deleted(app: FastAPI) -> None:
    ada = await make_user(app.state.database, "ada@example.com")
    async with app.state.database.writer() as session:
        session.add(order := Order(user_id=ada.id))
        await session.flush()
        session.add(Invoice(order_id=order.id))
    form = {"email": ada.email, "current_password": PASSWORD}
    async with signed_in_client(app, ada) as browser:
        page = await browser.post("/accounts/data/delete", data=form)
        response = await browser.request("DELETE", "/api/v1/users/me", json={"current_password": PASSWORD})
        assert (page.status_code, STILL_NEEDED in unescape(page.text)) == (422, True)
        assert (response.status_code, response.json()["detail"]) == (409, STILL_NEEDED)
        assert (await browser.get("/api/v1/users/me")).status_code == 200
    async with app.state.database.reader(fresh=True) as session:
        assert await session.get(Order, order.id)
