"""The daily permanent deletion of rows in the trash."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from sqlmodel import col

from opportune.admin.trash import retention
from opportune.admin.trash.retention import empty_trash
from opportune.db import restore, utc_now, with_deleted
from tests.opportune.admin.trash.parcel_feature import Parcel, Receipt, make_parcels, parcels
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import read_all

pytestmark = pytest.mark.database("sqlite", "postgresql")


app = site_fixture(parcels, make_parcels)


async def _expire(app: FastAPI, *codes: str) -> None:
    old = utc_now() - timedelta(days=31)
    async with app.state.database.writer() as session:
        session.add_all([Parcel(code=code) for code in codes])
        await session.flush()
        await session.execute(update(Parcel).where(col(Parcel.code) != "Here").values(deleted_at=old))


async def _codes(app: FastAPI) -> list[str]:
    return await read_all(app, with_deleted(select(col(Parcel.code)).order_by(col(Parcel.id))))


async def test_recently_deleted_row_stays(app: FastAPI) -> None:
    assert await empty_trash(app.state.database, [Parcel]) == 0
    assert await _codes(app) == ["Here", "Gone"]


async def test_expired_rows_are_deleted_in_batches(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS_PER_TRANSACTION", 2)
    await _expire(app, "Two", "Three", "Four")
    assert await empty_trash(app.state.database, [Parcel]) == 4
    assert await _codes(app) == ["Here"]


async def test_row_in_use_does_not_stop_the_job(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS_PER_TRANSACTION", 1)
    await _expire(app, "Two")
    async with app.state.database.writer() as session:
        gone = await session.scalar(with_deleted(select(Parcel).where(col(Parcel.code) == "Gone")))
        session.add(Receipt(parcel_id=gone.id))
    assert await empty_trash(app.state.database, [Parcel]) == 1
    assert await _codes(app) == ["Here", "Gone"]


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
    assert await _codes(app) == ["Here", "Gone"]
