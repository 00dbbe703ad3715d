"""docs/files.md: values of STORAGE_URL, and code."""

import re
from pathlib import Path

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr

from opportune.storage import open_storage
from opportune.storage.location import Bucket, DatabaseFiles, parse_storage_url
from opportune.testing.plugin import settings_for
from opportune.web import stored_files
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.storage.pictures import photo

GUIDE = read_guide("files.md")
STORAGE_URLS = re.findall(r"^STORAGE_URL=(.+)$", GUIDE, re.MULTILINE)


def test_storage_urls_are_valid() -> None:
    settings = settings_for("sqlite:///never-opened.db")
    changes = [{"storage_url": SecretStr(url)} for url in STORAGE_URLS]
    folder, *buckets, database = [parse_storage_url(settings.model_copy(update=change)) for change in changes]
    assert isinstance(folder, Path)
    assert database == DatabaseFiles(5, 200)
    regions = [bucket.region for bucket in buckets if isinstance(bucket, Bucket)]
    assert regions == ["eu-central-1", "auto", "us-east-1", "eu-central-1"]


async def test_code_runs(tmp_path: Path) -> None:
    (block,) = code_blocks(GUIDE)
    namespace = run_code(block)
    app = FastAPI()
    app.include_router(namespace["router"])
    app.include_router(stored_files.router)
    app.state.settings = settings_for("sqlite:///x").model_copy(update={"storage_url": SecretStr(f"file:{tmp_path}")})
    app.state.storage = open_storage(app.state.settings)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver", follow_redirects=True) as client:
        name = (await client.post("/portraits", content=photo())).json()
        response = await client.get(f"/{name}")
    assert (response.status_code, response.headers["content-type"]) == (200, "image/webp")
