from fastapi import FastAPI, Request
from httpx import AsyncClient
from pydantic import BaseModel, Field

from app.core.text import Line, Text
from app.core.web.forms import read_form


class Letter(BaseModel):
    subject: Line = Field(min_length=1, max_length=20)
    body: Text = ""
    password: str = ""


async def sent(app: FastAPI, client: AsyncClient, **fields: str) -> dict[str, object]:
    """What a route reads of a form."""

    @app.post("/api/letter")
    async def letter(request: Request) -> dict[str, object]:
        form = await read_form(request, Letter)
        return {"data": form.data and form.data.model_dump(), "values": form.values, "errors": form.errors}

    result: dict[str, object] = (await client.post("/api/letter", data=fields)).json()
    return result


async def test_a_valid_form_becomes_its_model(app: FastAPI, client: AsyncClient) -> None:
    result = await sent(app, client, subject="  Hello ", body="a\nb", unknown="x")
    assert result["data"] == {"subject": "Hello", "body": "a\nb", "password": ""}
    assert result["errors"] == {}


async def test_a_field_that_was_left_empty_is_asked_for(app: FastAPI, client: AsyncClient) -> None:
    result = await sent(app, client, subject="", body="kept")
    assert result["data"] is None
    assert result["errors"] == {"subject": "Please fill this in."}
    assert result["values"] == {"subject": "", "body": "kept"}


async def test_errors_are_sentences_beside_their_fields(app: FastAPI, client: AsyncClient) -> None:
    result = await sent(app, client, subject="x" * 21, body="a\0b")
    assert result["errors"] == {
        "subject": "Please write at most 20 characters.",
        "body": "Must not contain the character NUL.",
    }


async def test_a_password_is_never_sent_back(app: FastAPI, client: AsyncClient) -> None:
    result = await sent(app, client, subject="", password="hidden")
    assert "hidden" not in str(result)
