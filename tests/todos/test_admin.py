"""Admin of to-dos."""

from fastapi import FastAPI

from opportune.testing import make_user, signed_in_client
from tests.todos.conftest import MakeTodo


async def test_admin_lists_todos(app: FastAPI, make_todo: MakeTodo) -> None:
    superuser = await make_user(app.state.database, is_superuser=True)
    todo = await make_todo(superuser, "Buy milk")
    async with signed_in_client(app, superuser) as admin:
        page = (await admin.get("/admin/todo/list")).text
    assert f"/admin/todo/details/{todo.id}" in page
    assert "Buy milk" in page
