"""Invalid texts for foreign keys: forms and imports refuse them with a message."""

import json
from html import unescape
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.opportune.admin.novel_feature import make_genres, novels
from tests.opportune.contrib.import_export.import_steps import upload_file
from tests.opportune.site_with import site_fixture

INVALID_ID = "Choose one from the list, or enter its number."
ENTRY_MISSING = "The selected entry no longer exists."


app = site_fixture(novels, make_genres)


async def collect_refusals(admin: AsyncClient, model: str, row: dict[str, Any]) -> list[str]:
    """Return the page of the form and of the import; instead of it the status if the value is accepted."""
    form = await admin.post(f"/admin/{model}/create", data=row)
    file = await upload_file(admin, f"/admin/{model}/import", json.dumps([row]), "rows.json")
    is_refused = form.status_code == 400, "Lines with errors" in file.text
    return [
        unescape(page.text) if refused else str(page.status_code)
        for page, refused in zip((form, file), is_refused, strict=True)
    ]


async def test_invalid_integer_key_is_refused(admin: AsyncClient) -> None:
    for text, message in {"Emma": INVALID_ID, "0": INVALID_ID, "9" * 30: INVALID_ID, "7": ENTRY_MISSING}.items():
        for page in await collect_refusals(admin, "copy", {"label": "Mine", "novel_id": text}):
            assert message in page, text


@pytest.mark.database("postgresql")  # SQLite would compare a number with a text
async def test_other_keys_are_checked_by_the_database(admin: AsyncClient) -> None:
    for column, text, message in (
        ("language", "xx", ENTRY_MISSING),
        ("shelf_id", "7", ENTRY_MISSING),
        ("shelf_id", "A", "Please give a whole number."),
    ):
        for page in await collect_refusals(admin, "novel", {"title": "Emma", column: text}):
            assert message in page, (column, text)
            assert "must be between" not in page, "text is not compared as a number"
    assert (await admin.post("/admin/novel/create", data={"title": "Emma", "save": "Save"})).status_code == 303
