"""Import of rows: preview first, then all rows or none."""

import json
import re
from collections.abc import Callable
from html import unescape

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import delete, select
from sqlmodel import col

from opportune.admin.errors import ValidationRefused
from opportune.admin.models import AuditEntry
from opportune.contrib.import_export.table import read_table
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.admin.gadget_feature import Gadget, MakerAdmin
from tests.opportune.contrib.import_export.import_steps import confirm_preview, read_faults, upload_file
from tests.opportune.stored_rows import add_rows, execute, read_all

IMPORT = "/admin/gadget/import"
HEADER = "name,maker_id,colour,state,size"
ROW = "a,1,red,new,2"
NEW_VALUES = {"id", "created_at"}


async def upload(admin: AsyncClient, content: str | bytes, name: str = "rows.csv", **choices: str) -> Response:
    return await upload_file(admin, IMPORT, content, name, **choices)


async def read_gadgets(app: FastAPI) -> list[Gadget]:
    return await read_all(app, select(Gadget).order_by(col(Gadget.id)))


async def test_import_is_previewed_then_stored(app: FastAPI, admin: AsyncClient) -> None:
    form = (await admin.get(IMPORT)).text
    assert 'data-largest="10000000" data-too-large="Please choose a file of at most 10000 kB."' in form
    preview = await upload(admin, f'\ufeff{HEADER},notes\nfirst,1,red,new,2,"two\nlines"\nsecond,2,deep_blue,used,3,\n')
    assert preview.status_code == 200
    assert "rows.csv adds 2 gadgets." in preview.text
    assert await read_gadgets(app) == []
    assert (await confirm_preview(admin, preview)).headers["location"] == "/admin/gadget/list"
    assert "Imported 2 gadgets." in (await admin.get("/admin/gadget/list")).text
    stored = [(row.name, row.maker_id, row.state, row.notes) for row in await read_gadgets(app)]
    assert stored == [("first", 1, "new", "two\nlines"), ("second", 2, "used", "")]
    logged = [(entry.action, entry.title) for entry in await read_all(app, select(AuditEntry))]
    assert logged.count(("import", "2 rows of rows.csv")) == 1
    assert [action for action, _ in logged].count("create") == 2


async def test_export_can_be_imported(app: FastAPI, admin: AsyncClient) -> None:
    full = {"weight": "12.50", "ratio": "0.5", "made_on": "2026-02-28", "seen_at": "2026-02-28 23:59:59"}
    values = {"name": "=formula", "maker_id": "1", "colour": "deep_blue", "state": "new", "size": "2", "spare_id": "2"}
    await admin.post("/admin/gadget/create", data=values | full | {"data": "-1", "save": "Save"})
    (before,) = await read_gadgets(app)
    for format_ in ("csv", "json"):
        exported = (await admin.get(f"/admin/gadget/export/{format_}")).content
        await execute(app, delete(Gadget))
        preview = await upload(admin, exported, f"gadgets.{format_}")
        await confirm_preview(admin, preview)
        (after,) = await read_gadgets(app)
        assert after.model_dump(exclude=NEW_VALUES) == before.model_dump(exclude=NEW_VALUES), format_


async def test_faults_of_csv_lines_are_reported(app: FastAPI, admin: AsyncClient) -> None:
    valid_line = "fine,1,red,new,2"
    lines = ["gizmo,1,red,new,2", "far,999,red,new,2", ",1,red,new,2", "c,1,green,new,2", "d,x,red,new,many"]
    page = await upload(admin, "\n".join([HEADER, valid_line, *lines]))
    text = unescape(page.text)
    assert "Lines with errors: 5. Nothing was imported." in text
    for message in (
        "Line 3: Name: A gizmo is no gadget.",
        "Line 5: Name: ",
        "Line 6: Colour: Choose one of: Red, Deep blue.",
        "Line 7: Size: Please enter a whole number. Maker: Choose one from the list, or enter its number.",
    ):
        assert message in text
    text = unescape((await upload(admin, "\n".join([HEADER, valid_line, valid_line, lines[1], "x,1,red,new,13"]))).text)
    assert "Line 3: Name: This value is already in use." in text
    assert "Line 4: " in text
    assert "The selected entry no longer exists" in text
    assert "Line 5: The database does not allow this value." in text.replace("Line 5: Size: ", "Line 5: ")
    assert await read_gadgets(app) == []


