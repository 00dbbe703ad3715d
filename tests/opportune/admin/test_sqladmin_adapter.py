"""SQLAdmin's private names are met in one module, and the parts of the admin do not know the classes that have them."""

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
    known = {name for thing in (site, site.views[0], ModelConverter()) for name in dir(thing)}
    return {name for name in known if re.fullmatch(r"_[a-z]\w*", name)} | OF_ACTIONS


def sources() -> Iterator[Path]:
    yield from (path for path in (FRAMEWORK / "admin").rglob("*.py") if path != ADAPTER)
    yield from (FRAMEWORK / "templates").glob("*admin/*.html")


def test_no_other_module_and_no_template_uses_a_private_name_of_sqladmin() -> None:
    private = private_names()
    used = [(path.name, name) for path in sources() for name in PRIVATE.findall(path.read_text()) if name in private]
    assert used == []


def test_each_private_name_that_the_adapter_uses_is_there() -> None:
    own = set(re.findall(r"^(?:def )?(_\w+)", ADAPTER.read_text(), re.MULTILINE))
    used = set(PRIVATE.findall(ADAPTER.read_text())) - own
    assert len(used) > 10
    assert used <= private_names()


def test_parts_of_the_admin_import_one_another_in_no_circle() -> None:
    parts = (path for path in sources() if path.name != "__init__.py")  # which imports what is asked for
    assert [path.name for path in parts if "TYPE_CHECKING" in path.read_text()] == []
