"""Refused deletion of an account, because rows of other users refer to its rows."""

from html import unescape

import pytest
from fastapi import FastAPI

from opportune.accounts.flows.deletion import STILL_NEEDED
from opportune.feature import Feature
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from tests.opportune.crud.library import TABLES, Note
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, get_row

app = site_fixture(Feature("library", models=TABLES))


@pytest.mark.database("sqlite", "postgresql")
async def test_account_with_rows_in_use_is_not_deleted(app: FastAPI) -> None:
    ada, bob = await make_user(app.state.database, "ada@example.com"), await make_user(app.state.database)
    note, reply = Note(owner_id=ada.id, text="Lunch?"), Note(owner_id=bob.id, text="Yes", parent_id=1)
    await add_rows(app, note)
    await add_rows(app, reply)
    form = {"email": ada.email, "current_password": PASSWORD}
    async with signed_in_client(app, ada) as browser:
        page = await browser.post("/accounts/data/delete", data=form)
        response = await browser.request("DELETE", "/api/v1/users/me", json={"current_password": PASSWORD})
        assert (page.status_code, STILL_NEEDED in unescape(page.text)) == (422, True)
        assert (response.status_code, response.json()["detail"]) == (409, STILL_NEEDED)
        assert (await browser.get("/api/v1/users/me")).status_code == 200
    assert (await get_row(app, Note)).owner_id == ada.id
