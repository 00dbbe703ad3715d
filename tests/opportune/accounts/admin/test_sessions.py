"""Pages of sessions, and filters by their user."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import Session
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.accounts.stored_rows import read_one


async def test_deleting_a_session_signs_its_browser_out(app: FastAPI, admin: AsyncClient) -> None:
    user = await make_user(app.state.database, "user@example.com")
    async with signed_in_client(app, user) as browser:
        row = await read_one(app.state.database, Session, user_id=user.id)
        page = (await admin.get(f"/admin/session/list?user_id={user.id}")).text
        assert f'<a href="/admin/user/details/{user.id}">user@example.com</a>' in page
        deleted = await admin.post(f"/admin/session/delete?pks={row.id}", data={"confirmed": "yes"})
        assert deleted.status_code == 303
        assert (await browser.get("/accounts/profile")).status_code == 303


async def test_sessions_cannot_be_created_or_edited(admin: AsyncClient) -> None:
    for path in ("create", "edit/1"):
        assert (await admin.get(f"/admin/session/{path}")).status_code == 403
        assert (await admin.post(f"/admin/session/{path}")).status_code == 403
    for term, results in (("roo", 1), ("ROOT example", 1), ("%", 0), ("\0", 1), ("argon2", 0)):
        response = await admin.get("/admin/session/ajax/lookup", params={"name": "user_id", "term": term})
        assert len(response.json()["results"]) == results, term
    assert (await admin.get("/admin/session/ajax/lookup?name=token_hash&term=a")).status_code == 404


@pytest.mark.database("sqlite", "postgresql")
async def test_reference_filter_accepts_any_text(admin: AsyncClient) -> None:
    for value in ("abc", "-1", "9" * 30, "%00", "1e3"):
        response = await admin.get(f"/admin/session/list?user_id={value}")
        assert response.status_code == 200, value
        assert "Nothing matches" in response.text, value
