"""Cached fragments of search pages."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.config.settings import Settings
from opportune.contrib.documents import sqlite
from tests.pydocs.search_index import fill_index, index_settings, make_piece

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def index_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'index.db'}"


@pytest.fixture
def settings(settings: Settings, index_url: str) -> Settings:
    return settings.having(index_settings(index_url))


async def test_same_prefix_is_searched_once(app: FastAPI, client: AsyncClient, index_url: str) -> None:
    fill_index(index_url, [make_piece("os.path")])
    response = await client.get("/pydocs?q=os", headers=HTMX)
    app.state.pydocs.engine.search = None  # a second search would raise
    cached_response = await client.get("/pydocs?q=os", headers=HTMX)

    assert "<mark>os</mark>.path" in response.text
    assert cached_response.text == response.text
    assert cached_response.headers["vary"] == response.headers["vary"] == "HX-Request-Type"


async def test_new_index_invalidates_the_cache(
    app: FastAPI, client: AsyncClient, index_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_index(index_url, [make_piece("os.before")])
    await client.get("/pydocs?q=os", headers=HTMX)
    fill_index(index_url, [make_piece("os.after")])
    monkeypatch.setattr(sqlite, "CHECK_INTERVAL_SECONDS", 0)
    assert "before" in (await client.get("/pydocs?q=os", headers=HTMX)).text  # also starts loading the new index
    await app.state.pydocs.engine._refresh_task

    assert "after" in (await client.get("/pydocs?q=os", headers=HTMX)).text
