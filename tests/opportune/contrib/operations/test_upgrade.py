"""Migrations applied from a page."""

import shutil
import threading
from functools import partial
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import text

from opportune.contrib.operations import upgrade
from opportune.db.migrations.graph import VERSIONS, MigrationGraph
from opportune.feature import Feature
from tests.opportune.contrib.operations.pages import PAGE, flash_messages, read_entries
from tests.opportune.stored_rows import execute, read_one
from tests.opportune.waiting import wait_until

MIGRATION = Path(__file__).with_name("parcel_migration.txt").read_text(encoding="utf-8")


@pytest.fixture
def _pending_migration(app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Migrations of a feature that was just added."""
    versions = shutil.copytree(VERSIONS, tmp_path / "versions")
    (versions / "parcels").mkdir()
    (versions / "parcels" / "0001_initial.py").write_text(MIGRATION, encoding="utf-8")
    monkeypatch.setattr(upgrade, "MigrationGraph", partial(MigrationGraph, versions=versions))
    app.state.features = (*app.state.features, Feature("parcels", "For tests."))


@pytest.mark.usefixtures("_pending_migration")
async def test_pending_migrations_are_applied(app: FastAPI, operator: AsyncClient) -> None:
    assert "1 to apply" in (await operator.get(PAGE)).text
    await operator.post(f"{PAGE}/upgrade")
    assert await flash_messages(operator) == "Applied parcels.0001_initial."
    assert "all applied" in (await operator.get(PAGE)).text
    assert await read_one(app, text("SELECT count(*) FROM parcels_parcel")) == 0
    await operator.post(f"{PAGE}/upgrade")
    assert await flash_messages(operator) == upgrade.NOTHING
    assert [action for action, _ in await read_entries(app)] == ["apply-migrations"] * 2


async def test_long_upgrade_runs_in_the_background(
    app: FastAPI, operator: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_continue = threading.Event()

    def apply_slowly(running: upgrade.Upgrade) -> None:
        running.current = "books.0099_slow"
        may_continue.wait(60)
        running.applied.append(running.current)

    monkeypatch.setattr(upgrade.Upgrade, "_apply", apply_slowly)
    monkeypatch.setattr(upgrade, "PAGE_TIMEOUT_SECONDS", 0)
    await operator.post(f"{PAGE}/upgrade")
    page = (await operator.get(PAGE)).text
    assert "0 done, now books.0099_slow" in page
    assert 'http-equiv="refresh"' in page
    await operator.post(f"{PAGE}/upgrade")
    assert "already running" in await flash_messages(operator)
    may_continue.set()
    await wait_until(lambda: not app.state.upgrade.is_running)
    assert await read_entries(app) == [("apply-migrations", "Applied books.0099_slow.")]


@pytest.mark.usefixtures("_pending_migration")
async def test_failed_upgrade_is_reported(app: FastAPI, operator: AsyncClient) -> None:
    await execute(app, text("CREATE TABLE parcels_parcel (id INTEGER)"))
    await operator.post(f"{PAGE}/upgrade")
    page = (await operator.get(PAGE)).text
    assert "The last upgrade failed. parcels.0001_initial failed and was undone" in page
    assert "Traceback" not in page
    ((action, title),) = await read_entries(app)
    assert (action, "already exists" in title) == ("apply-migrations", True)


@pytest.mark.usefixtures("_pending_migration")
async def test_invalid_migration_file_is_named(operator: AsyncClient, tmp_path: Path) -> None:
    for content in ("revision =", "revision = 2"):
        (tmp_path / "versions" / "parcels" / "0002_broken.py").write_text(content, encoding="utf-8")
        page = await operator.get(PAGE)
        assert page.status_code == 200
        assert "0002_broken.py is not a migration" in page.text
