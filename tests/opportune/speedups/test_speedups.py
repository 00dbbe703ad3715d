"""Speed-ups with private names of libraries. A site also runs without them."""

import ast
import json
import logging
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import chain
from pathlib import Path

import pytest

from opportune.application import create_app
from opportune.config import speedups
from opportune.config.speedups import PACKAGE, are_on, module_of, speedup
from opportune.db.drivers.sqlite import SQLiteDatabase
from opportune.project import layout
from opportune.project.layout import FRAMEWORK, PROJECT, env_file_value
from opportune.speedups import require
from opportune.testing.plugin import settings_for
from tests.opportune.cli.command_server import PYTEST_OPTIONS, command_server
from tests.opportune.cli.conftest import ProjectCopy

FOLDER = FRAMEWORK / "speedups"
MODULES = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
FETCH = "statements", "fetch"
SQLADMIN_ADAPTER = FRAMEWORK / "admin/sqladmin_adapter.py"
"""The only other module with private names. The admin needs it."""

NAMED_TUPLE = {"_asdict", "_replace"}
"""Public methods of named tuples, despite their names."""

NODE_TYPES = (
    ast.arg,
    ast.AsyncFunctionDef,
    ast.Attribute,
    ast.Call,
    ast.ClassDef,
    ast.FunctionDef,
    ast.ImportFrom,
    ast.Name,
)
"""Syntax nodes that define or use a name."""

PRIVATE = re.compile(r"\b_(?!_)\w+")
USED = re.compile(rf"\.\s*({PRIVATE.pattern})|^\s*from .*{PRIVATE.pattern}|^\s+_.*,$|attr\(.*\"_", re.MULTILINE)
"""Possible uses of a private name, found without parsing."""
PLAIN_DEFINITION = re.compile(
    rf"^\s*(?:(?:async )?def |class |(?:(?:self|cls)\.)?(?={PRIVATE.pattern}(?:: | = )))({PRIVATE.pattern})",
    re.MULTILINE,
)
"""Definitions at the start of a line. Files with other definitions are parsed."""

RUN_TESTS_AND_PRINT_OPENAPI = """
import json, sys, pytest
code = int(pytest.main(sys.argv[2:]))
from opportune.application import create_app
from opportune.testing.plugin import settings_for
print(json.dumps(create_app(settings_for("sqlite:///unused.db")).openapi()))
print(code)
"""
CORE_TESTS = (
    "-q",
    "-x",
    "@tests/opportune/core.txt",
    "-k",
    "not named and not without_tables and not (test_session and postgresql)",
)
"""Tests that use speed-ups."""


@pytest.fixture
def cleared_cache() -> Iterator[None]:
    """Clear the cached decisions before and after the test."""
    for function in (are_on, module_of):
        function.cache_clear()
    yield
    for function in (are_on, module_of):
        function.cache_clear()


@pytest.mark.parametrize("module", MODULES)
def test_module_works_with_installed_libraries(module: str) -> None:
    import_module(f"{PACKAGE}.{module}")


@pytest.mark.usefixtures("cleared_cache")
@pytest.mark.parametrize(
    ("environ", "file", "on"),
    [
        (None, None, True),
        (None, "SPEEDUPS=off", False),
        (None, "# SPEEDUPS=off", True),
        ("off", None, False),
        ("off", "SPEEDUPS=on", False),
        ("on", "SPEEDUPS=off", True),
    ],
)
def test_environment_switches_speedups_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environ: str | None, file: str | None, on: bool
) -> None:
    monkeypatch.setattr(layout, "PROJECT", tmp_path)
    monkeypatch.delenv("SPEEDUPS", raising=False)
    if environ is not None:
        monkeypatch.setenv("SPEEDUPS", environ)
    if file is not None:
        (tmp_path / ".env").write_text(file)
    assert env_file_value("SPEEDUPS") == ("" if file is None or "#" in file else file.removeprefix("SPEEDUPS="))
    assert (speedup(*FETCH, None) is not None) is on


@pytest.mark.usefixtures("cleared_cache")
def test_broken_module_is_replaced_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr("sqlalchemy.sql.ClauseElement._compile_w_cache")
    monkeypatch.delitem(sys.modules, f"{PACKAGE}.statements")
    with caplog.at_level(logging.WARNING, speedups.logger.name):
        assert [speedup(*FETCH, None) for _ in range(2)] == [None, None]
    (line,) = caplog.messages
    assert line.startswith("opportune.speedups.statements is not used")
    assert "_compile_w_cache" in line


