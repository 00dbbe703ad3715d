"""Photos of attendees: upload, shrinking and deletion."""

import asyncio
from io import BytesIO
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from PIL import ExifTags, Image
from sqlalchemy import update

from app.events.jobs import MAX_SIDE_PIXELS, delete_photos, shrink_photo
from app.events.models import Event
from opportune.config.settings import Settings
from opportune.db import Database
from opportune.storage import MissingFileError, StorageError
from opportune.testing import RecordedJobs, make_user, signed_in_client
from tests.events.conftest import (
    ADA,
    add_registration,
    list_stored_files,
    make_photo_upload,
    make_picture,
    read_registrations,
)


async def store_photo(recorded_jobs: RecordedJobs, content: bytes) -> str:
    return await recorded_jobs.context.storage.save("events", "jpg", content, "image/jpeg")


def make_picture_with_metadata() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ada of Mill Lane"
    exif[ExifTags.Base.Orientation] = 6  # rotated by 90 degrees
    return make_picture(exif=exif)


async def test_photo_is_shrunk_without_metadata(
    recorded_jobs: RecordedJobs, settings: Settings, tea: Event, database: Database
) -> None:
    content = make_picture_with_metadata()
    assert b"Mill Lane" in content
    ada = await add_registration(database, tea, photo=await store_photo(recorded_jobs, content))

    await shrink_photo.function(recorded_jobs.context, ada.id, ada.photo)

    (registration,) = await read_registrations(database)
    shrunk = await recorded_jobs.context.storage.read(registration.photo)
    with Image.open(BytesIO(shrunk)) as image:
        assert (image.format, max(image.size), image.height > image.width) == ("WEBP", MAX_SIDE_PIXELS, True)
    assert b"Mill Lane" not in shrunk
    assert [path.name for path in list_stored_files(settings)] == [Path(registration.photo).name]


async def test_photo_of_cancelled_registration_is_deleted(recorded_jobs: RecordedJobs, settings: Settings) -> None:
    await shrink_photo.function(recorded_jobs.context, 7, await store_photo(recorded_jobs, make_picture()))

    assert list_stored_files(settings) == []


async def test_missing_photo_does_not_stop_deletion(recorded_jobs: RecordedJobs) -> None:
    names = [await store_photo(recorded_jobs, make_picture((9, 9))) for _ in range(2)]
    await recorded_jobs.context.storage.delete(names[0])

    await delete_photos.function(recorded_jobs.context, names)

    with pytest.raises(MissingFileError):
        await recorded_jobs.context.storage.read(names[1])


async def test_retried_job_shrinks_a_photo_once(
    recorded_jobs: RecordedJobs, database: Database, settings: Settings, tea: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await add_registration(database, tea, photo=await store_photo(recorded_jobs, make_picture()))
    writes: list[str] = []
    write = recorded_jobs.context.write

    async def write_once(work: object, *args: object) -> object:
        # Like the job engine: a repeated step returns the first result.
        if not writes:
            writes.append(await write(work, *args))  # type: ignore[arg-type]  # passed on
            raise ConnectionError
        return writes[0]

    monkeypatch.setattr(recorded_jobs.context, "write", write_once)
    with pytest.raises(ConnectionError):
        await shrink_photo.function(recorded_jobs.context, ada.id, ada.photo)
    for _ in range(2):
        await shrink_photo.function(recorded_jobs.context, ada.id, ada.photo)

    (registration,) = await read_registrations(database)
    assert [path.name for path in list_stored_files(settings)] == [Path(registration.photo).name]


async def test_unavailable_storage_is_retried(
    recorded_jobs: RecordedJobs, database: Database, tea: Event, tmp_path: Path
) -> None:
    ada = await add_registration(database, tea, photo=await store_photo(recorded_jobs, make_picture_with_metadata()))
    moved_folder = (tmp_path / "uploads").rename(tmp_path / "moved")

    with pytest.raises(MissingFileError):
        await shrink_photo.function(recorded_jobs.context, ada.id, ada.photo)

    moved_folder.rename(tmp_path / "uploads")
    await shrink_photo.function(recorded_jobs.context, ada.id, ada.photo)
    (registration,) = await read_registrations(database)
    assert registration.photo.endswith(".webp")


async def test_invalid_photo_is_removed(
    recorded_jobs: RecordedJobs, database: Database, settings: Settings, tea: Event
) -> None:
    ada = await add_registration(database, tea, photo=await store_photo(recorded_jobs, b"no picture"))

    await shrink_photo.function(recorded_jobs.context, ada.id, ada.photo)

    assert [registration.photo for registration in await read_registrations(database)] == [""]
    assert list_stored_files(settings) == []


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
