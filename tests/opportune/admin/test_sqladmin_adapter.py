"""Only one module uses private names of SQLAdmin, and no part of the admin knows the classes with them."""

import re
from collections.abc import Iterator
from pathlib import Path

from sqladmin import Admin, ModelView
from sqladmin.forms import ModelConverter
from starlette.applications import Starlette

from opportune.accounts.models import Group
from opportune.admin import sqladmin_adapter
from opportune.config.project import FRAMEWORK

ADAPTER = Path(sqladmin_adapter.__file__)
PRIVATE = re.compile(r"\.(_[a-z]\w*)")
OF_ACTIONS = {"_action", "_exposed", "_slug", "_label"}
"""Of what `@action` and `@expose` give."""


class PlainView(ModelView, model=Group):
    pass


def private_names() -> set[str]:
    site = Admin(Starlette(), session_maker=None, engine=None)
    site.add_view(PlainView)
    stored_user = {name for thing in (site, site.views[0], ModelConverter()) for name in dir(thing)}
    return {name for name in stored_user if re.fullmatch(r"_[a-z]\w*", name)} | OF_ACTIONS


def sources() -> Iterator[Path]:
    yield from (path for path in (FRAMEWORK / "admin").rglob("*.py") if path != ADAPTER)
    yield from (FRAMEWORK / "templates").glob("*admin/*.html")


def test_only_the_adapter_uses_private_names() -> None:
    private = private_names()
    used = [(path.name, name) for path in sources() for name in PRIVATE.findall(path.read_text()) if name in private]
    assert used == []


def test_private_names_of_the_adapter_exist() -> None:
    response = set(re.findall(r"^(?:def )?(_\w+)", ADAPTER.read_text(), re.MULTILINE))
    used = set(PRIVATE.findall(ADAPTER.read_text())) - response
    assert len(used) > 10
    assert used <= private_names()


def test_modules_need_no_type_checking_imports() -> None:
    parts = (path for path in sources() if path.name != "__init__.py")  # imports modules on first use
    assert [path.name for path in parts if "TYPE_CHECKING" in path.read_text()] == []
