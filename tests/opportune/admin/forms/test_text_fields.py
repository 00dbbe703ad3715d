"""Text fields: input or textarea, and line breaks that stay unchanged after saving."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqladmin.forms import get_model_form
from sqlalchemy import JSON, Column, Integer, Interval, Uuid, update
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import declarative_base
from starlette.datastructures import FormData

from opportune.admin.forms.model_fields import AdminConverter
from tests.opportune.admin.gadget_feature import Gadget, gadgets, make_makers
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, execute, get_row

EDIT = "/admin/gadget/edit/1"


app = site_fixture(gadgets, make_makers)


async def add_gadget(app: FastAPI, **texts: Any) -> None:
    await add_rows(app, Gadget(name="first", maker_id=1, **texts))


async def read_gadget(app: FastAPI) -> Gadget:
    return await get_row(app, Gadget, 1)  # type: ignore[no-any-return]  # state is untyped


async def find_textareas(admin: AsyncClient) -> set[str]:
    page = (await admin.get(EDIT)).text
    return set(re.findall(r'<textarea [^>]*name="(\w+)"', page))


async def test_long_texts_have_a_textarea(app: FastAPI, admin: AsyncClient) -> None:
    await add_gadget(app, nickname="short")
    assert await find_textareas(admin) == {"notes", "story", "data"}
    for text in ("two\nlines", "two\rlines"):
        await execute(app, update(Gadget).values(nickname=text))
        assert "nickname" in await find_textareas(admin), text


async def test_line_breaks_are_stored_as_one_character(app: FastAPI, admin: AsyncClient) -> None:
    await add_gadget(app, story="old")
    full = "x" * 999 + "\r\n" + "x" * 1000  # the maximum length when a line break counts as one character
    assert (await admin.post(EDIT, data={"name": "first", "maker_id": "1", "story": full})).status_code == 303
    assert (await read_gadget(app)).story == full.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("type_", "text", "message_start"),
    [
        (Uuid(), "abc", "Please give a UUID"),
        (JSON(), "{", "Please write this as JSON"),
        (JSON(), "[" * 100_000, "Please write this as JSON"),
        (Interval(), "soon", "Please give a span of time"),
        (Interval(), "9" * 12 + " days", "Please give a span of time"),
    ],
)
async def test_invalid_value_has_a_readable_message(type_: Any, text: str, message_start: str) -> None:
    class SingleColumn(declarative_base()):  # type: ignore[misc]  # dynamic base class
        __tablename__ = "test_odd"
        id = Column(Integer, primary_key=True)
        value = Column(type_)

    form = (await get_model_form(SingleColumn, async_sessionmaker(), form_converter=AdminConverter))(
        FormData([("value", text)])
    )
    assert not form.validate()
    (message,) = form["value"].errors
    assert message.startswith(message_start)
