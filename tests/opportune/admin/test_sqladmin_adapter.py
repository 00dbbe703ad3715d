"""Only the adapter module uses private names of SQLAdmin."""

import re
from collections.abc import Iterator
from pathlib import Path

from sqladmin import Admin, ModelView
from sqladmin.forms import ModelConverter
from starlette.applications import Starlette

from opportune.accounts.models import Group
from opportune.admin import sqladmin_adapter
from opportune.project.layout import FRAMEWORK

ADAPTER = Path(sqladmin_adapter.__file__)
PRIVATE = re.compile(r"\.(_[a-z]\w*)")
DECORATOR_ATTRIBUTES = {"_action", "_confirmation_message", "_exposed", "_slug", "_label"}
"""Attributes that `@action` and `@expose` set."""
OWN_METHODS = {"_choose_names"}
"""Private methods that the adapter defines for the framework's views."""


class PlainView(ModelView, model=Group):
    pass


def find_private_names() -> set[str]:
    site = Admin(Starlette(), session_maker=None, engine=None)
    site.add_view(PlainView)
    names = {name for instance in (site, site.views[0], ModelConverter()) for name in dir(instance)}
    return {name for name in names if re.fullmatch(r"_[a-z]\w*", name)} | DECORATOR_ATTRIBUTES


def find_sources() -> Iterator[Path]:
    yield from (path for path in (FRAMEWORK / "admin").rglob("*.py") if path != ADAPTER)
    yield from (FRAMEWORK / "templates").glob("*admin/*.html")


def test_only_the_adapter_uses_private_names() -> None:
    private = find_private_names()
    used = [
        (path.name, name) for path in find_sources() for name in PRIVATE.findall(path.read_text()) if name in private
    ]
    assert used == []


def test_private_names_of_the_adapter_exist() -> None:
    defined = set(re.findall(r"^(?:def )?(_\w+)", ADAPTER.read_text(), re.MULTILINE))
    used = set(PRIVATE.findall(ADAPTER.read_text())) - defined - OWN_METHODS
    assert len(used) > 10
    assert used <= find_private_names()


def test_modules_need_no_type_checking_imports() -> None:
    modules = (path for path in find_sources() if path.name != "__init__.py")  # imports modules on first use
    assert [path.name for path in modules if "TYPE_CHECKING" in path.read_text()] == []
