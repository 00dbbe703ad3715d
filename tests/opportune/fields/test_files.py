"""Image and file fields: renditions, access and deletion."""

import asyncio
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import psycopg
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import TypeAdapter, ValidationError, create_model
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import UploadFile

from opportune.db import before_create
from opportune.db.hooks.registry import temporary_hooks
from opportune.db.listeners import listening
from opportune.db.sessions.insertion import InsertingSession
from opportune.errors import FieldErrors, OperatorError
from opportune.fields import Image, image_field, stored_uploads
from opportune.storage import Storage, images, public_folders
from opportune.storage import shrink as shrink_image
from opportune.storage.public_folders import copy_name
from opportune.storage.storage import DiskFullError
from opportune.testing.recorded_jobs import RecordedJobs
from opportune.web import Form
from opportune.web.forms.uploads import Upload, read_upload
from tests.opportune.fields.samples_feature import Sample
from tests.opportune.storage.pictures import decode_image, photo
from tests.opportune.stored_rows import add_rows, change_row, delete_row, read_one


@pytest.fixture
def storage(app: FastAPI) -> Storage:
    return app.state.storage  # type: ignore[no-any-return]  # state is untyped


@pytest.fixture
def database_is_lost(app: FastAPI) -> Iterator[None]:
    """Lose the connection after each commit, before the response of the database."""

    def lose(_session: object) -> None:
        raise OperationalError("COMMIT", {}, psycopg.OperationalError("server closed the connection unexpectedly"))

    with listening(InsertingSession, after_commit=lose):
        yield


async def upload_picture(content: bytes | None = None) -> Upload:
    content = photo() if content is None else content
    upload = await read_upload(UploadFile(BytesIO(content), size=len(content), filename="a.jpg"))
    assert upload
    return upload


async def add_sample(app: FastAPI, **uploads: Upload) -> Sample:
    async with stored_uploads(app.state.storage, Sample, {"title": "One", **uploads}) as values:
        await add_rows(app, Sample(**values))
    row: Sample = await read_one(app, Sample)
    return row


async def test_public_image_is_resized_and_cached(app: FastAPI, storage: Storage, client: AsyncClient) -> None:
    row = await add_sample(app, cover=await upload_picture())
    image, thumb = await client.get(row.cover.url()), await client.get(row.cover.url("thumb"))
    assert image.status_code == thumb.status_code == 200
    assert image.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert image.headers["content-type"] == "image/webp"
    assert max(decode_image(thumb.content).size) == 20
    for size, status in (("30", 404), ("0020", 403), ("2" * 5000, 403)):
        other_url = row.cover.url().replace("/covers/", f"/covers/{size}/")
        assert (await client.get(other_url)).status_code == status


async def test_missing_rendition_is_created_on_request(
    app: FastAPI, storage: Storage, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await add_sample(app, cover=await upload_picture())
    await storage.delete(copy_name(row.cover, 20))
    with monkeypatch.context() as full_disk:
        full_disk.setattr(type(storage), "put", AsyncMock(side_effect=DiskFullError))
        full_disk.setattr(public_folders, "shrink", shrink := AsyncMock(wraps=shrink_image))
        assert [(await client.get(row.cover.url("thumb"))).status_code for _ in range(2)] == [200, 200]
        assert shrink.await_count == 1
    responses = await asyncio.gather(*(client.get(row.cover.url("thumb")) for _ in range(4)))
    assert {response.status_code for response in responses} == {200}
    assert await storage.read(copy_name(row.cover, 20))


async def test_private_file_needs_a_signed_url(app: FastAPI, storage: Storage, client: AsyncClient) -> None:
    row = await add_sample(app, contract=Upload("a.txt", b"text"))
    assert (await client.get(f"/files/{row.contract}")).status_code == 403
    assert (await client.get(await storage.url(row.contract))).content == b"text"
    with pytest.raises(ValueError, match="is private"):
        row.contract.url()


async def test_failed_write_deletes_the_upload(app: FastAPI, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with stored_uploads(app.state.storage, Sample, {"cover": await upload_picture()}):
            raise ZeroDivisionError
    assert [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()] == []


async def test_refusal_of_a_hook_deletes_the_upload(app: FastAPI, tmp_path: Path) -> None:
    async def refuse(_session: AsyncSession, _sample: Sample) -> None:
        raise FieldErrors({"title": "No."})

    form = Form(Sample)
    form.data = Sample(title="One")
    values = {"title": "One", "cover": await upload_picture()}
    with temporary_hooks():
        before_create(Sample)(refuse)
        async with app.state.database.writer() as session:

            async def store(_sample: Sample) -> None:
                async with stored_uploads(app.state.storage, Sample, values, session) as stored:
                    session.add(Sample(**stored))

            assert not await form.save(store, session)
    assert [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()] == []


async def test_interrupted_commit_keeps_the_upload(app: FastAPI, database_is_lost: None) -> None:
    with pytest.raises(OperationalError):
        await add_sample(app, contract=Upload("a.txt", b"text"))
    assert await app.state.storage.read((await read_one(app, Sample)).contract) == b"text"


async def test_replaced_and_deleted_files_are_removed(app: FastAPI, recorded_jobs: RecordedJobs) -> None:
    row = await add_sample(app, cover=await upload_picture(), contract=Upload("a.txt", b"text"))
    cover, contract = str(row.cover), str(row.contract)
    await change_row(app, Sample, row.id, cover=Image(""))
    assert [call.arguments for call in recorded_jobs.calls] == [([cover, copy_name(cover, 20)],)]
    await delete_row(app, row)
    assert [call.arguments for call in recorded_jobs.calls][1:] == [([contract],)]


async def test_rollback_keeps_the_file(app: FastAPI, recorded_jobs: RecordedJobs) -> None:
    row = await add_sample(app, cover=await upload_picture())
    async with app.state.database.writer() as session:
        (await session.get_one(Sample, row.id)).cover = Image("")
        await session.flush()
        await session.rollback()
    assert recorded_jobs.calls == []


@pytest.mark.parametrize("value", ["covers/0123456789abcdef0123456789abcdef.webp", None])
def test_text_is_not_a_file(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"Please choose a file\."):
        TypeAdapter(Image).validate_python(value)
    assert TypeAdapter(Image).json_schema() == {"type": "string", "maxLength": 0}


def test_form_of_a_schema_uploads_an_image() -> None:
    field = Form(create_model("Profile", avatar=(Image | None, None))).field("avatar")
    assert (field.type, field.attributes["accept"]) == ("file", ",".join(images.CONTENT_TYPES))


async def test_json_has_urls_of_public_files(app: FastAPI) -> None:
    row = await add_sample(app, cover=await upload_picture(), contract=Upload("a.txt", b"text"))
    data = row.model_dump(mode="json")
    assert (data["cover"], data["contract"]) == (row.cover.url(), str(row.contract))
    assert isinstance(row.model_dump()["cover"], Image)


def test_folder_cannot_be_public_and_private() -> None:
    with pytest.raises(OperatorError, match="'contracts' are public in one field and not in another"):
        image_field("contracts")
