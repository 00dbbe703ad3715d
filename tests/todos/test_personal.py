import pytest

from app.todos.personal import personal_data
from opportune.accounts import User
from opportune.db import Database
from opportune.feature import Person
from tests.todos.conftest import MakeTodo


@pytest.mark.database("sqlite")
async def test_a_persons_todos_are_told_and_nobody_elses(
    database: Database, ann: User, bob: User, make_todo: MakeTodo
) -> None:
    await make_todo(ann, "Buy milk", notes="two litres")
    await make_todo(bob, "Hide")

    async with database.reader() as session:
        told = await personal_data.read(session, Person(ann.id, ""))

    assert [(row["title"], row["notes"]) for row in told["todos"]] == [("Buy milk", "two litres")]
