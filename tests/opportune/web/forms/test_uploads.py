"""Uploaded files: their types, names and limits."""

import tempfile
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from httpx2 import AsyncClient
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette import formparsers

from opportune.application import create_app
from opportune.storage import images
from opportune.testing.plugin import settings_for
from opportune.web.forms.forms import Form, read_form
from opportune.web.forms.uploads import ImageUpload, Upload, display_name
from opportune.web.middleware.body_limit import MAX_BODY_BYTES
from tests.opportune.storage.pictures import photo

PATH = "/api/send"
MAX_UPLOAD_BYTES = 3_000_000
TOO_LARGE = "Please choose a file of at most 3 MB."
URL_ENCODED = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}


class Application(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    photo: ImageUpload | None = None
    paper: Upload | None = None


class Title(BaseModel):
    """Form without a file."""

    title: str


@pytest.fixture(scope="module")
def app() -> FastAPI:
    changes = {"max_upload_bytes": MAX_UPLOAD_BYTES}
    app = create_app(settings_for("sqlite:///never-opened.db").model_copy(update=changes))

    @app.post(PATH)
    async def send(request: Request) -> dict[str, Any]:
        form = await read_form(request, Application)
        uploads = [form.data.photo, form.data.paper] if form.data else []
        files = [(file.filename, file.content_type, file.suffix, len(file.content)) for file in uploads if file]
        return {"title": form.value("title"), "errors": form.errors, "files": files}

    @app.get("/api/attributes")
    async def attributes() -> dict[str, Any]:
        return dict(Form(Application).field("paper").attributes)

    @app.post("/api/title")
    async def set_title(request: Request) -> dict[str, str]:
        return (await read_form(request, Title)).errors

    return app


async def submit(client: AsyncClient, **files: tuple[str, bytes, str]) -> dict[str, Any]:
    """Submit these files, and return the title, errors and files that the route reads."""
    response = await client.post(PATH, data={"title": "Ada"}, files=files)
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


async def test_image_type_is_detected_from_content(client: AsyncClient) -> None:
    content = photo("PNG")
    result = await submit(client, photo=("C:\\fakepath\\me.exe", content, "text/html"))
    assert result["files"] == [["me.exe", "image/png", "png", len(content)]]


async def test_single_field_checks_one_image(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[bytes] = []

    def check(content: bytes) -> str:
        checked.append(content)
        return "image/png"

    monkeypatch.setattr(images, "_check", check)
    files = [("photo", (name, name.encode(), "image/png")) for name in ("a.png", "b.png")]
    response = await client.post(PATH, data={"title": "Ada"}, files=files)
    assert [name for name, *_ in response.json()["files"]] == ["b.png"]
    assert checked == [b"b.png"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html></html>", images.UNKNOWN),
        (photo()[:-100], images.DAMAGED),
        (b"", images.UNKNOWN),
        (b"\0" * (MAX_UPLOAD_BYTES + 1), TOO_LARGE),
    ],
)
async def test_hostile_file_is_a_field_error(client: AsyncClient, content: bytes, message: str) -> None:
    result = await submit(client, photo=("a.jpg", content, "image/jpeg"))
    assert (result["title"], result["errors"]) == ("Ada", {"photo": message})


async def test_upload_field_accepts_any_file(client: AsyncClient) -> None:
    result = await submit(client, paper=("a.html", b"<html></html>", "text/html"))
    assert result["files"] == [["a.html", "application/octet-stream", "bin", 13]]


async def test_text_instead_of_file_is_refused(client: AsyncClient) -> None:
    assert (await client.post(PATH, data={"title": "Ada", "photo": "/etc/passwd"})).json()["files"] == []
    with pytest.raises(ValidationError, match="Please choose a file"):
        Application(title="Ada", photo={"filename": "x", "content": b"x"})


async def test_large_body_needs_a_file_form_and_is_limited(client: AsyncClient) -> None:
    file = ("a.bin", b"\0" * MAX_UPLOAD_BYTES, "application/octet-stream")
    assert (await submit(client, paper=file))["files"][0][-1] == MAX_UPLOAD_BYTES
    assert (await client.post("/api/title", data={"title": "Ada"}, files={"paper": file})).status_code == 413
    assert (await client.post(PATH, content=b"title=" + b"a" * MAX_BODY_BYTES, headers=URL_ENCODED)).status_code == 413
    file = ("a.bin", b"\0" * (MAX_UPLOAD_BYTES + MAX_BODY_BYTES), "application/octet-stream")
    assert (await client.post(PATH, data={"title": "Ada"}, files={"paper": file})).status_code == 413


async def test_upload_limit_is_a_setting(client: AsyncClient) -> None:
    attributes = (await client.get("/api/attributes")).json()
    assert (str(attributes["data-largest"]), attributes["data-too-large"]) == (str(MAX_UPLOAD_BYTES), TOO_LARGE)


async def test_interrupted_upload_leaves_no_file(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    files: list[tempfile.SpooledTemporaryFile[bytes]] = []

    def open_file(**options: Any) -> "tempfile.SpooledTemporaryFile[bytes]":
        file: tempfile.SpooledTemporaryFile[bytes] = tempfile.SpooledTemporaryFile(**options)  # noqa: SIM115 - stays open
        files.append(file)
        return file

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", open_file)

    async def chunks() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="paper"; filename="a"\r\n\r\n' + b"\0" * 2_000_000
        yield b"\0" * (MAX_UPLOAD_BYTES + MAX_BODY_BYTES)

    assert (await client.post(PATH, content=chunks(), headers=MULTIPART)).status_code == 413
    assert [file.closed for file in files] == [True], "closing a temporary file deletes it"


def test_filename_is_one_harmless_line() -> None:
    for filename, expected in (
        ("../../etc/passwd", "passwd"),
        ("C:\\a\\b.jpg", "b.jpg"),
        ("a\0\r\n\x1bb.jpg", "ab.jpg"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        (".." + "/", "file"),
        ("a" * 1_000_000, "a" * 100),
        ("Größe 日本.png", "Größe 日本.png"),
    ):
        assert display_name(filename) == expected, filename
