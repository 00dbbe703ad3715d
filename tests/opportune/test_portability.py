"""Portability to Windows and macOS. CI also runs mypy for these platforms."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import files, packages_distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from opportune.cli.environment.locks import BASE, DEV
from opportune.project.layout import PROJECT
from tests.opportune.cli.project.git_program import require_git

SOURCES = ("opportune", "app", "migrations")
SHARED = "opentelemetry"
"""A namespace package of several distributions."""
TEXT_CALLS = {"read_text": 0, "write_text": 1}
"""Functions with a default encoding that depends on the platform, and the position of its argument."""


def python_files() -> Iterator[Path]:
    yield PROJECT / "oppman.py"
    for folder in SOURCES:
        yield from (PROJECT / folder).rglob("*.py")


OPEN_CALL = re.compile(rf"(?<![.\w])open\(|\.(?:{'|'.join(TEXT_CALLS)})\((?!encoding=)")
IMPORT_STATEMENT = re.compile(r"^\s*(?:from|import)\s+(\w+)", re.MULTILINE)
"""Possible imports. Only files with unknown names are parsed."""


def calls_without_encoding(code: str) -> Iterator[int]:
    if not OPEN_CALL.search(code):
        return
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and not any(keyword.arg == "encoding" for keyword in node.keywords):
            if isinstance(node.func, ast.Attribute) and len(node.args) <= TEXT_CALLS.get(node.func.attr, -1):
                yield node.lineno
            if isinstance(node.func, ast.Name) and node.func.id == "open" and not is_binary(node):
                yield node.lineno


def is_binary(call: ast.Call) -> bool:
    modes = [argument.value for argument in call.args[1:2] if isinstance(argument, ast.Constant)]
    return any("b" in str(mode) for mode in modes)


def test_files_are_opened_with_an_encoding() -> None:
    locations = [
        f"{path.relative_to(PROJECT)}:{line}"
        for path in python_files()
        for line in calls_without_encoding(path.read_text(encoding="utf-8"))
    ]
    assert locations == []


def test_line_ends_are_the_same_on_every_system() -> None:
    attributes = (PROJECT / ".gitattributes").read_text(encoding="utf-8")
    assert re.search(r"^\* text=auto eol=lf$", attributes, re.MULTILINE)
    for path in python_files():
        assert b"\r" not in path.read_bytes(), path


def test_file_names_are_valid_on_every_system() -> None:
    require_git()
    names = subprocess.run(
        ["git", "ls-files"], cwd=PROJECT, capture_output=True, encoding="utf-8", check=False
    ).stdout.splitlines()
    reserved = re.compile(r'[<>:"\\|?*]|[ .](?:/|$)|(?:^|/)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|/|$)', re.IGNORECASE)
    assert [name for name in names if reserved.search(name)] == []
    assert len({name.lower() for name in names}) == len(names)


def imported_modules(code: str) -> set[str]:
    """Return all modules that the code imports."""
    nodes = list(ast.walk(ast.parse(code)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def top_level_name(name: str) -> str:
    """Return the top-level name of a module, or two names for the shared namespace."""
    return ".".join(name.split(".")[: 1 + name.startswith(SHARED)])


def test_mypy_knows_modules_that_a_project_lacks() -> None:
    """Imports of packages that no lock of a project contains must be listed in mypy's configuration."""
    config = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    optional = {name.removesuffix(".*") for override in config["overrides"] for name in override["module"]}
    locks = [(PROJECT / lock).read_text(encoding="utf-8") for lock in (BASE, DEV)]
    locked = {canonicalize_name(name) for lock in locks for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    known_modules = {*sys.stdlib_module_names, *SOURCES, "tests", *optional}
    for name, packages in packages_distributions().items():
        for package in {package for package in packages if canonicalize_name(package) in locked}:
            shared = [".".join(path.parts[:2]) for path in files(package) or () if path.parts[0] == name]
            known_modules |= {part.removesuffix(".py") for part in shared} if name == SHARED else {name}
    codes = [path.read_text(encoding="utf-8") for path in python_files()]
    modules_without_namespace = known_modules - {SHARED}
    parsed = (code for code in codes if not modules_without_namespace.issuperset(IMPORT_STATEMENT.findall(code)))
    names = set[str]().union(*map(imported_modules, parsed))
    assert {top_level_name(name) for name in names} - known_modules - {SHARED} == set()
