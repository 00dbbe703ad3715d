"""Full disks, for the database and for uploads."""

import errno
import logging
import os
import tempfile
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import FastAPI, File, Request, UploadFile
from httpx2 import AsyncClient
from pydantic import BaseModel

from opportune.storage.folder import FolderStorage
from opportune.storage.storage import DiskFullError, UrlSigner
from opportune.testing.app import create_test_app
from opportune.testing.plugin import settings_for
from opportune.web import Upload, read_form
from tests.opportune.full_disk import files_no_larger_than

MESSAGE = "The disk of this site is full, so nothing was saved. Please try again later."
MAX_FILE_BYTES = 1_500_000
"""Larger than the memory buffer of the parser, and smaller than the upload."""
FILE = {"file": ("a.bin", bytes(2_000_000), "application/octet-stream")}


class Paper(BaseModel):
    file: Upload


@pytest.fixture(scope="module")
def app() -> FastAPI:
    app = create_test_app(settings_for("sqlite:///never-opened.db"))

    @app.get("/api/error")
    async def fail(number: int) -> None:
        raise OSError(number, os.strerror(number))

    @app.post("/api/form")
    @app.post("/form")
    async def form(request: Request) -> dict[str, str]:
        return (await read_form(request, Paper)).errors

    @app.post("/api/fastapi")
    async def fastapi(file: Annotated[UploadFile, File()], request: Request) -> int:
        return file.size or 0

    return app


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_full_disk_during_upload_is_507(client: AsyncClient) -> None:
    for path in ("/api/form", "/form", "/api/fastapi"):
        with files_no_larger_than(MAX_FILE_BYTES):
            response = await client.post(path, files=FILE, headers={"Accept": "text/html"})
        assert (response.status_code, MESSAGE in response.text) == (507, True), path


async def test_failed_upload_is_logged_and_leaves_no_file(
    client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with files_no_larger_than(MAX_FILE_BYTES), caplog.at_level(logging.ERROR):
        await client.post("/api/form", files=FILE)
    assert not files_in(tmp_path)
    assert [record.exc_info for record in caplog.records] == [None], "without a traceback"
    assert (await client.post("/api/form", files=FILE)).json() == {}, "uploads work again"


async def test_only_a_full_disk_in_a_route_is_507(client: AsyncClient) -> None:
    for number, status in ((errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EFBIG, 507), (errno.EISDIR, 500)):
        assert (await client.get("/api/error", params={"number": number})).status_code == status, number


async def test_full_folder_is_507_and_leaves_nothing(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path, UrlSigner(["x" * 32]))
    with files_no_larger_than(MAX_FILE_BYTES), pytest.raises(DiskFullError):
        await storage.save("papers", "bin", bytes(3_000_000), "application/octet-stream")
    assert not files_in(tmp_path)
