"""The index of a running site, on each database, and pages before it has been built."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.pydocs.documents import python_docs
from opportune.config.settings import Settings
from tests.pydocs.search_index import fill_index, index_settings, make_piece

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def settings(settings: Settings, database_kind: str, tmp_path: Path) -> Settings:
    url = f"sqlite:///{tmp_path / 'index.db'}" if database_kind == "sqlite" else ""
    return settings.having(index_settings(url))


@pytest.mark.database("sqlite", "postgresql")
async def test_new_index_is_used_immediately(settings: Settings, client: AsyncClient) -> None:
    assert python_docs.command in (await client.get("/pydocs?q=os")).text
    url = python_docs.url(settings).url.render_as_string(hide_password=False)
    fill_index(url, [make_piece("os.path.join", text="Join <paths>")])
    page = (await client.get("/pydocs?q=os.pa")).text
    assert "<mark>os</mark>.<mark>pa</mark>th.join" in page
    assert "Join &lt;<mark>pa</mark>ths&gt;" in page
    assert (await client.get("/api/v1/pydocs/search?q=join")).json()["total"] == 1
    assert "os.path.join" in (await client.get("/pydocs/os.path.join")).text
    assert (await client.get("/pydocs/os.path.split")).status_code == 404


async def test_missing_index_names_command_in_development(client: AsyncClient) -> None:
    for headers in ({}, HTMX):
        response = await client.get("/pydocs?q=os", headers=headers)
        assert response.status_code == 200
        assert python_docs.command in response.text
    entry = await client.get("/pydocs/os")
    assert entry.status_code == 503


async def test_missing_index_hides_command_in_production(app: FastAPI, client: AsyncClient) -> None:
    app.state.settings = app.state.settings.model_copy(update={"environment": "production"})
    response = await client.get("/pydocs?q=os")
    assert (response.status_code, "oppman.py" in response.text) == (200, False)
    assert "/admin/operations" not in response.text
