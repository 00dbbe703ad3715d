from datetime import date

import pytest
from httpx import AsyncClient

from opportune.accounts import User
from tests.todos.conftest import MakeTodo

pytestmark = pytest.mark.database("sqlite")


async def test_the_profile_page_counts_the_owners_open_todos(
    browser: AsyncClient, ann: User, bob: User, make_todo: MakeTodo
) -> None:
    await make_todo(ann)
    await make_todo(ann, due_on=date(2026, 1, 1))
    await make_todo(bob)

    text = (await browser.get("/accounts/profile")).text

    assert '<a href="/todos?state=open">2 open</a>' in text
    assert "1 overdue" in text


async def test_it_is_there_too_when_a_form_is_shown_again(browser: AsyncClient) -> None:
    answer = await browser.post("/accounts/profile/email", data={"email": "no address", "current_password": ""})

    assert (answer.status_code, "0 overdue" in answer.text) == (422, True)
