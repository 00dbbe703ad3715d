"""The adapter, which alone uses private names of SQLAdmin, and templates that call async methods without `await`."""

import asyncio
import re
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment
from sqladmin import Admin, ModelView
from sqladmin.forms import ModelConverter
from starlette.applications import Starlette
from starlette.requests import Request

from opportune.accounts.models import Group
from opportune.admin import AdminView, sqladmin_adapter
from opportune.admin.templates import AdminTemplates

ADAPTER = Path(sqladmin_adapter.__file__)
PRIVATE = re.compile(r"\.(_[a-z]\w*)")
DECORATOR_ATTRIBUTES = {"_action", "_confirmation_message", "_exposed", "_slug", "_label"}
"""Attributes that `@action` and `@expose` set."""
OWN_METHODS = {"_choose_names"}
"""Private methods that the adapter defines for the framework's views."""


class PlainView(ModelView, model=Group): ...


class CrewAdmin(AdminView, model=Group):
    identity = "crew"


def find_private_names() -> set[str]:
    site = Admin(Starlette(), session_maker=None, engine=None)
    site.add_view(PlainView)
    names = {name for instance in (site, site.views[0], ModelConverter()) for name in dir(instance)}
    return {name for name in names if re.fullmatch(r"_[a-z]\w*", name)} | DECORATOR_ATTRIBUTES


def test_private_names_of_the_adapter_exist() -> None:
    defined = set(re.findall(r"^(?:def )?(_\w+)", ADAPTER.read_text(), re.MULTILINE))
    used = set(PRIVATE.findall(ADAPTER.read_text())) - defined - OWN_METHODS
    assert len(used) > 10
    assert used <= find_private_names()


def test_view_of_a_model_keeps_its_identity() -> None:
    assert CrewAdmin.identity == "crew"


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
