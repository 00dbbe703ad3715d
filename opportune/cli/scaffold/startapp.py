"""Create a feature of your own.

It has a table, pages, API, admin and tests, ready to be changed.
"""

import builtins
import importlib.util
import keyword
import re
from pathlib import Path
from typing import Annotated

import typer

from opportune.cli.output import say
from opportune.cli.scaffold.adding import Request, new_model, write_model
from opportune.cli.scaffold.addmodel import FIELDS_HELP, ByHand, Group, Icon, Navigation, Read, Write, tell
from opportune.cli.scaffold.addmodel import Path as Address
from opportune.cli.scaffold.installed import INSTALLED, with_feature
from opportune.cli.scaffold.model import filled
from opportune.cli.scaffold.words import camel, label, singular
from opportune.config.project import FRAMEWORK, PACKAGE, PROJECT
from opportune.errors import OperatorError

MAX_NAME_LENGTH = 24
RESERVED = {"files", "health", "mailbox", "static"}
"""Addresses of the framework's own."""
OF_SKELETON = {
    "admin",
    "api",
    "features",
    "feature",
    "installed",
    "main",
    "models",
    "new",
    "pages",
    "settings",
    "tests",
}
"""Names in the code of a feature, and of its folders, where a feature of that name would make them mean two things."""
FIRST_FIELDS = ("owner", "title:str", "text:text:2000:optional", "created_at")
"""Fields of the first model, if none is requested."""


def command(
    name: Annotated[str, typer.Argument(help="Its name, such as notes: also that of its folders.")],
    model: Annotated[str, typer.Argument(help="Its first model, such as Note. [default: of its name]")] = "",
    fields: Annotated[list[str] | None, typer.Argument(help=FIELDS_HELP)] = None,
    read: Read = "",
    write: Write = "",
    path: Address = "",
    icon: Icon = "point",
    group: Group = "",
    navigation: Navigation = True,
    by_hand: ByHand = False,
) -> None:
    if fault := name_error(name):
        raise OperatorError(fault)
    path = path or ("" if model else f"/{name.replace('_', '-')}")
    is_asked_for = bool(model)
    model, fields = model or camel(singular(name)), fields or [*FIRST_FIELDS]
    request = Request(name, model, fields, read, write, path, icon, group, navigation, by_hand)
    installed = PROJECT / INSTALLED
    base = {
        installed: with_feature(installed.read_text(encoding="utf-8"), name),
        PROJECT / PACKAGE / name / "feature.py": filled("feature.py", {"name": name, "label": label(name)}),
    }
    made = new_model(PROJECT, request)
    # A model that nobody has asked for is there to be changed first.
    write_model(PROJECT, made, request, base, has_migration=is_asked_for)
    say(f"Created {', '.join(str(folder.relative_to(PROJECT)) for folder in folders(name))}; {INSTALLED} has it.")
    tell(made, () if is_asked_for else (f"makemigrations {name}",))


def name_error(name: str) -> str:
    """Return why there cannot be a feature of that name; empty if there can."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or not 2 <= len(name) <= MAX_NAME_LENGTH:
        return f"{name!r} is no feature's name: 2 to {MAX_NAME_LENGTH} small letters, digits and _, as in book_reviews."
    of_framework = {path.stem for path in FRAMEWORK.iterdir()}
    if keyword.iskeyword(name) or name in {*RESERVED, *OF_SKELETON, *dir(builtins), *of_framework}:
        return f"{name!r} is taken: it means something in Python or on this site. Choose another name."
    if there := next((folder for folder in folders(name) if folder.exists()), None):
        return f"There is {there.relative_to(PROJECT)} already. Choose another name."
    if importlib.util.find_spec(f"{PACKAGE}.{name}") or importlib.util.find_spec(name):
        return f"{name!r} is the name of a Python module. Choose another name."
    return ""


def folders(name: str) -> list[Path]:
    return [PROJECT / parent / name for parent in (PACKAGE, "tests")]
