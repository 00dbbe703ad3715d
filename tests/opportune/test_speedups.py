"""Private parts of libraries are used in adapters alone, and the site runs without these."""

import ast
import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import chain
from pathlib import Path

import pytest

from opportune.config import project, speedups
from opportune.config.project import FRAMEWORK, PROJECT, env_file_value
from opportune.config.speedups import are_on, module_of, require, speedup
from opportune.db.drivers.sqlite import SQLiteDatabase
from opportune.testing.plugin import settings_for
from opportune.web.routing.router import Router
from tests.opportune.cli.command_server import PYTEST_OPTIONS, command_server

ADAPTERS = sorted(
    ".".join(path.relative_to(PROJECT).with_suffix("").parts)
    for path in FRAMEWORK.rglob("*_adapter.py")
    if "admin" not in path.parts  # without SQLAdmin's private parts there is no admin
)

FAST_ROUTER = "opportune.web.routing.fast_router_adapter", "FastRouter"

NAMED_TUPLE = {"_asdict", "_replace"}
"""Which are public, and begin so because the names of fields do not."""

KINDS = (ast.arg, ast.AsyncFunctionDef, ast.Attribute, ast.ClassDef, ast.FunctionDef, ast.If, ast.ImportFrom, ast.Name)
"""The nodes of a program that have or use a name, or say what only types want."""

PRIVATE = re.compile(r"\b_(?!_)\w+")
USED = re.compile(rf"\.\s*({PRIVATE.pattern})|^\s*from .*{PRIVATE.pattern}|^\s+_.*,$", re.MULTILINE)
"""How such a name may stand in a text, or one that is imported, which gives no name here."""
PLAINLY_DEFINED = re.compile(
    rf"^\s*(?:(?:async )?def |class |(?:(?:self|cls)\.)?(?={PRIVATE.pattern}(?:: | = )))({PRIVATE.pattern})",
    re.MULTILINE,
)
"""What begins a line with its definition. What it does not find is parsed."""

DESCRIBE = """
import json
from opportune.application import create_app
from opportune.testing.plugin import settings_for
print(json.dumps(create_app(settings_for("sqlite:///unused.db")).openapi()))
"""
WITHOUT_THEM = f"""
import sys, pytest
code = int(pytest.main(sys.argv[2:]))
{DESCRIBE}
print(code, *sys.modules)
"""
CORE_TESTS = (
    "-q",
    "-x",
    "@tests/opportune/core.txt",
    "-k",
    "not named and not without_tables and not (test_session and postgresql)",
)
"""Without what asks no adapter: wrong addresses, and a database that is not migrated. A route asks one on SQLite."""


@pytest.fixture
def asked_anew() -> Iterator[None]:
    """What has been decided for this process is decided again, and once more for the tests that follow."""
    for known in (are_on, module_of):
        known.cache_clear()
    yield
    for known in (are_on, module_of):
        known.cache_clear()


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_can_do_its_work_with_the_libraries_that_are_installed(adapter: str) -> None:
    import_module(adapter)


@pytest.mark.usefixtures("asked_anew")
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
def test_the_environment_says_before_the_file_whether_they_are_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environ: str | None, file: str | None, on: bool
) -> None:
    monkeypatch.setattr(project, "PROJECT", tmp_path)
    monkeypatch.delenv("SPEEDUPS", raising=False)
    if environ is not None:
        monkeypatch.setenv("SPEEDUPS", environ)
    if file is not None:
        (tmp_path / ".env").write_text(file)
    assert env_file_value("SPEEDUPS") == ("" if file is None or "#" in file else file.removeprefix("SPEEDUPS="))
    assert (speedup(*FAST_ROUTER, Router) is not Router) is on


