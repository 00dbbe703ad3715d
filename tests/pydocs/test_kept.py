"""Parts of pages that are kept while the index is the same."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from pydantic import SecretStr

from app.pydocs.engines import sqlite
from app.pydocs.kept import LONGEST_KEY, Kept
from opportune.settings import Settings
from tests.pydocs.shelving import fill, piece

# Of PostgreSQL nothing is kept: only it knows when another index is there.
pytestmark = pytest.mark.database("sqlite")

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def index_address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'index.db'}"


@pytest.fixture
def settings(settings: Settings, index_address: str) -> Settings:
    return settings.model_copy(update={"pydocs_database_url": SecretStr(index_address)})


async def test_the_same_letters_are_looked_for_once(app: FastAPI, client: AsyncClient, index_address: str) -> None:
    fill(index_address, [piece("os.path")])
    first = await client.get("/pydocs?q=os", headers=HTMX)
    app.state.pydocs.engine.search = None  # would fail
    again = await client.get("/pydocs?q=os", headers=HTMX)

    assert "<mark>os</mark>.path" in first.text
    assert again.text == first.text
    assert again.headers["vary"] == first.headers["vary"] == "HX-Request-Type"


async def test_another_index_is_asked_at_once(app: FastAPI, client: AsyncClient, index_address: str) -> None:
    fill(index_address, [piece("os.before")])
    assert "before" in (await client.get("/pydocs?q=os", headers=HTMX)).text
    fill(index_address, [piece("os.after")])
    await app.state.pydocs.refresh()

    assert "after" in (await client.get("/pydocs?q=os", headers=HTMX)).text


async def test_a_new_index_is_noticed_by_who_gets_what_was_kept(
    app: FastAPI, client: AsyncClient, index_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(index_address, [piece("os.before")])
    await client.get("/pydocs?q=os", headers=HTMX)
    fill(index_address, [piece("os.after")])
    monkeypatch.setattr(sqlite, "PAUSE", 0)
    assert "before" in (await client.get("/pydocs?q=os", headers=HTMX)).text  # which begins to read the new one
    await app.state.pydocs.engine._reading

    assert "after" in (await client.get("/pydocs?q=os", headers=HTMX)).text


def test_what_was_not_asked_for_the_longest_time_goes_first() -> None:
    kept = Kept(room=20)
    for query in (b"q=o", b"q=j"):
        kept.keep(1, query, "ten letter")
    kept.find(1, b"q=o")
    kept.keep(1, b"q=s", "ten letter")

    assert [query for query in (b"q=o", b"q=j", b"q=s") if kept.find(1, query)] == [b"q=o", b"q=s"]


def test_what_was_found_in_an_older_index_is_not_kept() -> None:
    kept = Kept()
    kept.keep(2, b"q=o", "new")
    kept.keep(1, b"q=o", "old")

    assert kept.find(2, b"q=o") == "new"
    assert kept.find(1, b"q=o") is None


@pytest.mark.parametrize(("edition", "query"), [(None, b"q=o"), (1, b"q=" + b"o" * LONGEST_KEY)])
def test_nothing_is_kept_of_an_unknown_edition_or_a_long_query(edition: int | None, query: bytes) -> None:
    kept = Kept()
    kept.keep(edition, query, "part")

    assert kept.find(edition, query) is None
