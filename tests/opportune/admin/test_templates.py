"""Templates of the admin, which call async methods without `await`."""

import asyncio

import pytest
from jinja2 import DictLoader, Environment
from sqlalchemy.exc import MissingGreenlet
from starlette.requests import Request

from opportune.admin.templates import AdminTemplates


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


@pytest.fixture
def templates() -> AdminTemplates:
    env = Environment(loader=DictLoader({"page.html": "{{ double(2) }} {{ name }}"}), autoescape=True)
    env.globals["double"] = double
    return AdminTemplates(env)


async def test_error_of_an_async_function_is_raised(templates: AdminTemplates) -> None:
    async def fail(_number: int) -> int:
        raise LookupError("no such number")

    templates.env.globals["double"] = fail
    with pytest.raises(LookupError, match="no such number"):
        await templates.TemplateResponse(Request({"type": "http"}), "page.html")


def test_sync_rendering_refuses_async_functions(templates: AdminTemplates) -> None:
    with pytest.raises(MissingGreenlet):
        templates.env.get_template("page.html").render()