@pytest.mark.usefixtures("asked_anew")
def test_an_adapter_whose_library_has_changed_is_left_out_with_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr("fastapi.dependencies.utils._get_body_field")
    monkeypatch.delitem(sys.modules, FAST_ROUTER[0])
    with caplog.at_level(logging.WARNING, speedups.logger.name):
        assert [speedup(*FAST_ROUTER, Router) for _ in range(2)] == [Router, Router]
    (line,) = caplog.messages
    assert line.startswith("opportune.web.routing.fast_router_adapter is not used")
    assert "_get_body_field" in line


def test_an_adapter_tells_which_private_name_it_wants() -> None:
    class Theirs:
        def _kept(self) -> None: ...

    require(Theirs, "_kept")
    with pytest.raises(ImportError, match=r"Theirs no longer has _gone"):
        require(Theirs, "_kept", "_gone")


def test_without_them_a_database_of_sqlite_speaks_by_sqlalchemys_own_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/site.db"
    for said, driver in ((True, "fused"), (False, "aiosqlite")):
        monkeypatch.setattr(speedups, "are_on", lambda said=said: said)
        from opportune.db.factory import open_database  # noqa: PLC0415 - with what was just said

        database = open_database(settings_for(url))
        assert isinstance(database, SQLiteDatabase)
        assert database.engine.dialect.driver == driver


@pytest.mark.usefixtures("postgres_server")  # which its tests find
def test_the_core_of_the_suite_passes_without_them_and_the_api_describes_itself_alike() -> None:
    """The public ways are what is left when a newer release has moved what an adapter needs."""
    with command_server(PROJECT) as run:  # whose processes have imported nothing that would have asked for adapters
        code, output = run("SPEEDUPS=off", "-c", WITHOUT_THEM, *PYTEST_OPTIONS, *CORE_TESTS)
        described_with_them = run("-c", DESCRIBE)
    said, described, last = output.rstrip().rsplit("\n", 2)
    assert (code, last.partition(" ")[0]) == (0, "0"), said[-7000:]
    assert " passed" in said
    assert set(ADAPTERS).isdisjoint(last.split())
    assert json.loads(described)["paths"]
    assert described_with_them == (0, f"{described}\n")


def nodes(text: str) -> list[ast.AST]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, KINDS)]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def defined(files: Iterable[list[ast.AST]]) -> set[str]:
    """The private names of our own."""
    names = set()
    for node in chain.from_iterable(files):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                names.add(name)
    return names


def private_uses(nodes: list[ast.AST], ours: set[str]) -> Iterator[str]:
    only_types = {id(node) for block in nodes if is_type_checking(block) for node in ast.walk(block)}
    for node in nodes:
        match node:
            case ast.ImportFrom(module=str(module), names=names) if not module.startswith(("opportune", "app")):
                parts = [*module.split("."), *(alias.name for alias in names)]
                if id(node) not in only_types:
                    yield from (f"{module}: {part}" for part in parts if is_private(part))
            case ast.Attribute(value=ast.Name(id="os" | "sys" | "zlib")):
                """Of the standard library, which documents some of its private names."""
            case ast.Attribute(attr=name) if is_private(name) and name not in ours and name not in NAMED_TUPLE:
                yield name


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_private_names_of_libraries_are_used_in_adapters_alone() -> None:
    """To parse all files takes two seconds, so those alone are parsed that may have one, or define one."""
    texts = {path: path.read_text() for folder in (FRAMEWORK, PROJECT / "app") for path in folder.rglob("*.py")}
    plainly_ours = {name for text in texts.values() for name in PLAINLY_DEFINED.findall(text)}
    doubtful = {
        path: {*USED.findall(text)} - plainly_ours
        for path, text in texts.items()
        if not path.name.endswith("_adapter.py")
    }
    names = set().union(*doubtful.values())
    ours = plainly_ours | defined(map(nodes, (text for text in texts.values() if names & {*PRIVATE.findall(text)})))
    found = {
        path.relative_to(PROJECT).as_posix(): sorted(uses)
        for path, of_file in doubtful.items()
        if of_file and (uses := set(private_uses(nodes(texts[path]), ours)))
    }
    assert found == {}
