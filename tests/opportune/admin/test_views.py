"""Pages of an AdminView for a model with a column of every type."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from opportune.testing import counted_statements
from tests.opportune.admin.gadget_feature import Colour, Gadget, Maker, gadgets, make_makers
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, count, read_one

CONFIRMED = {"confirmed": "yes"}
VALID_FORM = {"name": "first", "maker_id": "1", "colour": "red", "state": "new", "size": "2", "save": "Save"}
app = site_fixture(gadgets, make_makers)


async def create_gadget(admin: AsyncClient, **fields: str) -> Response:
    return await admin.post("/admin/gadget/create", data=VALID_FORM | fields)


async def read_gadget(app: FastAPI) -> Any:
    return await read_one(app, Gadget)


def extract_error(response: Response, field: str) -> str:
    assert response.status_code == 400, (response.status_code, field)
    text = response.text
    return text.split(f'id="error-{field}">')[1].split("</div>")[0] if f'id="error-{field}">' in text else ""


@pytest.mark.database("sqlite", "postgresql")
async def test_values_of_all_types_are_stored_and_shown(app: FastAPI, admin: AsyncClient) -> None:
    choices = {"colour": "deep_blue", "state": "used", "spare_id": "2"}
    times = {"made_on": "2026-02-28", "seen_at": "2026-02-28 23:59:59"}
    texts = {"weight": "12.50", "ratio": "0.5", "notes": "<b>bold</b> *soft*", "nickname": "", "name": " padded "}
    assert (await create_gadget(admin, **choices, **times, **texts)).status_code == 303
    gadget = await read_gadget(app)
    assert (gadget.colour, gadget.state, gadget.size, gadget.spare_id) == (Colour.DEEP_BLUE, "used", 2, 2)
    assert (gadget.weight, gadget.ratio, gadget.made_on) == (Decimal("12.50"), 0.5, date(2026, 2, 28))
    assert gadget.seen_at == datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
    assert (gadget.name, gadget.nickname) == ("padded", None)
    with counted_statements("FROM test_gadget") as statements:
        details = (await admin.get(f"/admin/gadget/details/{gadget.id}")).text
    assert len(statements) == 1
    assert '<a href="/admin/maker/details/2">100% Ltd</a>' in details
    for text in ("28 Feb 2026, 23:59\N{NO-BREAK SPACE}UTC", "&lt;b&gt;bold&lt;/b&gt; <em>soft</em>", "Gadget 1"):
        assert text in details
    edit = (await admin.get(f"/admin/gadget/edit/{gadget.id}")).text
    for text in ('value="2026-02-28T23:59:59"', 'value="12.50"', "100% Ltd", "&lt;b&gt;bold"):
        assert text in edit


async def test_edit_keeps_missing_fields_and_clears_empty(app: FastAPI, admin: AsyncClient) -> None:
    await create_gadget(admin, weight="1.5", nickname="nick", notes="kept")
    gadget = await read_gadget(app)
    form_data = {"name": "renamed", "maker_id": "2", "nickname": ""}
    assert (await admin.post(f"/admin/gadget/edit/{gadget.id}", data=form_data)).status_code == 303
    changed = await read_gadget(app)
    assert (changed.name, changed.maker_id, changed.nickname) == ("renamed", 2, None)
    assert (changed.weight, changed.notes, changed.created_at) == (Decimal("1.5"), "kept", gadget.created_at)


INVALID_FORMS = [
    {"name": "x" * 21, "maker_id": "", "spare_id": "1e3", "colour": "green", "state": "broken", "story": "x" * 2001},
    {"name": "", "maker_id": "abc", "size": "9" * 30, "made_on": "2026-02-30", "seen_at": "yesterday"},
    {"name": "nul \0", "maker_id": "9" * 40, "size": "9" * 5000, "made_on": "soon", "notes": "nul \0"},
    *({"size": "2147483648"}, {"size": "many"}),
    # checked after all fields are valid
    *({"name": "gizmo"}, {"size": "-1"}, *({"weight": text} for text in ("99999999", "NaN", "1e999", "1.234"))),
]


async def test_errors_are_beside_their_fields(app: FastAPI, admin: AsyncClient) -> None:
    for values in INVALID_FORMS:
        response = await create_gadget(admin, **values)
        for field in values:
            assert extract_error(response, field), (field, values)
        for leak in ("INSERT", "constraint failed", "violates", "sqlalchemy", "Traceback"):
            assert leak not in response.text, values
    assert await count(app, Gadget) == 0


@pytest.mark.database("sqlite", "postgresql")
async def test_constraint_errors_are_named(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await create_gadget(admin)
    assert extract_error(await create_gadget(admin), "name") == "This value is already in use."
    assert "The selected entry no longer exists" in (await create_gadget(admin, name="b", maker_id="999")).text
    assert "The database does not allow this value." in (await create_gadget(admin, name="c", size="13")).text
    assert (await admin.post("/admin/maker/delete?pks=1", data=CONFIRMED)).headers["location"] == "/admin/maker/list"
    page = (await admin.get("/admin/maker/list")).text
    assert "Nothing was deleted. Something else still refers to it." in page
    assert "Acme" in page
    monkeypatch.setattr("opportune.contrib.import_export.export.EXPORT_BATCH_ROWS", 2)
    await add_rows(app, *[Maker(name=f"Maker {number}") for number in range(3)])
    rows = (await admin.get("/admin/maker/export/json")).json()
    assert [row["name"] for row in rows] == ["Acme", "100% Ltd", "Maker 0", "Maker 1", "Maker 2"]
    assert "api_key" not in rows[0]


async def test_references_are_shown_and_searched(admin: AsyncClient, app: FastAPI) -> None:
    await create_gadget(admin)
    page = (await admin.get("/admin/gadget/list")).text
    assert '<a href="/admin/maker/details/1">Acme</a>' in page
    assert "k3y" not in page
    acme, other = "Acme", "100% Ltd"
    for term, results in {"acm": [acme], "%": [other], "2": [other], "k3y": [], "": [acme, other]}.items():
        response = await admin.get("/admin/gadget/ajax/lookup", params={"name": "maker_id", "term": term})
        assert [row["text"] for row in response.json()["results"]] == results


async def test_reference_is_entered_without_javascript(app: FastAPI, admin: AsyncClient) -> None:
    await create_gadget(admin, spare_id="1")
    page = (await admin.get("/admin/gadget/edit/1")).text
    assert page.count('<option value="1" selected>Acme</option>') == 2
    for texts, stored_value in ((["1", ""], 1), (["1", "2"], 2), (["", ""], None)):
        await admin.post("/admin/gadget/edit/1", data=VALID_FORM | {"spare_id": texts})
        assert (await read_gadget(app)).spare_id == stored_value, texts


async def test_link_in_a_mail_runs_no_action(app: FastAPI, admin: AsyncClient) -> None:
    await create_gadget(admin)
    assert (await admin.get("/admin/gadget/action/polish?pks=1")).status_code == 405
    assert (await read_gadget(app)).notes == ""


async def test_export_keeps_exact_values(admin: AsyncClient) -> None:
    times = {"made_on": "2026-02-28", "seen_at": "2026-02-28 23:59:59"}
    await create_gadget(admin, colour="deep_blue", weight="-1234.50", ratio="0.5", data="-1", **times)
    exact = {"colour": "deep_blue", "weight": "-1234.50", "made_on": "2026-02-28"}
    (row,) = (await admin.get("/admin/gadget/export/json")).json()
    assert row | exact | {"ratio": 0.5, "size": 2, "spare_id": None, "data": "-1"} == row
    assert row["seen_at"] == "2026-02-28T23:59:59+00:00"
    (cells,) = csv.DictReader(io.StringIO((await admin.get("/admin/gadget/export/csv")).text))
    assert cells | exact | {"ratio": "0.5", "size": "2", "spare_id": "", "data": "'-1"} == cells
    assert cells["seen_at"] == "2026-02-28T23:59:59+00:00"


async def test_line_breaks_are_stored_as_one_character(app: FastAPI, admin: AsyncClient) -> None:
    await create_gadget(admin)
    full = "x" * 999 + "\r\n" + "x" * 1000  # the maximum length when a line break counts as one character
    form = {"name": "first", "maker_id": "1", "story": full}
    assert (await admin.post("/admin/gadget/edit/1", data=form)).status_code == 303
    assert (await read_gadget(app)).story == full.replace("\r\n", "\n")
