"""Notes for developers at /welcome."""

import re

import pytest
from httpx2 import AsyncClient

from opportune.config import PROJECT, Settings, installed_features

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
