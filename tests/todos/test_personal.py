"""Export of a user's to-dos."""

from httpx2 import AsyncClient

from opportune.accounts import User
from tests.todos.conftest import MakeTodo


async def test_export_has_only_own_todos(browser: AsyncClient, ann: User, bob: User, make_todo: MakeTodo) -> None:
    await make_todo(ann, "Buy milk", notes="two litres")
    await make_todo(bob, "Hide")

    rows = (await browser.get("/api/v1/users/me/export")).json()["todos"]["todo"]

    assert [(row["title"], row["notes"]) for row in rows] == [("Buy milk", "two litres")]
    assert "owner_id" not in rows[0]
