"""Changes of to-dos by pages, the API, jobs and tools in the audit log."""

from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from app.todos.models import Todo
from opportune.accounts import User
from opportune.admin.models import AuditEntry
from opportune.contrib.llm import ToolCall
from opportune.contrib.tools import toolbox_of
from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.testing import make_token
from tests.todos.conftest import MakeTodo


async def read_entries(app: FastAPI) -> list[AuditEntry]:
    async with app.state.database.reader(fresh=True) as session:
        statement = select(AuditEntry).where(col(AuditEntry.identity) == "todo").order_by(col(AuditEntry.id))
        return list(await session.scalars(statement))


async def read_changes(app: FastAPI) -> list[tuple[str, str, str]]:
    """Return actor, channel and action of each recorded change."""
    return [(entry.actor, entry.channel, entry.action) for entry in await read_entries(app)]


async def test_changes_record_their_channel(app: FastAPI, client: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    await make_todo(ann, "Buy milk")  # like a command, which is not recorded
    headers = {"Authorization": f"Bearer {await make_token(app.state.database, ann)}"}
    added = await client.post("/api/v1/todos", json={"title": "Buy milk"}, headers=headers)
    url = f"/api/v1/todos/{added.json()['id']}"
    await client.patch(url, json={"title": "Buy oat milk"}, headers=headers)
    await client.delete(url, headers=headers)
    await toolbox_of(app).call(ToolCall("call_0", "create_todo", '{"todo": {"title": "Buy milk"}}'), ann)
    with changes_come_from(ChangeOrigin("job todos.tidy")):
        async with app.state.database.writer() as session:
            session.add(Todo(owner_id=ann.id, title="Buy milk"))
    assert await read_changes(app) == [
        *((ann.email, "api", action) for action in ("create", "update", "delete")),
        (ann.email, "tool create_todo", "create"),
        ("", "job todos.tidy", "create"),
    ]
    assert (await read_entries(app))[1].changes["title"] == ["Buy milk", "Buy oat milk"]
