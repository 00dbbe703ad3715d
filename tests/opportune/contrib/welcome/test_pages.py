"""Notes for developers at /welcome."""

import re

import pytest
from httpx2 import ASGITransport, AsyncClient

from opportune.config import PROJECT, Settings, installed_features
from opportune.testing.app import create_test_app

ADDRESS = "/welcome"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"debug": True, "environment": "development", "jobs": "off"})


async def test_page_lists_installed_features_and_folders(client: AsyncClient) -> None:
    page = (await client.get(ADDRESS)).text
    for feature in installed_features():
        assert feature.summary in page.replace("&#39;", "'")
    folders = re.findall(r"<code>(\w[\w/]*)/</code>", page)
    assert len(folders) > 1
    assert [folder for folder in folders if not (PROJECT / folder).is_dir()] == []


@pytest.mark.parametrize("update", [{"debug": False}, {"environment": "production"}])
async def test_page_exists_only_with_debug(settings: Settings, update: dict[str, object]) -> None:
    app = create_test_app(settings.model_copy(update=update))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1") as client:
        assert (await client.get(ADDRESS)).status_code == 404
