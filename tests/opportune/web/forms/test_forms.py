"""Reading and validation of forms, and the fields that templates get."""

from datetime import UTC, date, datetime, time
from io import BytesIO
from typing import Any, Literal

import pytest
from fastapi import FastAPI, Request
from httpx2 import AsyncClient
from pydantic import BaseModel, Field, model_validator
from starlette.datastructures import FormData, Headers, UploadFile

from opportune.schemas.text import Line, Text
from opportune.web import Form, ImageUpload, Schema, Upload, read_form
from opportune.web.forms.forms import MAX_FIELDS, MAX_FILES


class Letter(BaseModel):
    subject: Line = Field(min_length=1, max_length=20)
    body: Text = ""
    password: str = ""


async def submit(app: FastAPI, client: AsyncClient, **fields: str) -> dict[str, object]:
    """Submit a letter, and return the data, values and errors that the route reads."""

    @app.post("/api/letter")
    async def letter(request: Request) -> dict[str, object]:
        form = await read_form(request, Letter)
        return {"data": form.data and form.data.model_dump(), "values": form.values, "errors": form.errors}

    result: dict[str, object] = (await client.post("/api/letter", data=fields)).json()
    return result


async def test_valid_form_becomes_its_model(app: FastAPI, client: AsyncClient) -> None:
    result = await submit(app, client, subject="  Hello ", body="a\nb", unknown="x")
    assert result["data"] == {"subject": "Hello", "body": "a\nb", "password": ""}
    assert result["errors"] == {}


async def test_empty_required_field_is_an_error(app: FastAPI, client: AsyncClient) -> None:
    result = await submit(app, client, subject="", body="kept", password="not sent back")
    assert result["data"] is None
    assert result["errors"] == {"subject": "Please fill this in."}
    assert result["values"] == {"subject": "", "body": "kept"}


async def test_form_in_any_encoding_is_handled(app: FastAPI, client: AsyncClient) -> None:
    await submit(app, client)
    part = b'--x\r\nContent-Disposition: form-data; name="subject"\r\n\r\n%s\r\n--x--\r\n'
    for charset in ("unicode_escape", "idna", "nothing"):
        headers = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
        for text in (rb"\ud800" * 21, b"xn--" + b"a" * 99):
            response = await client.post("/api/letter", content=part % text, headers=headers)
            assert response.status_code in (200, 400), (charset, text)


async def test_too_many_fields_or_files_are_refused(app: FastAPI, client: AsyncClient) -> None:
    await submit(app, client)
    many_fields = {f"field{number}": "x" for number in range(MAX_FIELDS + 1)}
    assert (await client.post("/api/letter", data=many_fields)).status_code == 413
    headers = {"content-type": "multipart/form-data; boundary=x"}
    file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n\r\n'
    many_files = file * (MAX_FILES + 1) + b"--x--\r\n"
    response = await client.post("/api/letter", content=many_files, headers=headers)
    assert (response.status_code, "The request is too large." in response.text) == (413, True)


class Seat(BaseModel):
    size: Literal[1, 2] = 1
    extras: list[Literal["lunch", "parking"]] = ["lunch"]
    group_id: int | None = None
    from_at: datetime | None = None
    on: date | None = None
    is_member: bool = True
    agrees: Literal[True]
    notes: Text = ""
    items: str = ""

    @model_validator(mode="after")
    def _is_possible(self) -> "Seat":
        if self.size == 2 and self.group_id == 1:
            raise ValueError("a member of the staff has one seat")
        return self


GROUPS = {"group_id": {1: "Staff", 2: "Guests"}}


class Parcel(BaseModel):
    title: Line
    one: Upload
    more: list[Upload] = []
    photo: ImageUpload | None = None


class RequiredGroup(BaseModel):
    group: Literal["a"]


async def filled_form(*fields: tuple[str, str | UploadFile], model: type[BaseModel] = Seat) -> Form[Any]:
    """Return a form that has read these submitted fields."""
    form = Form(model, choices=GROUPS if model is Seat else None)
    await form.fill(FormData(list(fields)))
    return form


def file(content: bytes, name: str = "a.png") -> UploadFile:
    return UploadFile(BytesIO(content), size=len(content), filename=name, headers=Headers())


