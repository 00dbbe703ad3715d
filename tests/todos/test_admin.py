"""Admin of to-dos."""

import pytest
from fastapi import FastAPI

from opportune.testing import make_user, signed_in_client


@pytest.mark.database("sqlite")
async def test_admin_uses_the_names_of_the_site(app: FastAPI) -> None:
    superuser = await make_user(app.state.database, is_superuser=True)
    async with signed_in_client(app, superuser) as admin:
        page = (await admin.get("/admin/todo/list")).text
    assert "Add To-do" in page
    assert '<h1 class="page-title text-break">To-dos</h1>' in page
