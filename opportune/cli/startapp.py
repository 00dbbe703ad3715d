"""`oppman.py startapp`: a small feature to begin with, from the templates in skeleton/."""

import builtins
import importlib.util
import keyword
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Annotated

import typer
from sqladmin.helpers import slugify_class_name

from opportune.cli.installed import INSTALLED, with_feature
from opportune.errors import OperatorError
from opportune.project import PACKAGE, PROJECT, installed_names

SKELETON = Path(__file__).parent / "skeleton"
MAX_NAME_LENGTH = 24
MAX_LINE_LENGTH = 120
RESERVED = {"files", "health", "mailbox", "static"}
"""Addresses of the framework's own."""
OF_SKELETON = {
    *(
        "add",
        "annotated",
        "api",
        "change",
        "delete",
        "edit",
        "field",
        "fields",
        "find",
        "flash",
        "form",
        "index",
        "model",
    ),
    *("models", "new", "page", "pages", "personal_data", "query", "read", "redirect", "request", "response", "router"),
    *("row", "save", "schemas", "templates", "text", "users", "wanted"),
}
"""Names in the skeleton's code, where a feature of that name would make them mean two things."""
PARTS = {
    PACKAGE: ("models.py", "service.py", "pages.py", "api.py", "admin.py", "personal.py", "feature.py"),
    "tests": ("access.txt", "conftest.py", "test_pages.py", "test_api.py", "test_admin.py"),
}
"""The files in each folder, from the skeleton."""


def command(name: Annotated[str, typer.Argument(help="Its name, such as notes: also that of its folders.")]) -> None:
    """Create a feature of your own: a table, pages, API, admin and tests, ready to be changed."""
    if fault := name_error(name):
        raise OperatorError(fault)
    installed = PROJECT / INSTALLED
    installed_text = with_feature(installed.read_text(), name)
    try:
        for path, text in render(name).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        installed.write_text(installed_text)
        tidy(folders(name))
    except OSError as error:
        for folder in folders(name):
            shutil.rmtree(folder, ignore_errors=True)
        raise OperatorError(f"{error.filename} cannot be written ({error.strerror}); nothing was created.") from error
    print(f"Created {', '.join(str(folder.relative_to(PROJECT)) for folder in folders(name))}; {INSTALLED} has it.")
    print("Next:")
    for step in (f"makemigrations {name}", "migrate", f"test tests/{name}", "runserver"):
        print(f"  python3 oppman.py {step}")


def name_error(name: str) -> str:
    """Why there cannot be a feature of that name; empty if there can."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or not 2 <= len(name) <= MAX_NAME_LENGTH:
        return f"{name!r} is no feature's name: 2 to {MAX_NAME_LENGTH} small letters, digits and _, as in book_reviews."
    if keyword.iskeyword(name) or name in {*RESERVED, *OF_SKELETON, *dir(builtins), *installed_names()}:
        return f"{name!r} is taken: it means something in Python or on this site. Choose another name."
    if there := next((folder for folder in folders(name) if folder.exists()), None):
        return f"There is {there.relative_to(PROJECT)} already. Choose another name."
    if importlib.util.find_spec(f"{PACKAGE}.{name}") or importlib.util.find_spec(name):
        return f"{name!r} is the name of a Python module. Choose another name."
    return ""


def folders(name: str) -> list[Path]:
    return [PROJECT / parent / name for parent in PARTS]


def render(name: str) -> dict[Path, str]:
    """The new files and their content."""
    words = words_of(name)
    files = {PROJECT / folder / name / file: filled(file, words) for folder, names in PARTS.items() for file in names}
    packages = {PROJECT / folder / name / "__init__.py": "" for folder in (PACKAGE, "tests")}
    return packages | files


def words_of(name: str) -> dict[str, str]:
    """What a feature of that name calls its things: `Note` is a row of `notes`, `Notes` are one person's."""
    thing = name if name.endswith("ss") else name.removesuffix("s")
    model, plural = ("".join(word.capitalize() for word in each.split("_")) for each in (thing, name))
    return {
        "name": name,
        "model": model,
        "plural": plural if plural != model else f"{model}Service",
        "table": f"{name}_{thing.split('_')[-1]}",
        "identity": slugify_class_name(model),
        "path": name.replace("_", "-"),
        "label": name.replace("_", " ").capitalize(),
        "label_small": name.replace("_", " "),
        "thing": thing,
    }


def tidy(paths: Sequence[Path]) -> None:
    """Wrap the lines that a long name makes too long for the linter, if that is installed."""
    files = [file for path in paths for file in path.glob("*.py")]
    if importlib.util.find_spec("ruff") and any(
        len(line) > MAX_LINE_LENGTH for file in files for line in file.read_text(encoding="utf-8").splitlines()
    ):
        for task in (["check", "--fix-only", "--select=I"], ["format"]):
            subprocess.run([sys.executable, "-m", "ruff", *task, "--quiet", *files], cwd=PROJECT, check=False)  # noqa: S603 - our own


def filled(file: str, words: dict[str, str]) -> str:
    return Template((SKELETON / f"{file}.tmpl").read_text()).substitute(words)
