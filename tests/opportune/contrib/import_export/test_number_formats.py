"""Numbers and dates in imported files, in the language of the user or in machine format."""

from decimal import Decimal

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import delete

from opportune.config.languages import find_language
from tests.opportune.admin.gadget_feature import Gadget
from tests.opportune.contrib.import_export.import_steps import confirm_preview, extract_text, read_choices
from tests.opportune.contrib.import_export.test_import import IMPORT, read_gadgets, upload
from tests.opportune.stored_rows import execute

HEADER = "name;maker_id;size;weight;ratio;made_on"
AMBIGUOUS = "these values also fit another format"


async def import_numbers(app: FastAPI, admin: AsyncClient, *lines: str) -> tuple[str, list[tuple[object, ...]]]:
    """Return the preview, and the numbers that were stored."""
    preview = await upload(admin, "\n".join([HEADER, *lines]))
    assert preview.status_code == 200, extract_text(preview)
    await confirm_preview(admin, preview)
    return preview.text, [(row.size, row.weight, row.ratio, str(row.made_on)) for row in await read_gadgets(app)]


@pytest.mark.language("de")
async def test_german_file_is_read_in_german(app: FastAPI, admin: AsyncClient, language: str) -> None:
    page, rows = await import_numbers(app, admin, "a;1;1.000;1.234,5;1.234;01/02/2026")
    assert rows == [(1000, Decimal("1234.5"), 1234.0, "2026-02-01")]
    for text in (">1000<", ">1.234,50<", ">1.234,0<", ">01.02.2026<"):
        assert text in page


@pytest.mark.language("de")
async def test_mixed_formats_are_refused(admin: AsyncClient, language: str) -> None:
    assert "3: Weight: " in extract_text(await upload(admin, f"{HEADER}\na;1;1;12,5;1;\nb;1;1;12.5;1;"))


@pytest.mark.language("de")
@pytest.mark.parametrize("value", ["weight 1.234,50", "size 1.000", "seen_at 1.2.26 3:04"])
async def test_key_is_read_in_the_format_of_its_column(
    admin: AsyncClient, language: str, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    key, _, cell = value.partition(" ")
    monkeypatch.setattr(Gadget, "natural_key", key, raising=False)
    file = f"name;maker_id;{key}\na;1;{cell}\n"
    await confirm_preview(admin, await upload(admin, file))
    assert "lässt 1 unverändert" in extract_text(await upload(admin, file, updates="1"))
    assert "bereits in Zeile 2" in extract_text(await upload(admin, f"{file}b;1;{cell}", updates="1"))


@pytest.mark.language("de")
async def test_export_is_unambiguous_in_each_language(app: FastAPI, admin: AsyncClient, language: str) -> None:
    await import_numbers(app, admin, "a;1;1000;12,50;1,234;")
    exported = (await admin.get("/admin/gadget/export/csv")).text
    await execute(app, delete(Gadget))
    await confirm_preview(admin, await upload(admin, exported))
    assert [(row.size, row.weight, row.ratio) for row in await read_gadgets(app)] == [(1000, Decimal("12.50"), 1.234)]


async def test_preview_keeps_its_language(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    preview = await upload(admin, f"{HEADER}\na;1;1,000;;;")
    monkeypatch.setattr("opportune.contrib.import_export.import_view.get_language", lambda: find_language("de"))
    await confirm_preview(admin, preview)
    assert [row.size for row in await read_gadgets(app)] == [1000]


async def read_columns(admin: AsyncClient, content: str) -> tuple[list[str], str]:
    """Return the suggested formats of the columns of a file, and the text of the page."""
    response = await admin.post(IMPORT, files={"file": ("rows.csv", content)})
    page = await admin.get(response.headers["location"], params={"step": "columns"})
    return read_choices(page)["format"], extract_text(page)


async def test_order_of_dates_is_guessed_and_shown(admin: AsyncClient) -> None:
    for days, order, is_ambiguous in (
        (("03/04/2026", "31/12/2026"), "dMy", False),
        (("03/04/2026", "12/31/2026"), "Mdy", False),
        (("03/04/2026", "05/06/2026"), "Mdy", True),
        (("03.04.2026", "05.06.2026"), "dMy", True),
        (("2026-04-03", "05/05/2026"), "Mdy", False),
    ):
        formats, text = await read_columns(admin, "name;maker_id;made_on\n" + "".join(f"a;1;{day}\n" for day in days))
        assert formats == ["", "", order], days
        assert (AMBIGUOUS in text) == is_ambiguous, days


async def test_user_chooses_the_format_of_a_column(app: FastAPI, admin: AsyncClient) -> None:
    content = f"{HEADER}\na;1;1.000;1.234,5;1.234;03/04/2026"
    formats, text = await read_columns(admin, content)
    assert formats == ["", "", "de", "de", "de", "Mdy"]
    assert AMBIGUOUS in text
    await confirm_preview(admin, await upload(admin, content, format_5="machine", format_6="dMy"))
    (row,) = await read_gadgets(app)
    assert (row.size, row.weight, row.ratio, str(row.made_on)) == (1000, Decimal("1234.50"), 1.234, "2026-04-03")
