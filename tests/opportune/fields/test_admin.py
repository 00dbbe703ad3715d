"""Field types in the admin: forms, lists, import and export."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from tests.opportune.contrib.import_export.import_steps import confirm_preview, upload_file
from tests.opportune.fields.samples_feature import FORM_TEXTS, Sample, Status
from tests.opportune.storage.pictures import photo
from tests.opportune.stored_rows import read_all

SAMPLE_FORM = FORM_TEXTS | {"save": "Save"}
SUMMER_TIME = {"starts_at": "2026-07-01 14:00:00", "starts_at.zone": "Europe/Vienna"}


async def read_samples(app: FastAPI) -> list[Sample]:
    return await read_all(app, Sample)


@pytest.mark.language("de")
async def test_filter_reads_amount_with_currency(admin: AsyncClient, language: str) -> None:
    response = await admin.get("/admin/sample/list", params={"price__gte": "12,5 €"})
    assert response.headers["location"] == "/admin/sample/list?price__gte=12.5"


async def test_admin_form_stores_values_by_type(app: FastAPI, admin: AsyncClient) -> None:
    response = await admin.post("/admin/sample/create", data=SAMPLE_FORM, files={"cover": ("a.jpg", photo())})
    assert response.status_code == 303, response.text
    [row] = await read_samples(app)
    expected = ("one-book", Status.FOR_SALE, Decimal("12.50"), "ada@example.com")
    assert (row.slug, row.status, row.price, row.email) == expected
    assert (row.phone, row.country, row.origin) == ("+431711000", "AT", None)
    assert (row.keywords, row.facts) == (["one", "two"], {"a": 1})
    assert (await app.state.storage.read(row.cover.rendition("thumb")))[:4] == b"RIFF"
    list_page = (await admin.get("/admin/sample/list")).text
    assert "EUR\N{NO-BREAK SPACE}12.50" in list_page
    assert "Austria" in list_page
    form_page = (await admin.get(f"/admin/sample/edit/{row.id}")).text
    assert "one\ntwo</textarea>" in form_page
    assert "Clear: keep no file" in form_page
    await admin.post(f"/admin/sample/edit/{row.id}", data=SAMPLE_FORM | {"slug": row.slug, "title": "Two"})
    [changed] = await read_samples(app)
    assert (changed.slug, changed.cover) == (row.slug, row.cover)


async def test_export_can_be_imported(app: FastAPI, admin: AsyncClient) -> None:
    await admin.post("/admin/sample/create", data=SAMPLE_FORM)
    for format_ in ("csv", "json"):
        exported = (await admin.get(f"/admin/sample/export/{format_}?search=one-book")).text
        changed = exported.replace("one-book", f"another-{format_}").replace("One Book", "Another")
        preview = await upload_file(admin, "/admin/sample/import", changed, f"a.{format_}")
        assert "adds 1 sample" in preview.text
        await confirm_preview(admin, preview)
    first, *imported = await read_samples(app)
    assert [(row.slug, row.title) for row in imported] == [("another-csv", "Another"), ("another-json", "Another")]
    names = ("keywords", "facts", "price", "country", "phone")
    for row in imported:
        assert [getattr(row, name) for name in names] == [getattr(first, name) for name in names]


DATETIMES = [
    (SUMMER_TIME, datetime(2026, 7, 1, 12, tzinfo=UTC)),
    ({"starts_at": "2026-07-01 14:00:00"}, datetime(2026, 7, 1, 12, tzinfo=UTC)),
    (SUMMER_TIME | {"starts_at": "2026-10-25 02:30:00"}, datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    (
        {"starts_at": "2026-10-25 02:30:00", "starts_at.zone": "Europe/Vienna again"},
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    ),
]


async def test_datetimes_use_the_users_time_zone(app: FastAPI, admin: AsyncClient) -> None:
    admin.cookies.set("time_zone", "Europe/Vienna")
    for form_data, stored_at in DATETIMES:
        await admin.post("/admin/sample/create", data=SAMPLE_FORM | form_data)
        [*_, row] = await read_samples(app)
        assert row.starts_at == stored_at
        page = (await admin.get(f"/admin/sample/edit/{row.id}")).text
        assert f'value="{stored_at.astimezone(ZoneInfo("Europe/Vienna")):%Y-%m-%dT%H:%M}"' in page
        zones = re.findall(r'name="starts_at.zone" value="([^"]+)"', page)
        starts_at = re.findall(r'value="([^"]+)"[^>]* name="starts_at"', page)
        submitted = {"starts_at": starts_at[0], "starts_at.zone": zones[0]}
        await admin.post(f"/admin/sample/edit/{row.id}", data=SAMPLE_FORM | submitted)
        assert (await read_samples(app))[-1].starts_at == stored_at


async def test_imported_datetimes_are_utc(app: FastAPI, admin: AsyncClient) -> None:
    admin.cookies.set("time_zone", "Europe/Vienna")
    rows = "title,price,starts_at\nOne,1,2026-03-29T02:30:00\n"
    await confirm_preview(admin, await upload_file(admin, "/admin/sample/import", rows))
    assert (await read_samples(app))[0].starts_at == datetime(2026, 3, 29, 2, 30, tzinfo=UTC)
