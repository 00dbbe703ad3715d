"""Admin of to-dos."""

from httpx2 import AsyncClient

from opportune.accounts import User
from tests.todos.conftest import MakeTodo


async def test_admin_lists_todos(superuser_client: AsyncClient, superuser: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(superuser, "Buy milk")
    page = (await superuser_client.get("/admin/todo/list")).text
    assert f"/admin/todo/details/{todo.id}" in page
    assert "Buy milk" in page
