"""A database that cannot grow."""

import sqlite3

import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy.exc import OperationalError

from opportune.settings import Settings
from opportune.testing.quiet_app import quiet_app


@pytest.mark.database("sqlite")
async def test_a_full_database_is_507_in_one_sentence(settings: Settings) -> None:
    app = quiet_app(settings)

    @app.get("/api/full")
    async def full() -> None:
        driver = sqlite3.OperationalError("database or disk is full")
        driver.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise OperationalError("", None, driver)

    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        response = await client.get("/api/full")
    assert response.status_code == 507
    assert response.json()["detail"] == "The disk of this site is full, so nothing was saved. Please try again later."