async def test_faults_of_json_rows_are_reported(app: FastAPI, admin: AsyncClient) -> None:
    valid_row = {"maker_id": 1, "colour": "red", "state": "new", "size": 2, "not stored \0\ud800": 1}
    invalid_values: list[tuple[str, object]] = [
        *(("notes", "nul \0"), ("notes", "\ud800"), ("maker_id", {"a": 1}), ("maker_id", 2**70)),
        *(("size", [1]), ("size", True), ("size", "9" * 5000), ("weight", "NaN"), ("weight", "1e999999")),
        *(("seen_at", "yesterday"), ("made_on", "9999-99-99"), ("name", "x" * 21), ("name", "\ud800")),
    ]
    rows = [valid_row | {"name": str(number), name: value} for number, (name, value) in enumerate(invalid_values)]
    page = await upload(admin, json.dumps(rows), "rows.json", updates="1")
    faults = read_faults(page)
    for number, (name, value) in enumerate(invalid_values, 1):
        label = name.partition("_id")[0].replace("_", " ").capitalize()
        assert faults[number].startswith(f"{label}: "), (name, value)
    for phrase in ("invalid literal", "Exceeds the limit", "Input should", "Decimal input", "Traceback"):
        assert phrase not in page.text
    assert await read_gadgets(app) == []


async def test_unsuitable_files_are_refused(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.opportune.admin.gadget_feature.GadgetAdmin.max_import_file_size", 150)
    for content, message in (
        ("name\na", "These fields need a column: Maker."),
        ("created_by,api_key\na,b", "Choose a field for at least one column."),
        ("a" * 151, "Please choose a file of at most 150 bytes."),
        ("name;size\n\0;1", "This file is not a text."),
    ):
        page = await upload(admin, content)
        assert page.status_code == 400, message
        assert message in unescape(page.text)
    assert "Please choose a file." in (await admin.post(IMPORT, data={})).text
    assert await read_gadgets(app) == []


async def test_constraint_error_after_preview_stores_nothing(app: FastAPI, admin: AsyncClient) -> None:
    preview = await upload(admin, f"{HEADER}\nfirst,1,red,new,2\ntaken,1,red,new,2\n")
    await add_rows(app, Gadget(name="taken", maker_id=1))
    assert (await confirm_preview(admin, preview)).status_code == 303
    assert "Line 3: Name: This value is already in use." in (await admin.get(preview.url.path)).text
    assert [row.name for row in await read_gadgets(app)] == ["taken"]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "rows.csv", "This file has no rows."),
        (f"{HEADER}\n{ROW}", "rows.txt", "Please choose a file whose name ends in .csv, .xlsx or .json."),
        (f"{HEADER}\n{ROW},1", "rows.csv", "Line 2 has more cells than the first line."),
        (f"{HEADER},\n{ROW},x", "rows.csv", "Line 2 has a text in column 6, which has no heading."),
        (f'{HEADER}\n"a,1', "rows.csv", "cannot be read"),
        (f"{HEADER}\n{'a' * 200_000}", "rows.csv", "a cell has more than 131,072 characters"),
        ("{", "rows.json", "This file is not valid JSON."),
        ("[" * 100_000, "rows.json", "This file is not valid JSON."),
        ("[1]", "rows.json", "This file is not a list of objects"),
        ('[{"name": ' + "9" * 5000 + "}]", "rows.json", "This file is not valid JSON."),
        (f"{HEADER}\n{ROW}\n{ROW}\n{ROW}\n{ROW}", "rows.csv", "This file has more than 3 rows."),
    ],
)
def test_unreadable_file_is_refused(content: str, name: str, message: str) -> None:
    with pytest.raises(ValidationRefused, match=re.escape(message)):
        read_table(name, content.encode(), max_rows=3)


