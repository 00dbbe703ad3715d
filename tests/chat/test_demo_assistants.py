"""The demo assistants."""

from app.chat.demo_assistants import PROMPT_TEXT, clear, load
from opportune.contrib.assistants.variables import variables_of
from opportune.db import Database
from opportune.i18n import use_language
from opportune.testing import make_user


async def test_second_load_adds_no_assistants(database: Database) -> None:
    superuser = await make_user(database, is_superuser=True)
    async with database.writer() as session:
        assert [await load(session, superuser.id), await load(session, superuser.id)] == [3, 0]
        assert await clear(session) == 3


def test_translated_prompt_has_variables() -> None:
    with use_language("de"):
        assert list(variables_of(str(PROMPT_TEXT))) == ["Länge", "Leser", "Text"]
