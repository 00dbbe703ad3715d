"""Removal of old entries of the log."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.flows.deletion import delete_personal_data
from opportune.admin.feature import admin
from opportune.admin.models import AuditEntry, RowVersion
from opportune.config.settings import Settings
from opportune.db import with_deleted
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.jobs.cleanup import clean_up
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.admin.vault_feature import Dossier, add_dossier, make_keeper, vault
from tests.opportune.site_with import site_with

pytestmark = pytest.mark.database("sqlite", "postgresql")


@pytest.mark.parametrize(
    ("changes", "remaining"),
    [
        ({"audit_days": 30}, ["1", "29"]),
        pytest.param({"audit_days": 0}, ["1", "29", "31", "800"], id="zero keeps all entries"),
        pytest.param({}, ["1", "29", "31"], id="two years by default"),
    ],
)
async def test_entries_are_deleted_after_the_set_days(
    database: Database, settings: Settings, changes: dict[str, int], remaining: list[str]
) -> None:
    now = utc_now()
    async with database.writer() as session:
        for days in (1, 29, 31, 800):
            at = now - timedelta(days=days)
            session.add(AuditEntry(action="update", identity="book", title=str(days), at=at))
    await clean_up(database, settings.model_copy(update=changes), admin.jobs.cleanups)
    async with database.reader(fresh=True) as session:
        titles = await session.scalars(select(col(AuditEntry.title)).order_by(col(AuditEntry.id)))
        assert list(titles) == remaining


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    monkeypatch.setattr(
        "opportune.admin.feature.tables_with", lambda _: [Dossier]
    )  # its table is not in the site's metadata
    async with site_with(vault, settings) as app:
        yield app


@pytest.mark.database("sqlite", "postgresql")
async def test_deleted_account_leaves_versions_and_trash(app: FastAPI) -> None:
    row_id = await add_dossier(app, await make_keeper(app), "Old")
    user = await make_user(app.state.database, is_staff=True, is_superuser=True)
    async with signed_in_client(app, user) as client:
        await client.post(f"/admin/dossier/version/{row_id}?number=1")
        await client.post(f"/admin/dossier/delete?pks={row_id}", data={"confirmed": "yes"})
    async with app.state.database.writer() as session:
        actors, deleted_by = select(col(RowVersion.actor_id)), with_deleted(select(col(Dossier.deleted_by_id)))
        assert {*await session.scalars(actors), *await session.scalars(deleted_by)} == {None, user.id}
        await delete_personal_data(session, app.state.features, user)
        assert {*await session.scalars(actors), *await session.scalars(deleted_by)} == {None}