def test_many_columns_need_little_memory(traced_memory: Callable[[], int]) -> None:
    csv = ",".join(map(str, range(5_000))) + "\n1" * 2_000
    for name, content in (("json", json.dumps([{f"name {number}": number} for number in range(2_000)])), ("csv", csv)):
        with pytest.raises(ValidationRefused, match="more than 200 columns"):
            read_table(f"rows.{name}", content.encode(), max_rows=2_000)
    assert traced_memory() < 5_000_000


@pytest.mark.parametrize(
    ("content", "number"),
    [
        ("name;notes\nfirst;'-1\n", 2),
        ('"sep=|"\nname|notes\nfirst|-1', 3),
        (" name , notes ,,\n\n,,,\nfirst,-1,, \n,,,\n", 4),
        ('\n\n"name";"notes"\n"first";-1;;', 4),
    ],
)
def test_files_of_spreadsheets_are_read(content: str, number: int) -> None:
    table = read_table("ROWS.CSV", content.encode(), max_rows=1)
    assert table.header == ["name", "notes"]
    assert [(row.number, row.cells) for row in table.rows] == [(number, ["first", "-1"])]


@pytest.mark.language("de")
async def test_labels_are_read_as_headings(app: FastAPI, admin: AsyncClient, language: str) -> None:
    preview = await upload(admin, "Name;MAKER;Made on;ID\na;1;31.12.2026;9")
    assert (await confirm_preview(admin, preview)).status_code == 303
    assert [(row.name, row.maker_id, str(row.made_on)) for row in await read_gadgets(app)] == [("a", 1, "2026-12-31")]
    assert "Name, name" in (await upload(admin, "Name;name;maker_id\na;b;1", column_1="name")).text


@pytest.mark.language("de", "ar")
async def test_refusals_are_translated(admin: AsyncClient, language: str) -> None:
    refused_line = "\0" if language == "de" else "c,1,green,new,2"
    message = {"de": "Diese Datei ist kein Text.", "ar": "\u2068Colour\u2069: "}[language]
    assert message in (await upload(admin, f"{HEADER}\n{refused_line}")).text


async def test_import_needs_can_import(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"file": ("rows.csv", "name\nNew\n")}
    for path in ("maker", "user", "session"):
        assert (await admin.get(f"/admin/{path}/import")).status_code == 403
        assert (await admin.post(f"/admin/{path}/import", files=files)).status_code == 403
    assert "/admin/maker/import" not in (await admin.get("/admin/maker/list")).text
    assert (await admin.post(IMPORT, files=files, headers={"origin": "https://evil.example"})).status_code == 403
    preview = await upload(admin, f"{HEADER}\nfirst,1,red,new,2\n")
    monkeypatch.setattr(MakerAdmin, "can_import", True)
    assert (await admin.get(preview.url.path.replace("gadget", "maker"))).status_code == 404
    async with signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as colleague:
        for suffix in ("", "/errors.csv"):
            assert (await colleague.get(preview.url.path + suffix)).status_code == 404
        assert (await colleague.post(preview.url.path, data={"action": "import"})).status_code == 404
    assert await read_gadgets(app) == []


async def test_import_keeps_values_missing_in_the_file(app: FastAPI, admin: AsyncClient) -> None:
    await confirm_preview(admin, await upload(admin, f"{HEADER},seen_at\nfirst,1,red,new,2,2026-02-28 23:59:59\n"))
    (before,) = await read_gadgets(app)
    preview = await upload(admin, "name,size\nfirst,7\n", updates="1")
    assert (await confirm_preview(admin, preview)).status_code == 303
    (after,) = await read_gadgets(app)
    assert after.size == 7
    assert after.model_dump(exclude={"size"}) == before.model_dump(exclude={"size"})
