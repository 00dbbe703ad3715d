"""Sites with files in a folder, in a bucket and in the database."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.db.factory import open_database
from opportune.storage import Storage, open_storage
from opportune.testing.app import create_test_app
from opportune.testing.plugin import settings_for
from tests.opportune.storage.s3_server import s3_server, s3_url

__all__ = ["s3_server", "s3_url"]  # fixtures


def settings_with_storage(url: str) -> Settings:
    return settings_for("sqlite:///never-opened.db").model_copy(update={"storage_url": SecretStr(url)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture(params=["folder", "bucket", "database"])
def storage_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def storage_url(storage_kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if storage_kind == "bucket":
        url: str = request.getfixturevalue("s3_url")
        return url
    return f"file:{folder}" if storage_kind == "folder" else "database:"


@pytest.fixture
async def storage(storage_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    if storage_url != "database:":
        yield open_storage(settings_with_storage(storage_url))
        return
    path = shutil.copyfile(request.getfixturevalue("sqlite_template"), tmp_path / "site.db")
    async with open_database(settings_for(f"sqlite:///{path}")) as database:
        await database.setup()
        yield open_storage(settings_with_storage(storage_url), database)


@pytest.fixture(scope="session")
def site_without_database() -> FastAPI:
    return create_test_app(settings_with_storage("file:never-made"))


@pytest.fixture
async def visitor(site_without_database: FastAPI, storage: Storage) -> AsyncIterator[AsyncClient]:
    site_without_database.state.storage = storage
    transports = {"http://testserver": ASGITransport(site_without_database)}
    async with AsyncClient(mounts=transports, base_url="http://testserver") as client:
        yield client
