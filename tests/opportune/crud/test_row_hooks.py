"""Hooks of rows that the data layer writes."""

from collections.abc import Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import User
from opportune.db import after_create, after_delete, after_update, before_update, changes
from opportune.db.hooks.registry import temporary_hooks
from opportune.errors import FieldErrors
from tests.opportune.crud.library import Topic, Writer, Writers


@pytest.fixture
def events() -> list[str]:
    """Events that hooks of writers have received. A hook refuses the name "Anonymous"."""
    events: list[str] = []

    @after_create(Writer)
    async def on_create(session: AsyncSession, writer: Writer) -> None:
        session.add(Topic(name=f"About {writer.name}"))
        events.append(f"{writer.id} created")

    @before_update(Writer)
    async def refuse(session: AsyncSession, writer: Writer) -> None:
        if writer.name == "Anonymous":
            raise FieldErrors({"name": "Give a real name."})

    @after_update(Writer)
    async def on_change(session: AsyncSession, writer: Writer) -> None:
        events.append(f"{writer.id} changed {', '.join(changes(writer))}")

    @after_delete(Writer)
    async def on_delete(session: AsyncSession, writer: Writer) -> None:
        events.append(f"{writer.id} deleted")

    return events


@pytest.fixture(autouse=True)
def _temporary_hooks() -> Iterator[None]:
    with temporary_hooks():
        yield


async def test_hooks_run_when_a_row_is_written(session: AsyncSession, superuser: User, events: list[str]) -> None:
    writers = Writers(session, superuser)
    jane = await writers.create({"name": "Jane Austen"})
    assert events == ["1 created"]
    await writers.update(jane, {"is_hidden": True})
    await writers.delete(jane)
    assert events == ["1 created", "1 changed is_hidden", "1 deleted"]


async def test_session_is_usable_after_a_hook_refuses(
    session: AsyncSession, superuser: User, events: list[str]
) -> None:
    writers = Writers(session, superuser)
    jane = await writers.create({"name": "Jane Austen"})
    with pytest.raises(FieldErrors) as refused:
        await writers.update(jane, {"name": "Anonymous"})
    assert refused.value.errors == {"name": "Give a real name."}
    assert jane.name == "Jane Austen"
    await writers.update(jane, {"name": "Jane"})
    assert events == ["1 created", "1 changed name"]