def test_missing_private_name_is_reported() -> None:
    class Library:
        def _present(self) -> None: ...

    require(Library, "_present")
    with pytest.raises(ImportError, match=r"Library no longer has _missing"):
        require(Library, "_present", "_missing")


def test_sqlite_driver_depends_on_speedups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/site.db"
    for is_on, driver in ((True, "fused"), (False, "aiosqlite")):
        monkeypatch.setattr(speedups, "are_on", lambda is_on=is_on: is_on)
        from opportune.db.factory import open_database  # after the change of `are_on`

        database = open_database(settings_for(url))
        assert isinstance(database, SQLiteDatabase)
        assert database.engine.dialect.driver == driver


@pytest.mark.usefixtures("postgres_server")  # used by the tests in the process
def test_core_tests_pass_without_the_folder(tmp_path: Path) -> None:
    """Also compare the OpenAPI documents. SPEEDUPS=off has the same effect, in `are_on`."""
    copy = ProjectCopy(tmp_path / "copy").folder
    shutil.rmtree(copy / FOLDER.relative_to(PROJECT))
    shutil.copy(PROJECT / "pyproject.toml", copy)
    for folder in ("docs", "tests"):
        (copy / folder).symlink_to(PROJECT / folder)
    with command_server(copy) as run:
        code, output = run("-c", RUN_TESTS_AND_PRINT_OPENAPI, *PYTEST_OPTIONS, *CORE_TESTS)
    log, document, last = output.rstrip().rsplit("\n", 2)
    assert (code, last) == (0, "0"), log[-7000:]
    assert " passed" in log
    assert "is not used" not in log
    documents = json.loads(document), create_app(settings_for("sqlite:///unused.db")).openapi()
    for openapi in documents:
        del openapi["components"]["securitySchemes"]  # with the scopes of routes of other tests
    assert documents[0] == documents[1]


def parse_nodes(text: str) -> list[ast.AST]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, NODE_TYPES)]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def find_defined_names(files: Iterable[list[ast.AST]]) -> set[str]:
    """Return the private names that these files define."""
    names = set()
    for node in chain.from_iterable(files):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                names.add(name)
    return names


def find_private_uses(nodes: list[ast.AST], own_names: set[str]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.ImportFrom(module=str(module), names=names) if not module.startswith(("opportune", "app")):
                parts = [*module.split("."), *(alias.name for alias in names)]
                yield from (f"{module}: {part}" for part in parts if is_private(part))
            case ast.Attribute(value=ast.Name(id="os" | "sys" | "zlib")) | ast.Call(args=[ast.Name(id="sys"), *_]):
                """Documented private names of the standard library."""
            case (
                ast.Attribute(attr=name)
                | ast.Call(
                    func=ast.Name(id="getattr" | "hasattr") | ast.Attribute(attr="setattr" | "delattr"),
                    args=[_, ast.Constant(value=str(name)), *_],
                )
            ) if is_private(name) and name not in own_names and name not in NAMED_TUPLE:
                yield name


def test_only_speedups_use_private_names_of_libraries() -> None:
    """Only files that may use or define private names are parsed, because parsing all takes two seconds."""
    texts = {path: path.read_text() for folder in (FRAMEWORK, PROJECT / "app") for path in folder.rglob("*.py")}
    plainly_defined = {name for text in texts.values() for name in PLAIN_DEFINITION.findall(text)}
    possible_uses = {
        path: {*USED.findall(text)} - plainly_defined
        for path, text in texts.items()
        if FOLDER not in path.parents and path != SQLADMIN_ADAPTER
    }
    names = set().union(*possible_uses.values())
    own_names = plainly_defined | find_defined_names(
        map(parse_nodes, (text for text in texts.values() if names & {*PRIVATE.findall(text)}))
    )
    uses_by_file = {
        path.relative_to(PROJECT).as_posix(): sorted(uses)
        for path, possible_names in possible_uses.items()
        if possible_names and (uses := set(find_private_uses(parse_nodes(texts[path]), own_names)))
    }
    assert uses_by_file == {}
