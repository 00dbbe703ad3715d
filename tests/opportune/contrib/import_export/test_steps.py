"""Steps of an import: columns, errors, the valid rows only, jobs, and files to download."""

import csv
import io
import re
from contextlib import suppress
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect
from sqlalchemy import delete, select, update
from sqlmodel import col

from opportune.accounts.models import User
from opportune.admin.models import ImportFile
from opportune.contrib.import_export import import_run, import_view
from opportune.contrib.import_export.import_rows import ImportPlan
from opportune.jobs import PermanentFailure
from opportune.jobs.management import cancel
from opportune.jobs.models import Job
from opportune.testing import RecordedJobs, add_permission, sign_in_browser, signed_in_client
from opportune.testing.services.accessibility import find_violations
from tests.opportune.admin.gadget_feature import Gadget
from tests.opportune.contrib.import_export import import_steps
from tests.opportune.contrib.import_export.test_import import IMPORT, read_gadgets, upload
from tests.opportune.stored_rows import execute, make_staff, read_all

ROWS = "name,maker_id,size\nfirst,1,1\nsecond,999,2\nthird,1,many\n"


async def read_names(app: FastAPI) -> list[str]:
    return [row.name for row in await read_gadgets(app)]


async def test_columns_are_matched_by_similar_and_remembered_headings(app: FastAPI, admin: AsyncClient) -> None:
    content = "Names;Maker;What;Other\nfirst;100% Ltd;7;x\n"
    page = await import_steps.open_columns(admin, IMPORT, content)
    assert import_steps.read_choices(page)["column"] == ["name", "maker", "", ""]
    shown = await import_steps.choose_columns(admin, page, "look", column_3="size", column_1="")
    assert "Required fields without a column: Name" in import_steps.extract_text(shown)
    shown = await import_steps.choose_columns(admin, page, "look", column_3="size")
    assert "Line NameMakerSize 2first100% Ltd7" in import_steps.extract_text(shown).replace("Line", "Line ")
    await import_steps.confirm_preview(admin, await import_steps.choose_columns(admin, shown))
    assert [(row.name, row.maker_id, row.size) for row in await read_gadgets(app)] == [("first", 2, 7)]
    page = await import_steps.open_columns(admin, IMPORT, content)
    assert import_steps.read_choices(page)["column"] == ["name", "maker", "size", ""]


async def test_columns_can_be_changed_after_the_preview(app: FastAPI, admin: AsyncClient) -> None:
    path = f"{IMPORT}?columns=id,name&size=1"
    preview = await import_steps.open_columns(admin, path, "name,maker_id\nfirst,1\n")
    assert "Import 1 gadget" in preview.text
    link = re.findall(r'href="([^"]*step=columns[^"]*)"', preview.text)[0]
    checked = await import_steps.choose_columns(admin, await admin.get(unescape(link)))
    assert "Import 1 gadget" in checked.text
    assert 'gadget/list?columns=id%2Cname&amp;size=1"' in checked.text
    await execute(app, update(ImportFile).values(content=b""))  # as old files are
    for action in ("look", "import"):
        assert (await admin.post(checked.url, data={"action": action})).status_code == 404, action


async def test_rows_are_found_by_title_or_number(app: FastAPI, admin: AsyncClient) -> None:
    for maker in ("Acme", "1"):
        preview = await upload(admin, f"Name,Maker\n{maker},{maker}\n")
        for _ in range(2):
            await admin.post(preview.url.path, data={"action": "import"})
    assert [row.maker_id for row in await read_gadgets(app)] == [1, 1], "an import runs once"
    assert await read_all(app, select(col(ImportFile.content))) == [b"", b""]
    assert "No Maker is named “Nobody”." in import_steps.extract_text(await upload(admin, "Name,Maker\nthird,Nobody\n"))


