"""Fixtures: the site on SQLite, and its responses to requests for all pages."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from opportune.testing.access.sites import copy_sqlite_file, sqlite_site
from tests.opportune.security.visit import Visit, visit_all_pages


@pytest.fixture
def database_file(sqlite_template: Path, tmp_path: Path) -> Path:
    file = tmp_path / "site.db"
    copy_sqlite_file(sqlite_template, file)
    return file


@pytest.fixture
async def site_without_jobs(database_file: Path) -> AsyncIterator[FastAPI]:
    """Site with a migrated database, without background jobs."""
    app = sqlite_site(database_file)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(scope="session")
async def visit(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    """Responses of all pages."""
    file = tmp_path_factory.mktemp("visit") / "site.db"
    copy_sqlite_file(sqlite_template, file)
    return await visit_all_pages(file)
