"""The trash of a view: its pages, access to them, the entries of the log, and the daily permanent deletion."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.admin.trash import retention
from opportune.admin.trash.retention import empty_trash
from opportune.db import before_delete, restore, utc_now, with_deleted
from opportune.db.constraint_errors import HELD_BY_TRASH
from opportune.db.hooks.registry import temporary_hooks
from opportune.errors import OperatorError
from opportune.testing.factories import signed_in_client
from tests.opportune.admin.trash.parcel_feature import Parcel, Receipt, Stamp, make_parcels, parcels
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, make_staff, read_all, read_logged_actions, read_one

TRASH = "/admin/parcel/trash"
CONFIRMED = {"confirmed": "yes"}
app = site_fixture(parcels, make_parcels)


async def _row_id(app: FastAPI, code: str) -> int:
    return int(await read_one(app, with_deleted(select(col(Parcel.id)).where(col(Parcel.code) == code))))


async def _codes(app: FastAPI, *, deleted: bool = False) -> list[str]:
    query = select(col(Parcel.code)).order_by(col(Parcel.id))
    return await read_all(app, with_deleted(query) if deleted else query)


async def test_deleted_row_is_only_in_the_trash(app: FastAPI, admin: AsyncClient) -> None:
    page = (await admin.get("/admin/parcel/list")).text
    assert ("Here" in page, "Gone" in page, "1 to 1 of 1" in page) == (True, False, True)
    assert f'{TRASH}"' in page
    response = await admin.get("/admin/stamp/ajax/lookup?name=parcel_id&term=")
    assert [row["text"] for row in response.json()["results"]] == ["Here"]
    assert (await admin.get(f"/admin/parcel/details/{await _row_id(app, 'Gone')}")).status_code == 404
    assert "deleted" not in (await admin.get("/admin/parcel/create")).text.lower(), "the form has no such columns"


async def test_trash_lists_row_and_user(app: FastAPI, admin: AsyncClient) -> None:
    row_id = await _row_id(app, "Here")
    assert '<button form="delete-row" formaction=' in (await admin.get("/admin/parcel/list")).text
    assert (await admin.post(f"/admin/parcel/delete?pks={row_id}")).status_code == 303
    page = (await admin.get(TRASH)).text
    assert "Moved 1 parcel to the trash." in page
    assert page.index("Here") < page.index("Gone")
    assert page.count("root@example.com") >= 1
    assert "after 30 days" in page


async def test_trash_links_to_the_history(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"/admin/parcel/history/{await _row_id(app, 'Gone')}"
    assert url in (await admin.get(TRASH)).text
    page = (await admin.get(url)).text
    assert "History of Gone (deleted)" in page
    assert f'{TRASH}"' in page
    async with signed_in_client(app, await make_staff(app, "parcel.get")) as client:
        assert (await client.get(url)).status_code == 404, "it needs the permission to delete"
    monkeypatch.setattr("opportune.db.queries.row_count.MAX_COUNTED_ROWS", 0)
    assert "more than 0" in (await admin.get(TRASH)).text, "a large trash is not counted"


async def test_restored_row_is_listed(app: FastAPI, admin: AsyncClient) -> None:
    assert (await admin.post(f"{TRASH}/restore", data={"pk": await _row_id(app, "Here")})).status_code == 404
    response = await admin.post(f"{TRASH}/restore", data={"pk": await _row_id(app, "Gone")})
    assert (response.status_code, response.headers["location"].endswith(TRASH)) == (303, True)
    assert await _codes(app) == ["Here", "Gone"]
    assert await read_logged_actions(app) == ["restore"]


async def test_deletion_of_many_rows_and_of_a_link_asks_first(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, *(Parcel(code=str(number)) for number in range(300)))
    response = await admin.post("/admin/parcel/delete", data={"all": "1"})
    assert "Move to the trash? You can restore it from there for 30 days." in response.text
    page = (await admin.get(f"/admin/parcel/delete?pks={await _row_id(app, 'Here')}")).text
    assert ("Move to the trash?" in page, "cannot be undone" in page) == (True, False)
    assert len(await _codes(app)) == 301


@pytest.mark.database("sqlite", "postgresql")
async def test_permanent_deletion_asks_first(app: FastAPI, admin: AsyncClient) -> None:
    row = {"pk": await _row_id(app, "Gone")}
    page = (await admin.post(f"{TRASH}/purge", data=row)).text
    assert "This cannot be undone" in page
    assert "1 stamp" in page
    assert await _codes(app, deleted=True) == ["Here", "Gone"]
    await admin.post(f"{TRASH}/purge", data={**row, **CONFIRMED})
    assert await _codes(app, deleted=True) == ["Here"]
    assert await read_logged_actions(app) == ["delete permanently"]
    assert await read_all(app, Stamp) == []


@pytest.mark.database("sqlite", "postgresql")
async def test_row_in_use_stays_in_the_trash(app: FastAPI, admin: AsyncClient) -> None:
    row_id = await _row_id(app, "Gone")
    await add_rows(app, Parcel(code="Inside", box_id=row_id, deleted_at=utc_now()))
    assert "(1 in the trash)" in (await admin.post(f"{TRASH}/purge", data={"pk": row_id})).text
    await admin.post(f"{TRASH}/purge", data={"pk": row_id, **CONFIRMED})
    assert "refers to it. Delete that first, also from the trash." in (await admin.get(TRASH)).text
    assert await _codes(app, deleted=True) == ["Here", "Gone", "Inside"]


async def test_form_explains_the_value_of_a_deleted_row(app: FastAPI, admin: AsyncClient) -> None:
    assert HELD_BY_TRASH in (await admin.post("/admin/parcel/create", data={"code": "Gone"})).text
    edited = await admin.post(f"/admin/parcel/edit/{await _row_id(app, 'Here')}", data={"code": "Gone"})
    assert HELD_BY_TRASH in edited.text


@pytest.mark.parametrize("allowed", [True, False])
async def test_trash_needs_the_permission_to_delete(app: FastAPI, allowed: bool) -> None:
    permissions = ("parcel.list", "parcel.delete") if allowed else ("parcel.list",)
    async with signed_in_client(app, await make_staff(app, *permissions)) as client:
        row = {"pk": await _row_id(app, "Gone")}
        assert (TRASH in (await client.get("/admin/parcel/list")).text) is allowed
        assert (await client.get(TRASH)).status_code == (200 if allowed else 403)
        assert (await client.post(f"{TRASH}/purge", data=row)).status_code == (200 if allowed else 403)
        assert (await client.post(f"{TRASH}/restore", data=row)).status_code == (303 if allowed else 403)


async def _expire(app: FastAPI, *codes: str) -> None:
    old = utc_now() - timedelta(days=31)
    async with app.state.database.writer() as session:
        session.add_all([Parcel(code=code) for code in codes])
        await session.flush()
        await session.execute(update(Parcel).where(col(Parcel.code) != "Here").values(deleted_at=old))


@pytest.mark.database("sqlite", "postgresql")
async def test_expired_rows_are_deleted_in_batches(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS_PER_TRANSACTION", 2)
    await _expire(app, "Two", "Three", "Four")
    assert await empty_trash(app.state.database, [Parcel]) == 4
    assert await _codes(app, deleted=True) == ["Here"]


@pytest.mark.database("sqlite", "postgresql")
async def test_row_in_use_does_not_stop_the_job(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS_PER_TRANSACTION", 1)
    await _expire(app, "Two")
    async with app.state.database.writer() as session:
        gone = await session.scalar(with_deleted(select(Parcel).where(col(Parcel.code) == "Gone")))
        session.add(Receipt(parcel_id=gone.id))
    assert await empty_trash(app.state.database, [Parcel]) == 1
    assert await _codes(app, deleted=True) == ["Here", "Gone"]


@pytest.mark.database("sqlite", "postgresql")
async def test_failing_hook_does_not_stop_the_job(app: FastAPI) -> None:
    await _expire(app, "Two")
    with temporary_hooks():

        @before_delete(Parcel)
        async def fail(_session: AsyncSession, parcel: Parcel) -> None:
            if parcel.code == "Gone":
                raise LookupError(parcel.code)

        with pytest.raises(OperatorError, match=r"hooks fail .*: Parcel"):
            await empty_trash(app.state.database, [Parcel])
    assert await _codes(app, deleted=True) == ["Here", "Gone"]


async def test_rows_can_be_kept_forever(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Parcel, "keep_deleted_days", None)
    await _expire(app)
    assert await empty_trash(app.state.database, [Parcel]) == 0


@pytest.mark.database("postgresql")
async def test_row_that_a_user_restores_stays(app: FastAPI) -> None:
    await _expire(app)
    async with app.state.database.writer() as session:
        gone = (await session.scalars(with_deleted(select(Parcel).where(col(Parcel.code) == "Gone")))).one()
        await restore(session, gone)
        assert await empty_trash(app.state.database, [Parcel]) == 0
    assert await _codes(app, deleted=True) == ["Here", "Gone"]


@pytest.mark.database("sqlite", "postgresql")
async def test_recently_deleted_row_stays(app: FastAPI) -> None:
    assert await empty_trash(app.state.database, [Parcel]) == 0
    assert await _codes(app, deleted=True) == ["Here", "Gone"]
