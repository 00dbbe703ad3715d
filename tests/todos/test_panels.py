"""Panel of open to-dos on the profile page."""

from datetime import date

import pytest
from httpx import AsyncClient

from opportune.accounts import User
from tests.todos.conftest import MakeTodo

pytestmark = pytest.mark.database("sqlite")


async def test_profile_page_counts_open_todos(browser: AsyncClient, ann: User, bob: User, make_todo: MakeTodo) -> None:
    await make_todo(ann)
    await make_todo(ann, due_on=date(2026, 1, 1))
    await make_todo(bob)

    text = (await browser.get("/accounts/profile")).text

    assert 'href="/todos?state=open">2 ' in text
    assert "1 overdue" in text


async def test_panel_is_on_the_page_of_an_invalid_form(browser: AsyncClient) -> None:
    response = await browser.post("/accounts/profile/email", data={"email": "no address", "current_password": ""})

    assert (response.status_code, "0 overdue" in response.text) == (422, True)
