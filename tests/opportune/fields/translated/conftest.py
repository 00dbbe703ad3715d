"""A site in English, German and Arabic with translated texts."""

import pytest
from fastapi import FastAPI

from opportune.fields import TranslatedText
from tests.opportune.fields.translated.poems_feature import Poem, poems
from tests.opportune.site_with import site_fixture

GERMAN = {"accept-language": "de"}
app = site_fixture(poems, language="en", languages=["de", "en", "ar"])


@pytest.fixture
async def poem(app: FastAPI) -> Poem:
    """An English and German poem, before an English one."""
    async with app.state.database.writer() as session:
        row = Poem(title=TranslatedText({"en": "Zebra", "de": "Adler"}), about="Stripes")
        session.add(row)
        await session.flush()
        session.add(Poem(title="Mouse"))
        await session.flush()
        return row


async def read_texts(app: FastAPI, row_id: int = 1) -> dict[str, object]:
    async with app.state.database.reader() as session:
        row = await session.get_one(Poem, row_id)
        return {name: getattr(getattr(row, name), "texts", None) for name in ("title", "about", "note")}
