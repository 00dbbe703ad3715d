"""`oppman.py startapp`: a small feature to begin with, from the templates in skeleton/."""

import ast
import builtins
import importlib.util
import keyword
import re
import shutil
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from opportune.errors import OperatorError
from opportune.project import PROJECT, installed_names

SKELETON = Path(__file__).parent / "skeleton"
MAX_NAME_LENGTH = 24
RESERVED = {"api", "field", "fields", "files", "health", "mailbox", "model", "models", "pages", "static"}
"""Addresses of the kernel, and names that the skeleton's own code needs."""


def command(name: Annotated[str, typer.Argument(help="Its name, such as notes: also that of its folders.")]) -> None:
    """Create a feature of your own: a table, a page, its admin and a test, ready to be changed."""
    if fault := name_error(name):
        raise OperatorError(fault)
    installed = PROJECT / "app/installed.py"
    installed_text = with_feature(installed.read_text(), name)
    try:
        for path, text in render(name).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        installed.write_text(installed_text)
    except OSError as error:
        for folder in folders(name):
            shutil.rmtree(folder, ignore_errors=True)
        raise OperatorError(f"{error.filename} cannot be written ({error.strerror}); nothing was created.") from error
    print(
        f"Created {', '.join(str(folder.relative_to(PROJECT)) for folder in folders(name))}; app/installed.py has it."
    )
    print("Next:")
    for step in (f"makemigrations {name}", "migrate", f"test tests/{name}", "runserver"):
        print(f"  python3 oppman.py {step}")


def name_error(name: str) -> str:
    """Why there cannot be a feature of that name; empty if there can."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or not 2 <= len(name) <= MAX_NAME_LENGTH:
        return f"{name!r} is no feature's name: 2 to {MAX_NAME_LENGTH} small letters, digits and _, as in book_reviews."
    if keyword.iskeyword(name) or name in RESERVED or name in (*dir(builtins), *installed_names()):
        return f"{name!r} is taken: it means something in Python or on this site. Choose another name."
    if there := next((folder for folder in folders(name) if folder.exists()), None):
        return f"There is {there.relative_to(PROJECT)} already. Choose another name."
    if importlib.util.find_spec(f"app.{name}") or importlib.util.find_spec(name):
        return f"{name!r} is the name of a Python module. Choose another name."
    return ""


def folders(name: str) -> list[Path]:
    return [PROJECT / parent / name for parent in ("app", "templates", "tests")]


def render(name: str) -> dict[Path, str]:
    """The new files and their content."""
    code, pages, tests = folders(name)
    thing = name if name.endswith("ss") else name.removesuffix("s")
    words = {
        "name": name,
        "model": "".join(word.capitalize() for word in thing.split("_")),
        "table": f"{name}_{thing.split('_')[-1]}",
        "path": name.replace("_", "-"),
        "label": name.replace("_", " ").capitalize(),
    }
    places = {
        code: ("models.py", "schemas.py", "pages.py", "admin.py", "feature.py"),
        pages: ("index.html",),
        tests: ("test_pages.py",),
    }
    files = {folder / file: filled(file, words) for folder, names in places.items() for file in names}
    return {code / "__init__.py": "", tests / "__init__.py": "", **files}


def filled(file: str, words: dict[str, str]) -> str:
    return Template((SKELETON / f"{file}.tmpl").read_text()).substitute(words)


def with_feature(source: str, name: str) -> str:
    """The text of app/installed.py with one feature more: an import in its place, an entry at the end.

    Raises:
        OperatorError: the list is not written as it was when the project began.
    """
    tree = ast.parse(source)
    features = next((node.value for node in tree.body if isinstance(node, ast.AnnAssign)), None)
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    if not isinstance(features, ast.Tuple) or not imports:
        raise OperatorError("app/installed.py has no INSTALLED: tuple[Feature, ...] = (...) to add a feature to.")
    lines = source.splitlines()
    lines[features.lineno - 1 : features.end_lineno] = entries(lines, features, name)
    module = f"app.{name}.feature"
    before = [node.end_lineno or 0 for node in imports if (node.module or "") < module]
    lines.insert(before[-1] if before else imports[0].lineno - 1, f"from {module} import {name}")
    return "\n".join(lines) + "\n"


def entries(lines: list[str], features: ast.Tuple, name: str) -> list[str]:
    """The lines of the tuple, with the name added."""
    old = lines[features.lineno - 1 : features.end_lineno]
    if len(old) > 1:
        return [*old[:-1], f"    {name},", old[-1]]
    one_each = [f"    {ast.unparse(entry)}," for entry in features.elts]
    return [old[0][: features.col_offset] + "(", *one_each, f"    {name},", ")"]
