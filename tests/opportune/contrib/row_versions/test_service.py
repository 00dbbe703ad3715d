"""The values that versions store, and `restore_version`."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.admin.models import RowVersion
from opportune.contrib.row_versions import pages, restore_version, versions
from opportune.contrib.row_versions.pages import MAX_LINE_LENGTH, _compare_lines
from opportune.contrib.row_versions.recording import delete_old_versions
from opportune.contrib.row_versions.service import row_key
from opportune.db import utc_now
from opportune.errors import FieldErrors, Refused
from opportune.testing import make_user, signed_in_client
from tests.opportune.contrib.row_versions.leaflet_feature import Label, Leaflet, Note, Status


@pytest.fixture
async def session(app: FastAPI) -> AsyncIterator[AsyncSession]:
    async with app.state.database.writer() as session:
        yield session


@pytest.fixture
async def leaflet(session: AsyncSession) -> Leaflet:
    return (await session.scalars(select(Leaflet))).one()


async def _titles(session: AsyncSession, row: Leaflet | Note) -> list[tuple[int, str]]:
    return [(version.number, version.values["title"]) for version in await versions(session, row)]


async def test_each_change_is_kept(session: AsyncSession, leaflet: Leaflet) -> None:
    assert await _titles(session, leaflet) == [(3, "Cocoa"), (2, "Coffee"), (1, "Tea")]
    await restore_version(session, leaflet, (await versions(session, leaflet))[-1])
    assert (leaflet.title, leaflet.body, leaflet.number) == ("Tea", "One\nTwo\nThree", 1)
    assert (await _titles(session, leaflet))[0] == (4, "Tea")
    await session.execute(update(Leaflet).values(title="Wine"))
    assert (await _titles(session, leaflet))[0] == (4, "Tea"), "statements make no version"
    await session.delete(leaflet)
    await session.flush()
    assert (await session.scalars(select(RowVersion))).all() == []


async def test_secret_is_not_kept(session: AsyncSession, leaflet: Leaflet) -> None:
    leaflet.api_key = "n3w"
    await session.flush()
    kept = await versions(session, leaflet)
    assert len(kept) == 3
    assert all("api_key" not in version.values for version in kept)


async def test_author_and_channel_are_kept(app: FastAPI) -> None:
    user = await make_user(app.state.database)
    async with signed_in_client(app, user) as client:
        key = (await client.post("/api/v1/leaflets", json={"title": "Water"})).json()["id"]
        assert (await client.patch(f"/api/v1/leaflets/{key}", json={"title": "Milk"})).status_code == 200
    async with app.state.database.reader(fresh=True) as session:
        kept = await versions(session, await session.get_one(Leaflet, key))
    assert [(row.number, row.actor_id, row.channel) for row in kept] == [(2, user.id, "api"), (1, user.id, "api")]


@pytest.mark.database("sqlite", "postgresql")
async def test_restored_values_have_their_types(session: AsyncSession, leaflet: Leaflet) -> None:
    leaflet.printed_at, leaflet.tags = datetime(2026, 1, 2, 3, 4, 5, 6, UTC), {"a": [1]}
    await session.flush()
    leaflet.printed_at, leaflet.price, leaflet.status, leaflet.tags = None, Decimal(2), Status.DRAFT, {}
    await session.flush()
    await restore_version(session, leaflet, 4)
    await session.refresh(leaflet)
    assert leaflet.printed_at == datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
    assert (leaflet.price, leaflet.status, leaflet.tags) == (Decimal("1.50"), Status.PRINTED, {"a": [1]})


@pytest.mark.parametrize(
    ("column", "value", "reason"), [("colour", "red", ": Leaflet no longer has colour"), ("status", "lost", "")]
)
async def test_removed_column_or_invalid_value_is_refused(
    session: AsyncSession, leaflet: Leaflet, column: str, value: str, reason: str
) -> None:
    version = (await versions(session, leaflet))[-1]
    version.values = version.values | {column: value}
    with pytest.raises(Refused, match=f"Version 1 cannot be restored{reason}"):
        await restore_version(session, leaflet, version)


async def test_taken_unique_value_is_refused(session: AsyncSession, leaflet: Leaflet) -> None:
    session.add(Leaflet(title="Tea"))
    await session.flush()
    with pytest.raises(FieldErrors):
        await restore_version(session, leaflet, 1)


async def test_row_from_before_versions_gets_its_old_values(session: AsyncSession, leaflet: Leaflet) -> None:
    await session.execute(delete(RowVersion))
    leaflet.title = "Juice"
    await session.flush()
    assert await _titles(session, leaflet) == [(2, "Juice"), (1, "Cocoa")]


async def test_reused_id_has_no_versions_of_the_old_row(session: AsyncSession, leaflet: Leaflet) -> None:
    key = leaflet.id
    await session.execute(delete(Leaflet))
    session.expunge_all()
    session.add(new := Leaflet(id=key, title="New"))
    await session.flush()
    assert await _titles(session, new) == [(1, "New")]


@pytest.mark.database("sqlite", "postgresql")
async def test_versions_of_missing_rows_are_deleted(app: FastAPI) -> None:
    database = app.state.database
    async with database.writer() as session:
        await session.execute(delete(Leaflet))
        kept, note = Leaflet(id=77, title="Kept"), Note(id=uuid4(), title="Kept")
        session.add_all([kept, note])
    assert await delete_old_versions(database, [Leaflet, Note]) == 3
    async with database.reader(fresh=True) as session:
        for row in (kept, note):
            assert await _titles(session, row) == [(1, "Kept")]


@pytest.mark.database("sqlite", "postgresql")
async def test_old_versions_are_deleted(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    database = app.state.database
    monkeypatch.setattr(Leaflet, "keep_version_days", 30)
    async with database.writer() as session:
        old = update(RowVersion).where(col(RowVersion.number) < 3)
        await session.execute(old.values(at=utc_now().replace(year=2020)))
    assert await delete_old_versions(database, [Leaflet]) == 2
    async with database.reader(fresh=True) as session:
        assert await _titles(session, (await session.scalars(select(Leaflet))).one()) == [(3, "Cocoa")]


def test_long_keys_are_not_cut() -> None:
    first, second = (row_key(Label(id="x" * 80 + ending)) for ending in "ab")
    assert first != second
    assert len(first[1]) == 64


def test_difference_begins_at_the_first_changed_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_COMPARED_LINES", 3)
    text = "\n".join(map(str, range(50)))
    assert _compare_lines(text, text.replace("40", "forty")) == [(" ", "39"), ("-", "40"), ("+", "forty"), (" ", "41")]


def test_line_is_cut() -> None:
    assert _compare_lines("", "x" * 1_000_000) == [("+", "x" * MAX_LINE_LENGTH)]


async def test_unknown_version_is_refused(session: AsyncSession, leaflet: Leaflet) -> None:
    with pytest.raises(Refused, match="This Leaflet has no version 9"):
        await restore_version(session, leaflet, 9)