async def test_encodings_of_spreadsheets_are_read(app: FastAPI, admin: AsyncClient) -> None:
    for content, note in (
        ("name;maker_id\nMüller;1\n".encode("utf-16"), ""),
        ("name\tmaker_id\nMüller\t1\n".encode("utf-16-le"), ""),
        ("name,maker_id\nMüller,1\n".encode("utf-8-sig"), ""),
        ("name;maker_id\nMüller;1\n".encode("cp1252"), "is read as cp1252"),
    ):
        page = await import_steps.open_columns(admin, IMPORT, content)
        assert note in import_steps.extract_text(page)
        await import_steps.confirm_preview(admin, await import_steps.choose_columns(admin, page))
        assert await read_names(app) == ["Müller"]
        await execute(app, delete(Gadget))


async def test_lines_with_errors_are_corrected_and_imported(app: FastAPI, admin: AsyncClient) -> None:
    preview = await upload(admin, ROWS)
    assert (await import_steps.confirm_preview(admin, preview)).headers["location"] == preview.url.path
    assert "Imported 1 gadget." in import_steps.extract_text(await admin.get(preview.url.path))
    assert await read_names(app) == ["first"]
    file = (await admin.get(f"{preview.url.path}/errors.csv")).content.decode("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(file))
    assert header == ["name", "maker_id", "size", "Import error"]
    assert [row[:3] for row in rows] == [["second", "999", "2"], ["third", "1", "many"]]
    assert rows[1][3].startswith("Size: Please enter a whole number")
    corrected = file.replace("999", "2").replace("many", "3")
    await import_steps.confirm_preview(admin, await upload(admin, corrected))
    assert await read_names(app) == ["first", "second", "third"]


@pytest.fixture
def jobs(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> RecordedJobs:
    """The jobs of imports with three rows or more."""
    monkeypatch.setattr(import_view, "LARGE_FILE_ROWS", 3)
    state = app.state
    return RecordedJobs(state.settings, state.database, state.storage, features=state.features)


async def test_large_file_is_imported_by_a_job(app: FastAPI, admin: AsyncClient, jobs: RecordedJobs) -> None:
    page = await upload(admin, ROWS.replace("999", "2").replace("many", "3"))
    assert "rows.csv is being checked: row 0 of 3." in import_steps.extract_text(page)
    assert jobs.names == ["import_export.process"]
    await jobs.work()
    preview = await admin.get(page.url.path)
    assert "rows.csv adds 3 gadgets." in import_steps.extract_text(preview)
    assert await read_names(app) == []
    assert (await import_steps.confirm_preview(admin, preview)).headers["location"] == page.url.path
    assert "rows.csv is being imported" in import_steps.extract_text(await admin.get(page.url.path))
    await jobs.work()
    result = await admin.get(page.url.path)
    assert "Imported 3 gadgets." in import_steps.extract_text(result)
    assert await read_names(app) == ["first", "second", "third"]
    (undo,) = [part.partition('"')[0] for part in result.text.split('action="') if "/undo" in part.partition('"')[0]]
    await admin.post(undo.replace("&amp;", "&"))
    assert await read_names(app) == []


async def test_deactivated_user_imports_nothing(app: FastAPI, admin: AsyncClient, jobs: RecordedJobs) -> None:
    preview = await upload(admin, ROWS.replace("999", "2").replace("many", "3"))
    await jobs.work()
    await import_steps.confirm_preview(admin, preview)
    await execute(app, update(User).values(is_active=False))
    await jobs.work()
    assert await read_names(app) == []


async def test_file_is_imported_once_by_overlapping_attempts(
    app: FastAPI, admin: AsyncClient, jobs: RecordedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    preview = await upload(admin, ROWS.replace("999", "2").replace("many", "3"))
    await jobs.work()
    await import_steps.confirm_preview(admin, preview)
    plan_import = import_run.plan_import

    async def plan_while_another_attempt_ends(*arguments: Any) -> ImportPlan:
        await execute(app, update(ImportFile).values(state="imported"))
        return await plan_import(*arguments)

    monkeypatch.setattr(import_run, "plan_import", plan_while_another_attempt_ends)
    await jobs.work()
    assert await read_names(app) == []


async def test_late_fault_keeps_the_rows(
    admin: AsyncClient, jobs: RecordedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    preview = await upload(admin, ROWS.replace("999", "2").replace("many", "3"))
    await jobs.work()
    await import_steps.confirm_preview(admin, preview)
    monkeypatch.setattr("opportune.contrib.import_export.import_run._run_hooks", None)
    with pytest.raises(PermanentFailure):
        await jobs.work()
    assert "Imported 3 gadgets." in import_steps.extract_text(await admin.get(preview.url.path))


async def test_abandoned_import_is_repeated(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    preview = await upload(admin, "name,maker_id\nfirst,1\n")
    with monkeypatch.context() as patch:
        patch.setattr(import_run, "process", None)
        with suppress(TypeError):
            await import_steps.confirm_preview(admin, preview)
    await import_steps.confirm_preview(admin, await admin.get(preview.url.path))
    assert await read_names(app) == ["first"]


async def test_cancelled_job_ends_its_import(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_view, "LARGE_FILE_ROWS", 3)
    page = await upload(admin, ROWS)
    assert "is being checked" in import_steps.extract_text(page)
    (job_id,) = await read_all(app, select(col(Job.id)))
    async with app.state.database.writer() as session:
        await cancel(session, job_id)
    ended = import_steps.extract_text(await admin.get(page.url.path))
    assert "The import was cancelled. Nothing was stored." in ended
    assert "is being checked" not in ended


async def test_import_needs_permission_to_write(app: FastAPI, admin: AsyncClient) -> None:
    staff = await make_staff(app, "gadget.import", "gadget.list")
    await import_steps.confirm_preview(admin, await upload(admin, "name,maker_id\nfirst,1\n"))
    async with signed_in_client(app, staff) as browser:
        for path in (IMPORT, f"{IMPORT}/sample.csv", f"{IMPORT}/1", f"{IMPORT}/1/errors.csv"):
            assert (await browser.get(path)).status_code == 403, path
        assert IMPORT not in (await browser.get("/admin/gadget/list")).text
        await add_permission(app.state.database, staff, "gadget", "update")
        await add_permission(app.state.database, staff, "maker", "get")
        assert "Acme" not in (await browser.get(f"{IMPORT}/sample.csv")).text, "which lists the first makers"
        page = await import_steps.upload_file(browser, IMPORT, "name,size\nfirst,5\nnew,6\n", updates="1")
        assert "Line 3: You may not add rows, only change those that exist." in import_steps.extract_text(page)
        await import_steps.confirm_preview(browser, page)
    assert [(row.name, row.size) for row in await read_gadgets(app)] == [("first", 5)]


@pytest.mark.usefixtures("running_jobs")
async def test_steps_of_an_import(
    app: FastAPI, page: Page, superuser: User, site: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(import_view, "LARGE_FILE_ROWS", 1)
    await sign_in_browser(page, app, superuser, site)
    await page.goto(IMPORT)
    assert await find_violations(page) == []
    path = tmp_path / "a.csv"
    path.write_text("name;maker;made_on\nfirst;Acme;03/04/2026\n")
    await page.get_by_label("File").set_input_files(path)
    await page.get_by_role("button", name="Continue").click()
    rows = page.get_by_role("region", name="Rows")
    await expect(rows).to_contain_text("4 Mar 2026")
    await page.wait_for_load_state()  # htmx only reacts to changes after the page was loaded
    await page.get_by_label("Format of made_on").select_option("dMy")
    await expect(rows).to_contain_text("3 Apr 2026")
    await expect(page.get_by_role("heading", name="Import Gadgets")).to_be_visible()
    assert await find_violations(page) == []
    await page.get_by_role("button", name="Check all rows").click()
    await expect(page.locator("#import")).to_contain_text("a.csv adds 1 gadget.")
    assert await find_violations(page) == []
    await page.get_by_role("button", name="Import 1 gadget").click()
    await expect(page.locator("#import")).to_contain_text("Imported 1 gadget.")
    await expect(page.get_by_role("heading", name="Import Gadgets")).to_be_visible()
    assert await find_violations(page) == []
