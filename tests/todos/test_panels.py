"""Open to-dos on the profile page and on the start page."""

import re
from datetime import date

from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.db import utc_now
from tests.todos.conftest import NUMBER, MakeTodo


def panel_numbers(html: str) -> list[str]:
    """Return the numbers of open and overdue to-dos."""
    panel = re.search(r'aria-labelledby="your-todos".*?</section>', html, re.DOTALL)
    assert panel
    return NUMBER.findall(re.sub(r"<[^>]*>", "", panel[0]))


async def test_profile_page_counts_open_todos(browser: AsyncClient, ann: User, bob: User, make_todo: MakeTodo) -> None:
    await make_todo(ann)
    await make_todo(ann, due_on=date(2026, 1, 1))
    await make_todo(bob)

    text = (await browser.get("/accounts/profile")).text

    assert panel_numbers(text) == ["2", "1"]


async def test_panel_is_on_the_page_of_an_invalid_form(browser: AsyncClient) -> None:
    response = await browser.post("/accounts/profile/email", data={"email": "no address", "current_password": ""})

    assert (response.status_code, panel_numbers(response.text)) == (422, ["0", "0"])


async def test_start_page_lists_open_todos_of_user(
    browser: AsyncClient, ann: User, bob: User, make_todo: MakeTodo, client: AsyncClient
) -> None:
    await make_todo(ann, title="Ring the bell")
    await make_todo(ann, title="Old phone", done_at=utc_now())
    await make_todo(bob, title="Bake bread")

    page = (await browser.get("/")).text

    assert [title in page for title in ("Ring the bell", "Old phone", "Bake bread")] == [True, False, False]
    assert 'id="open-todos"' not in (await client.get("/")).text
