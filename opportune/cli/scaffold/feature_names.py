"""Checks of names of features and of the URLs of their pages."""

import ast
import builtins
import importlib.util
import keyword
import re
from collections.abc import Iterator
from pathlib import Path

from opportune.cli.scaffold.source import bound_names
from opportune.errors import OperatorError
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import FRAMEWORK, PACKAGE, PROJECT
from opportune.project.optional_features import OPTIONAL_FEATURES

FRAMEWORK_PATHS = {"accounts", "admin", "api", "docs", "files", "health", "mailbox", "static"}
FILES_WITH_URLS = ("pages.py", "api.py", "feature.py")
MAX_NAME_LENGTH = 24
RESERVED = {"installed", "main", "models", "new", "pages", "settings", "tests", "visitors"}
"""Modules of projects and features, which would be ambiguous as a feature name, and a feature of the framework."""


def name_problem(name: str) -> str:
    """Return a sentence if the name is invalid, reserved, or the name of a feature in the project; else empty."""
    if problem := _spelling_problem(name):
        return problem
    modules = {path.stem for pattern in ("*", "contrib/*") for path in FRAMEWORK.glob(pattern)}
    if keyword.iskeyword(name) or name in {*dir(builtins), *FRAMEWORK_PATHS, *OPTIONAL_FEATURES, *RESERVED, *modules}:
        return f"{name!r} is reserved by Python or by the framework."
    if existing := next(filter(files_in, folders(name)), None):
        return f"{existing.relative_to(PROJECT)} already exists."
    return ""


def check_name(name: str) -> None:
    """Check that a new feature can have this name."""
    problem = name_problem(name)
    if not problem and (package := feature_packages().get(name)):
        problem = f"The package {Path(package).name} has a feature named {name!r}."
    if not problem and ((PROJECT / PACKAGE / f"{name}.py").exists() or importlib.util.find_spec(name)):
        problem = f"There is a Python module named {name!r}."
    if problem:
        raise OperatorError(problem if "." in name else f"{problem} Choose another name.")


def _spelling_problem(name: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) and 2 <= len(name) <= MAX_NAME_LENGTH:
        return ""
    if re.fullmatch(r"\w+\.\w+", name):
        return f"{name!r} is not a feature name. Separate feature and model by a space: {name.replace('.', ' ')}."
    return (
        f"{name!r} is not a feature name. Use 2 to {MAX_NAME_LENGTH} lowercase letters, digits and underscores, "
        "such as book_reviews."
    )


def folders(name: str) -> list[Path]:
    return [PROJECT / parent / name for parent in (PACKAGE, "tests")]


def files_in(folder: Path) -> list[Path]:
    """Return the files in a folder, without compiled ones, which stay when git removes the others."""
    return [file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]


def require_feature_folder(project: Path, name: str) -> None:
    if re.fullmatch(r"\w+", name) and (project / PACKAGE / name / "feature.py").is_file():
        return
    raise OperatorError(
        _spelling_problem(name)
        or f"There is no feature {PACKAGE}/{name}. Create it with its first model: "
        f"python3 oppman.py startapp {name} MODEL FIELD…"
    )


def check_path(project: Path, path: str) -> None:
    """Check that pages can use this URL."""
    if not re.fullmatch(r"/[a-z][a-z0-9-]*(/[a-z][a-z0-9-]*)*", path):
        raise OperatorError(f"{path!r} is not an address. Use lowercase letters, digits and hyphens: --path /books.")
    first = path.split("/")[1]
    if first in FRAMEWORK_PATHS:
        raise OperatorError(f"The framework uses the address /{first}. Choose another with --path.")
    for file in sorted(file for name in FILES_WITH_URLS for file in project.glob(f"{PACKAGE}/*/{name}")):
        if path in _addresses_in(file):
            name = file.relative_to(project).as_posix()
            raise OperatorError(f"{name} already uses the address {path}. Choose another with --path.")


def _addresses_in(file: Path) -> Iterator[str]:
    """Yield the prefixes of routers and pages, and the routes of routers without prefix."""
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:  # reported when the module is imported
        return
    nodes = [*ast.walk(tree)]
    with_prefix: set[str] = set()
    for node in nodes:
        match node:
            case ast.Assign(value=ast.Call(keywords=keywords)) | ast.AnnAssign(value=ast.Call(keywords=keywords)):
                if any(keyword.arg == "prefix" for keyword in keywords):
                    with_prefix |= bound_names(ast.Module([node], []))
    for node in nodes:
        match node:
            case ast.keyword("prefix", ast.Constant(str(address))):
                yield address
            case ast.Call(ast.Name(), [_, ast.Constant(str(address)), *_]):  # BookPages(Books, "/books")
                yield address
            case ast.Call(ast.Attribute(router), [ast.Constant(str(address)), *_]):  # @router.get("/books")
                if ast.unparse(router) not in with_prefix:
                    yield address
