"""Panel of open to-dos on the profile page."""

import re
from datetime import date

from httpx2 import AsyncClient

from opportune.accounts import User
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
