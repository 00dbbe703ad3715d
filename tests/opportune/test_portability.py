"""What Windows and macOS would stumble over. Neither is here: CI has mypy read the code as they would."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import files, packages_distributions
from pathlib import Path

import pytest

from opportune.cli.environment.entry import BASE, DEV
from opportune.cli.environment.installation import plain
from opportune.config.project import PROJECT
from tests.opportune.cli.project.git_program import need_git

SOURCES = ("opportune", "app", "migrations")
SHARED = "opentelemetry"
"""A package of which several distributions have a part."""
TEXT_CALLS = {"read_text": 0, "write_text": 1}
"""Functions whose encoding is Windows' own unless it is named, and which argument that is."""


def modules() -> Iterator[Path]:
    yield PROJECT / "oppman.py"
    for folder in SOURCES:
        yield from (PROJECT / folder).rglob("*.py")


OPENING = re.compile(rf"(?<![.\w])open\(|\.(?:{'|'.join(TEXT_CALLS)})\((?!encoding=)")
IMPORTING = re.compile(r"^\s*(?:from|import)\s+(\w+)", re.MULTILINE)
"""What code has to be parsed for: words may read like imports, and no import reads otherwise."""


def calls_without_encoding(code: str) -> Iterator[int]:
    if not OPENING.search(code):
        return
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and not any(keyword.arg == "encoding" for keyword in node.keywords):
            if isinstance(node.func, ast.Attribute) and len(node.args) <= TEXT_CALLS.get(node.func.attr, -1):
                yield node.lineno
            if isinstance(node.func, ast.Name) and node.func.id == "open" and not is_binary(node):
                yield node.lineno


def is_binary(call: ast.Call) -> bool:
    modes = [each.value for each in call.args[1:2] if isinstance(each, ast.Constant)]
    return any("b" in str(mode) for mode in modes)


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("path.read_text()", [1]),
        ("path.write_text(text)", [1]),
        ("open(path)", [1]),
        ("path.read_text('utf-8')\npath.write_text(text, encoding='utf-8')\npath.read_bytes()", []),
    ],
)
def test_what_names_no_encoding_is_found(code: str, lines: list[int]) -> None:
    assert list(calls_without_encoding(code)) == lines


def test_texts_are_read_and_written_in_an_encoding_that_is_named() -> None:
    found = [
        f"{path.relative_to(PROJECT)}:{line}"
        for path in modules()
        for line in calls_without_encoding(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_git_keeps_the_same_line_ends_on_every_system() -> None:
    attributes = (PROJECT / ".gitattributes").read_text(encoding="utf-8")
    assert re.search(r"^\* text=auto eol=lf$", attributes, re.MULTILINE)
    for path in modules():
        assert b"\r" not in path.read_bytes(), path


def test_no_file_has_a_name_that_another_system_cannot_have() -> None:
    need_git()
    names = subprocess.run(
        ["git", "ls-files"], cwd=PROJECT, capture_output=True, encoding="utf-8", check=False
    ).stdout.splitlines()
    reserved = re.compile(r'[<>:"\\|?*]|[ .](?:/|$)|(?:^|/)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|/|$)', re.IGNORECASE)
    assert [name for name in names if reserved.search(name)] == []
    assert len({name.lower() for name in names}) == len(names)


def imported(code: str) -> set[str]:
    """The modules that a module imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(code)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def beginning(name: str) -> str:
    """What tells whose a module is: of a namespace that packages share its first two names."""
    return ".".join(name.split(".")[: 1 + name.startswith(SHARED)])


def test_mypy_finds_in_a_projects_environment_what_the_framework_imports() -> None:
    """What no lock of a project has is named for mypy, which else would complain there and not here."""
    config = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    optional = {name.removesuffix(".*") for each in config["overrides"] for name in each["module"]}
    locks = [(PROJECT / lock).read_text(encoding="utf-8") for lock in (BASE, DEV)]
    locked = {plain(name) for lock in locks for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    found = {*sys.stdlib_module_names, *SOURCES, "tests", *optional}
    for name, packages in packages_distributions().items():
        for package in {each for each in packages if plain(each) in locked}:
            shared = [".".join(path.parts[:2]) for path in files(package) or () if path.parts[0] == name]
            found |= {each.removesuffix(".py") for each in shared} if name == SHARED else {name}
    codes = [path.read_text(encoding="utf-8") for path in modules()]
    plainly = found - {SHARED}
    names = set[str]().union(*(imported(code) for code in codes if not plainly.issuperset(IMPORTING.findall(code))))
    assert {beginning(name) for name in names} - found - {SHARED} == set()
