"""The demo assistants."""

from sqlalchemy import select

from app.chat.demo_assistants import PROMPT_TEXT, clear, load
from opportune.contrib.assistants import Assistant, Prompt
from opportune.contrib.assistants.variables import variables_of
from opportune.db import Database
from opportune.i18n import use_language
from opportune.testing import make_user


async def test_second_load_adds_no_assistants(database: Database) -> None:
    superuser = await make_user(database, is_superuser=True)
    async with database.writer() as session:
        assert [await load(session, superuser.id), await load(session, superuser.id)] == [3, 0]
    async with database.reader() as session:
        assistants = list(await session.scalars(select(Assistant)))
    assert {assistant.name for assistant in assistants} == {"Plain writing", "Study partner"}
    assert {assistant.owner_id for assistant in assistants} == {superuser.id}


async def test_clear_deletes_renamed_demo_rows(database: Database) -> None:
    superuser = await make_user(database, is_superuser=True)
    async with database.writer() as session:
        await load(session, superuser.id)
        (await session.scalars(select(Prompt))).one().name = "Renamed"
    async with database.writer() as session:
        assert await clear(session) == 3
        assert (await session.scalars(select(Prompt))).all() == []


def test_translated_prompt_has_variables() -> None:
    with use_language("de"):
        assert list(variables_of(str(PROMPT_TEXT))) == ["Länge", "Leser", "Text"]