async def test_all_field_types_are_read() -> None:
    form = await filled_form(
        ("size", "2"),
        ("extras", "lunch"),
        ("extras", "parking"),
        ("group_id", "2"),
        ("from_at", "2026-03-10T18:30"),
        ("on", ""),
        ("agrees", "true"),
        ("notes", "one\r\ntwo"),
    )
    assert form.errors == {}
    assert form.data == Seat(
        size=2,
        extras=["lunch", "parking"],
        group_id=2,
        from_at=datetime(2026, 3, 10, 18, 30, tzinfo=UTC),
        is_member=False,
        agrees=True,
        notes="one\ntwo",
    )


async def test_all_field_types_have_error_messages() -> None:
    form = await filled_form(
        ("size", "3"),
        ("extras", "dinner"),
        ("group_id", "3"),
        ("from_at", "soon"),
        ("on", "32"),
        ("is_member", "perhaps"),
        ("notes", "a\0b"),
    )
    assert form.data is None
    assert form.errors == {
        "size": "Please choose one of the options.",
        "extras": "Please choose one of the options.",
        "group_id": "Please choose one of the options.",
        "from_at": "Please enter a date and a time, such as 2026-12-31 18:30.",
        "on": "Please enter a date, such as 2026-12-31.",
        "is_member": "Please choose yes or no.",
        "agrees": "Please tick this.",
        "notes": "Must not contain the character NUL.",
    }
    assert form.value("from_at") == "soon"
    assert form.status == 422


@pytest.mark.parametrize("text", ["\ud800", "\0", "9" * 10_000])
async def test_hostile_text_is_a_field_error(text: str) -> None:
    names = ("size", "group_id", "from_at", "on", "is_member")
    form = await filled_form(("agrees", "true"), *((name, text) for name in names))
    assert form.errors.keys() >= {*names}
    assert all("\n" not in message and len(message) < 200 for message in form.errors.values())
    form.value("on").encode()


async def test_faults_belong_to_the_form_or_a_field() -> None:
    form = await filled_form(("size", "2"), ("group_id", "1"), ("agrees", "true"))
    assert form.faults == ["A member of the staff has one seat."]
    form = await filled_form(("agrees", "true"))
    assert form.status == 200
    form.refuse("All seats are taken.", "size", 409)
    assert (form.field("size").error, form.status) == ("All seats are taken.", 409)


def test_initial_values_come_from_model_or_row() -> None:
    values = Form(Seat).values
    assert (values["size"], values["extras"], values["on"], values["is_member"]) == ("1", ["lunch"], "", "true")
    row = Seat(size=2, extras=[], on=date(2026, 3, 10), is_member=False, agrees=True)
    values = Form(Seat, row).values
    assert (values["size"], values["extras"], values["on"], values["is_member"]) == ("2", [], "2026-03-10", "false")
    values = Form(Seat, {"size": 2}).values
    assert (values["size"], values["items"]) == ("2", "")  # mappings have a method of this name


def test_password_has_no_initial_value() -> None:
    assert Form(Letter, Letter(subject="a", password="hidden")).values.keys() == {"subject", "body"}


async def test_uploads_must_be_selected_again() -> None:
    more = ("more", file(b"")), ("more", file(b"b"))
    form = await filled_form(("one", file(b"text")), *more, ("photo", file(b"no picture")), model=Parcel)
    assert form.enctype == "multipart/form-data"
    assert form.errors.keys() == {"title", "photo"}
    assert [upload.content for upload in form.files["more"]] == [b"", b"b"]
    assert form.field("one").help == "Please choose the file again."
    assert form.field("photo").help == ""


async def test_missing_file_is_an_error() -> None:
    form = await filled_form(("title", "a"), ("one", file(b"", name="")), model=Parcel)
    assert form.errors == {"one": "Please choose a file."}


def test_optional_or_unselected_field_has_empty_choice() -> None:
    assert list(Form(Seat).field("size").choices) == ["1", "2"]
    assert list(Form(Seat, choices=GROUPS).field("group_id").choices) == ["", "1", "2"]
    assert list(Form(RequiredGroup).field("group").choices) == ["", "a"]
    assert list(Form(RequiredGroup, {"group": "a"}).field("group").choices) == ["a"]


class Slot(Schema):
    begins: time
    at: datetime


async def test_unchanged_times_keep_their_microseconds() -> None:
    row = Slot(begins=time(1, 2, 3, 4), at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))
    form = Form(Slot, row)
    await form.fill(FormData({"begins": "01:02:03", "at": str(form.values["at"])}))
    assert form.data == row
