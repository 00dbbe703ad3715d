"""Excel files: imports, exports, and workbooks that are refused."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.admin.errors import ValidationRefused
from opportune.contrib.import_export import export, workbooks
from opportune.contrib.import_export.table import OLE_SIGNATURE, read_table
from tests.opportune.contrib.import_export import import_steps
from tests.opportune.contrib.import_export.test_import import IMPORT, read_gadgets, upload

HEADER = ["Name", "Maker", "Size", "Weight", "Made on", "Seen at", "Data"]
DAY, MOMENT = datetime.fromisoformat("2026-12-31"), datetime.fromisoformat("2026-12-31 05:06:07")
ROW = ["first", "Acme", 3.0, 1.5, DAY, MOMENT, "=1+1"]


def make_workbook(*rows: list[Any], change: Callable[[Any], object] = id) -> bytes:
    workbook, file = openpyxl.Workbook(), io.BytesIO()
    for number, row in enumerate(rows, 1):
        for position, value in enumerate(row, 1):
            cell = workbook.active.cell(number, position, value)
            cell.data_type = "s" if isinstance(value, str) else cell.data_type
    change(workbook)
    workbook.save(file)
    return file.getvalue()


async def test_workbook_is_imported(app: FastAPI, admin: AsyncClient) -> None:
    await import_steps.confirm_preview(admin, await upload(admin, make_workbook(HEADER, ROW), "rows.xlsx"))
    (row,) = await read_gadgets(app)
    assert (row.name, row.maker_id, row.size, row.weight, row.data) == ("first", 1, 3, Decimal("1.50"), "=1+1")
    assert (row.made_on, row.seen_at) == (DAY.date(), MOMENT.replace(tzinfo=UTC))


async def test_export_has_typed_cells(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await import_steps.confirm_preview(admin, await upload(admin, make_workbook(HEADER, ROW), "rows.xlsx"))
    response = await admin.get("/admin/gadget/export/xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(response.content)).active
    header, values = sheet.iter_rows()
    cells = {name.value: cell for name, cell in zip(header, values, strict=True)}
    assert (cells["data"].value, cells["data"].data_type, cells["notes"].data_type) == ("=1+1", "s", "n")
    assert [cells[name].value for name in ("size", "weight", "state")] == [3, 1.5, "new"]
    assert cells["made_on"].value == DAY
    assert cells["seen_at"].is_date
    monkeypatch.setattr(export, "MAX_SHEET_ROWS", 1)
    await admin.get("/admin/gadget/export/xlsx")
    assert "An Excel sheet has at most 0 rows, and this list has more." in (await admin.get("/admin/gadget/list")).text


async def test_reimported_export_changes_nothing(app: FastAPI, admin: AsyncClient) -> None:
    row = {"seen_at": "2026-12-31 03:04:05.678901", "story": "a", "notes": "x" * 40_000}
    rows = json.dumps([{"name": "first", "maker_id": 1, **row}])
    await import_steps.confirm_preview(admin, await upload(admin, rows, "rows.json"))
    exported = (await admin.get("/admin/gadget/export/xlsx")).content
    assert "changes 0 and keeps 1" in import_steps.extract_text(await upload(admin, exported, "rows.xlsx", updates="1"))
    workbook = openpyxl.load_workbook(io.BytesIO(exported))
    names = [cell.value for cell in workbook.active[1]]
    workbook.active.cell(2, names.index("story") + 1, "b")
    file = io.BytesIO()
    workbook.save(file)
    await import_steps.confirm_preview(admin, await upload(admin, file.getvalue(), "rows.xlsx", updates="1"))
    (gadget,) = await read_gadgets(app)
    seen_at = MOMENT.replace(hour=3, minute=4, second=5, microsecond=678901, tzinfo=UTC)
    assert (gadget.story, gadget.seen_at, len(gadget.notes)) == ("b", seen_at, 40_000)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (2**60, str(2**60)),
        (float("inf"), "inf"),
        (date(1850, 1, 2), "1850-01-02"),
        (datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), datetime.fromisoformat("2026-01-02 03:04:05.678")),
        (datetime.fromisoformat("2026-12-31 23:59:59.999999"), datetime.fromisoformat("2026-12-31 23:59:59.999")),
        (time(1, 2, 3, 4), "01:02:03.000004"),
        ("a\x00b", "a\ufffdb"),
        ("x" * 40_000, "x" * 32_766 + "…"),
    ],
)
def test_values_are_stored_as_excel_can(value: object, stored: object) -> None:
    assert workbooks.excel_value(value) == stored


def archive(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in members.items():
            written.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return file.getvalue()


def test_merged_cells_of_another_sheet_are_accepted() -> None:
    content = make_workbook(HEADER, ROW, change=lambda book: book.create_sheet("Notes").merge_cells("A1:B1"))
    assert len(read_table("rows.xlsx", content, max_rows=3).rows) == 1


def workbook_with(column: int, value: str) -> bytes:
    """Return a workbook with this value in its second row, of the type that Excel detects."""
    return make_workbook(HEADER, ROW, change=lambda workbook: workbook.active.cell(2, column, value))


@pytest.mark.parametrize(
    ("make_content", "message"),  # large files, which only the process of the test makes
    [
        (lambda: OLE_SIGNATURE + b"\0" * 3000, "has a password or the old format"),
        (lambda: b"PK\x03\x04damaged", "is damaged"),
        (lambda: archive(xl__workbook_xml=b"<workbook"), "is damaged"),
        (lambda: archive(xl__workbook_xml=b"", bomb=b"\0" * 100_000_001), "too large when it is unpacked"),
        (lambda: archive(xl__workbook_xml=b'<?xml version="1.0" encoding="gbk"?><a/>'), "is damaged"),
        (lambda: archive(xl__workbook_xml=b"", row=b"<row>" + b"<c/>" * 500_001), "too large when it is unpacked"),
        (lambda: archive(xl__workbook_xml=b"", xl__worksheets__sheet1_xml=b'<c r="A1" ' * 50_000), "is damaged"),
        (lambda: make_workbook(HEADER), "has no rows"),
        (lambda: make_workbook(HEADER, ROW, change=lambda book: book.active.merge_cells("A1:B1")), "has merged cells"),
        (lambda: workbook_with(1, "=1+1"), "Cell A2 has a formula without a result"),
        (lambda: workbook_with(2, "#N/A"), "Cell B2 has the error #N/A"),
        (lambda: make_workbook([*map(str, range(10_000))], [1]), "more than 200 columns"),
        (lambda: workbook_with(202, "x"), "more than 200 columns"),
        (lambda: make_workbook([], HEADER, ROW, [], *[ROW] * 3), "more than 3 rows"),
    ],
)
def test_unsuitable_workbook_is_refused(make_content: Callable[[], bytes], message: str) -> None:
    with pytest.raises(ValidationRefused, match=message):
        read_table("rows.xlsx", make_content(), max_rows=3)


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("xl__sharedStrings_xml", (b"<row>" + b"<si/>" * 600 + b"</row>") * 2),
        ("xl__worksheets__sheet1_xml", (b'<row xmlns="urn:other">' + b"<c/>" * 600 + b"</row>") * 2),
        ("xl__worksheets__sheet1_xml", b"<row>" + b"<c/>" * 1_000 + b"</row>"),
        ("xl__worksheets___rels__sheet1_xml", (b"<row>" + b"<c/>" * 600 + b"</row>") * 2),
    ],
)
def test_elements_that_stay_in_memory_are_limited(monkeypatch: pytest.MonkeyPatch, part: str, content: bytes) -> None:
    monkeypatch.setattr(workbooks, "MAX_ELEMENTS", 1_000)
    xml = b'<a xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">' + content + b"</a>"
    with pytest.raises(ValidationRefused, match="too large when it is unpacked"):
        read_table("rows.xlsx", archive(xl__workbook_xml=b"", **{part: xml}), max_rows=3)


@pytest.mark.parametrize(
    "part",
    [
        b'<Override PartName="/xl/worksheets/a.xml" ContentType="application/vnd.spreadsheetml.sharedStrings+xml"/>',
        b'<Override PartName="/xl/worksheets/a.xml" ContentType="application/vnd.spreadsheetml.sheet.m&#97;in+xml"/>',
        b'<Relationship Target="worksheets/a.xml" Type="http://relationships/chartsheet" Id="a"/>',
        b'<Relationship Target="worksheets/a.xml" type="chartsheet" Id="a"/>',
        b'<!DOCTYPE a [<!ENTITY b "text">]><a/>',
    ],
)
def test_parts_that_exceed_their_size_are_refused(part: bytes) -> None:
    file = io.BytesIO(make_workbook(HEADER, ROW))
    with zipfile.ZipFile(file, "a") as workbook:
        workbook.writestr("part.xml", part)
    with pytest.raises(ValidationRefused, match="is damaged"):
        read_table("rows.xlsx", file.getvalue(), max_rows=3)


async def test_faulty_rows_of_a_workbook_can_be_downloaded(admin: AsyncClient) -> None:
    preview = await upload(admin, make_workbook(HEADER, [*ROW[:2], "many", *ROW[3:]]), "rows.xlsx")
    file = (await admin.get(f"{preview.url.path}/errors.xlsx")).content
    _, row = openpyxl.load_workbook(io.BytesIO(file)).active.iter_rows(values_only=True)
    assert row[-1].startswith("Size: Please enter a whole number")
    page = await import_steps.open_columns(admin, IMPORT, file, "again.xlsx")
    assert "Line 2: Size:" in import_steps.extract_text(await import_steps.choose_columns(admin, page))


def test_elements_of_earlier_rows_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "MAX_ELEMENTS", 1_000)
    content = make_workbook(HEADER, *[ROW] * 200)
    assert len(read_table("rows.xlsx", content, max_rows=200).rows) == 200
