"""Photos of attendees: upload and deletion."""

import asyncio
from io import BytesIO

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from PIL import ExifTags, Image
from sqlalchemy import update

from app.events.models import Event
from opportune.config.settings import Settings
from opportune.db import Database
from opportune.storage import StorageError
from opportune.testing import RecordedJobs, make_user, signed_in_client
from tests.events.conftest import (
    ADA,
    list_stored_files,
    make_photo_upload,
    make_picture,
    read_registrations,
)


def make_picture_with_metadata() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ada of Mill Lane"
    exif[ExifTags.Base.Orientation] = 6  # rotated by 90 degrees
    return make_picture(exif=exif)


async def test_photo_is_shrunk_without_metadata(
    app: FastAPI, client: AsyncClient, database: Database, tea: Event
) -> None:
    content = make_picture_with_metadata()
    assert b"Mill Lane" in content
    await client.post("/events/tea", data=ADA, files=make_photo_upload(content))

    (registration,) = await read_registrations(database)
    shrunk = await app.state.storage.read(registration.photo)
    with Image.open(BytesIO(shrunk)) as image:
        assert (image.format, max(image.size), image.height > image.width) == ("WEBP", 800, True)
    assert b"Mill Lane" not in shrunk


async def test_invalid_upload_is_refused_at_its_field(
    client: AsyncClient, recorded_jobs: RecordedJobs, settings: Settings, tea: Event
) -> None:
    html = b"<!doctype html><script>alert(1)</script>"
    for content in (html, make_picture((9, 9)) + html, b"\xff\xd8\xff" + bytes(10_000_001)):
        response = await client.post("/events/tea", data=ADA, files=make_photo_upload(content))

        assert response.status_code == 422, content[:20]
        assert 'id="photo-error"' in response.text
        assert 'value="ada@example.com"' in response.text
    assert recorded_jobs.calls == []
    assert list_stored_files(settings) == []


async def test_storage_failure_keeps_the_form(
    app: FastAPI,
    client: AsyncClient,
    recorded_jobs: RecordedJobs,
    database: Database,
    tea: Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object) -> str:
        raise StorageError

    monkeypatch.setattr(app.state.storage, "save", fail)
    response = await client.post("/events/tea", data=ADA, files=make_photo_upload())

    assert response.status_code == 503
    assert 'value="ada@example.com"' in response.text
    assert 'id="photo-error"' in response.text
    assert await read_registrations(database) == []
    assert (await client.post("/events/tea", data=ADA)).status_code == 303


async def test_unused_photo_is_deleted_without_a_lock(
    app: FastAPI, client: AsyncClient, recorded_jobs: RecordedJobs, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted_names = []

    async def delete(name: str) -> None:
        async with asyncio.timeout(30), database.writer() as session:
            await session.execute(update(Event).values(place=name))
        deleted_names.append(name)

    monkeypatch.setattr(app.state.storage, "delete", delete)
    response = await client.post("/events/no-such-event", data=ADA, files=make_photo_upload())

    assert response.status_code == 404
    assert len(deleted_names) == 1


async def test_staff_are_warned_about_ephemeral_storage(
    app: FastAPI, client: AsyncClient, tea: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RENDER", "true")
    staff = await make_user(app.state.database, is_staff=True)
    async with signed_in_client(app, staff) as staff_client:
        assert "they are lost at the next deploy" in (await staff_client.get("/events/tea")).text
        assert "they are lost" not in (await staff_client.get("/events")).text
    assert "they are lost" not in (await client.get("/events/tea")).text
