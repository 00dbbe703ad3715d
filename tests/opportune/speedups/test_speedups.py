"""Speed-ups with private names of libraries. A site also runs without them."""

import json
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from opportune.application import create_app
from opportune.config import speedups
from opportune.config.speedups import PACKAGE, are_on, module_of, speedup
from opportune.project import layout
from opportune.project.layout import FRAMEWORK, PROJECT, read_setting
from opportune.testing.plugin import settings_for
from tests.opportune.cli.command_server import PYTEST_OPTIONS, command_server
from tests.opportune.cli.conftest import ProjectCopy

FOLDER = FRAMEWORK / "speedups"
FETCH = "statements", "fetch"
SQLADMIN_ADAPTER = FRAMEWORK / "admin/sqladmin_adapter.py"
"""The only other module with private names. The admin needs it."""

DEFINITION = re.compile(r"(?:\b(?:def|class) |\b(?:self|cls)\.|^\s+)(_[a-z]\w*)", re.MULTILINE)
PRIVATE_ATTRIBUTE = re.compile(r'attr\([^,]+, "(_[a-z]\w*)"')
PRIVATE_IMPORT = re.compile(r"^\s*from (?!opportune|app)(?:\S*\._\w+ import|\S+ import .*?\b_[a-z]).*", re.MULTILINE)
STANDARD_LIBRARY = {"_base_executable", "_current_frames", "_getframe"}
"""Private names of `sys`."""

RUN_TESTS_AND_PRINT_OPENAPI = """
import json, sys, pytest
code = int(pytest.main(sys.argv[2:]))
from opportune.application import create_app
from opportune.testing.plugin import settings_for
print(json.dumps(create_app(settings_for("sqlite:///unused.db")).openapi()))
print(code)
"""
CORE_TESTS = (
    *("-q", "-x", "@tests/opportune/core.txt", "-k"),
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


@pytest.mark.parametrize("module", sorted(path.stem for path in FOLDER.glob("[a-z]*.py")))
def test_module_works_with_installed_libraries(module: str) -> None:
    import_module(f"{PACKAGE}.{module}")


@pytest.mark.usefixtures("cleared_cache")
@pytest.mark.parametrize(
    ("environ", "file", "on"),
    [(None, None, True), (None, "SPEEDUPS=off", False), ("off", "SPEEDUPS=on", False), ("on", "SPEEDUPS=off", True)],
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
    assert (read_setting("SPEEDUPS") != "off") is on
    assert (speedup(*FETCH, None) is not None) is on


@pytest.mark.usefixtures("cleared_cache")
def test_broken_module_is_replaced(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delattr("sqlalchemy.sql.ClauseElement._compile_w_cache")
    monkeypatch.delitem(sys.modules, f"{PACKAGE}.statements")
    with caplog.at_level(logging.WARNING, speedups.logger.name):
        assert [speedup(*FETCH, None) for _ in range(2)] == [None, None]
    (line,) = caplog.messages
    assert line.startswith("opportune.speedups.statements is not used")
    assert "_compile_w_cache" in line


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


def test_only_speedups_use_private_names_of_libraries() -> None:
    folders = FRAMEWORK, PROJECT / "app"
    texts = {path: path.read_text() for folder in folders for path in folder.rglob("*.py")}
    own_names = {name for text in texts.values() for name in DEFINITION.findall(text)} | STANDARD_LIBRARY
    uses = [(Path(row["filename"]), row["message"].split("`")[1]) for row in private_accesses(*folders)]
    for path, text in texts.items():
        uses += [(path, name) for name in PRIVATE_ATTRIBUTE.findall(text)]
        uses += [(path, line) for line in PRIVATE_IMPORT.findall(text)]
    others = [(path, name) for path, name in uses if FOLDER not in path.parents and path != SQLADMIN_ADAPTER]
    assert [(path, name) for path, name in others if name not in own_names] == []


def private_accesses(*folders: Path) -> list[dict[str, Any]]:
    """Return ruff's findings of private names that are used outside their class."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--isolated", "--exit-zero", "--select=SLF001"]
    result = subprocess.run(
        [*command, "--output-format=json", *folders], capture_output=True, check=True, text=True, timeout=60
    )
    findings: list[dict[str, Any]] = json.loads(result.stdout)
    return findings
