"""The data layer's rows have hooks: what these refuse is words of a field, and the session goes on."""

from collections.abc import Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import User
from opportune.db import after_change, after_create, after_delete, before_change, changes
from opportune.db.hooks.registry import temporary_hooks
from opportune.errors import FieldErrors
from tests.opportune.crud.library import Topic, Writer, Writers

pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
def told() -> list[str]:
    """What hooks of writers are told; they take no change to "Anonymous"."""
    told: list[str] = []

    @after_create(Writer)
    async def came(session: AsyncSession, writer: Writer) -> None:
        session.add(Topic(name=f"About {writer.name}"))
        told.append(f"{writer.id} came")

    @before_change(Writer)
    async def refuse(session: AsyncSession, writer: Writer) -> None:
        if writer.name == "Anonymous":
            raise FieldErrors({"name": "Somebody has written it."})

    @after_change(Writer)
    async def changed(session: AsyncSession, writer: Writer) -> None:
        told.append(f"{writer.id} changed {', '.join(changes(writer))}")

    @after_delete(Writer)
    async def went(session: AsyncSession, writer: Writer) -> None:
        told.append(f"{writer.id} went")

    return told


@pytest.fixture(autouse=True)
def _hooks_of_each_test_alone() -> Iterator[None]:
    with temporary_hooks():
        yield


async def test_hooks_are_told_at_once(session: AsyncSession, root: User, told: list[str]) -> None:
    writers = Writers(session, root)
    jane = await writers.add({"name": "Jane Austen"})
    assert told == ["1 came"]
    await writers.change(jane, {"is_hidden": True})
    await writers.delete(jane)
    assert told == ["1 came", "1 changed is_hidden", "1 went"]


async def test_what_a_hook_refuses_is_of_the_field_and_the_session_goes_on(
    session: AsyncSession, root: User, told: list[str]
) -> None:
    writers = Writers(session, root)
    jane = await writers.add({"name": "Jane Austen"})
    with pytest.raises(FieldErrors) as refused:
        await writers.change(jane, {"name": "Anonymous"})
    assert refused.value.errors == {"name": "Somebody has written it."}
    assert jane.name == "Jane Austen"
    await writers.change(jane, {"name": "Jane"})
    assert told == ["1 came", "1 changed name"]
