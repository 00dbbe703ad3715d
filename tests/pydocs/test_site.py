"""The index of a running site, on each database."""

from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient

from app.main import create_app
from app.pydocs.documents import python_docs
from opportune.config.settings import Settings
from tests.pydocs.search_index import fill_index, index_settings, make_piece


@pytest.fixture
def settings(settings: Settings, database_kind: str, tmp_path: Path) -> Settings:
    """Store the index in a file with SQLite, and in the site's database with PostgreSQL."""
    url = f"sqlite:///{tmp_path / 'index.db'}" if database_kind == "sqlite" else ""
    return settings.having(index_settings(url))


async def test_new_index_is_used_immediately(settings: Settings) -> None:
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client,
    ):
        assert python_docs.command in (await client.get("/pydocs?q=os")).text

        fill_index(
            python_docs.url(settings).url.render_as_string(hide_password=False),
            [make_piece("os.path.join", text="Join <paths>")],
        )

        page = (await client.get("/pydocs?q=os.pa")).text
        assert "<mark>os</mark>.<mark>pa</mark>th.join" in page
        assert "Join &lt;<mark>pa</mark>ths&gt;" in page
        assert (await client.get("/api/v1/pydocs/search?q=join")).json()["total"] == 1
        assert "os.path.join" in (await client.get("/pydocs/os.path.join")).text
        assert (await client.get("/pydocs/os.path.split")).status_code == 404
