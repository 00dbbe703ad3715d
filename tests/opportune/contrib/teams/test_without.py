"""A site without the teams feature."""

import re
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.project.installed import installed_features
from opportune.testing.app import create_test_app
from opportune.testing.factories import signed_in_client
from opportune.testing.statements import counted_statements

IMPORT = re.compile(r"^(?:from|import) opportune\.contrib\.teams\b", re.MULTILINE)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    features = [feature for feature in installed_features() if "teams" not in (feature.name, *feature.requires)]
    app = create_test_app(settings, features)
    async with app.router.lifespan_context(app):
        yield app


async def test_site_has_no_team_pages(user_client: AsyncClient) -> None:
    for path in ("/teams", "/teams/new", "/api/v1/teams", "/admin/team/list"):
        assert (await user_client.get(path)).status_code in (404, 403), path
    assert 'href="/teams' not in (await user_client.get("/accounts/profile")).text
    assert "teams" not in (await user_client.get("/api/v1/users/me/export")).json()


async def test_page_runs_no_team_queries(app: FastAPI, user: User) -> None:
    async with signed_in_client(app, user) as browser:
        with counted_statements() as statements:
            await browser.get("/accounts/events")
    assert statements
    assert not [statement for statement in statements if "teams_" in statement]
