"""Columns that features add to the page of a user."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func

from opportune.accounts.models import Session, User
from opportune.feature import Admin, Feature, UserColumn
from opportune.testing.factories import add_permission, make_user, signed_in_client

COLUMNS = [
    UserColumn("Browsers", Session.user_id),
    UserColumn("Seen", Session.user_id, func.max(Session.seen_at)),
    UserColumn("Names", Session.user_id, func.max(Session.agent)),
]


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    app.state.features = (*app.state.features, Feature("other", admin=Admin(user_columns=COLUMNS)))
    return app


async def test_user_page_shows_columns_of_features(app: FastAPI, admin: AsyncClient, user: User) -> None:
    path = f"/admin/user/details/{user.id}"
    cell = '<dt class="col-sm-3">Browsers</dt>\n    <dd class="col-sm-9 details-value">'
    assert f"{cell}0</dd>" in (await admin.get(path)).text
    async with signed_in_client(app, user), signed_in_client(app, user):
        page = (await admin.get(path)).text
    assert f"{cell}2</dd>" in page
    assert " UTC</dd>" in page.partition("Seen</dt>")[2]


async def test_columns_need_permission_to_list_their_rows(app: FastAPI) -> None:
    staff = await make_user(app.state.database, is_staff=True)
    for action in ("list", "get"):
        await add_permission(app.state.database, staff, "user", action)
    async with signed_in_client(app, staff) as browser:
        response = await browser.get(f"/admin/user/details/{staff.id}")
    assert (response.status_code, "Browsers" in response.text) == (200, False)
