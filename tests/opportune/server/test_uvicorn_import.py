"""A server imports what it serves with, and uvicorn's command line when somebody asks for it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from opportune.project import PROJECT
from tests.opportune.cli.command_server import RunCommand, command_server

NEEDLESS = ["click", "multiprocessing", "uvicorn.main", "uvicorn.supervisors"]
IS_IMPORTED = f"told = [name for name in {NEEDLESS} if name in sys.modules]"
IS_THERE = """
from uvicorn.server import Server
from uvicorn.config import Config
told = [uvicorn.Server is Server, uvicorn.Config is Config]
from uvicorn.main import main, run, STARTUP_FAILURE
told += [callable(uvicorn.run), main.name, run.__module__, STARTUP_FAILURE]
"""
COMMAND_LINE = """
import contextlib, io
told = [uvicorn.main.__name__]
with contextlib.redirect_stdout(io.StringIO()):
    uvicorn.main(['--version'], standalone_mode=False)
told.append(uvicorn.main.name)
"""
ALL = [True, True, True, "main", "uvicorn.main", 3]
PROGRAM = """
import json, os, sys
import importlib
assert "uvicorn" not in sys.modules
for name in [name for name in sys.modules if name.partition(".")[0] == "click"]:
    del sys.modules[name]  # httpx has it where its command line could run
importlib.import_module(sys.argv[2])
import uvicorn
for look in sys.argv[3:]:
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        continue
    exec(look)
    print(json.dumps(told), flush=True)
    os._exit(0)
"""
"""Each look finds what a server has imported, and nothing of what another one has asked for."""


@pytest.fixture(scope="module")
def run() -> Iterator[RunCommand]:
    """Runs code in processes that have imported nothing of ours, and no uvicorn."""
    with command_server(PROJECT) as run:
        yield run


def look(run: RunCommand, speedups: str, module: str, *looks: str) -> list[Any]:
    """What each look finds in a new process that has imported this module."""
    code, said = run(f"SPEEDUPS={speedups}", "-c", PROGRAM, module, *looks)
    assert code == 0, said
    return [json.loads(line) for line in said.splitlines()]


def test_with_speedups_one_worker_imports_what_it_serves_with_and_all_of_uvicorn_is_there_for_whoever_asks(
    run: RunCommand,
) -> None:
    assert look(run, "on", "opportune.cli.server", IS_IMPORTED, IS_THERE, COMMAND_LINE) == [[], ALL, ["call", "main"]]


def test_without_them_uvicorn_imports_all_by_itself(run: RunCommand) -> None:
    assert look(run, "off", "opportune.server.uvicorn_first", IS_IMPORTED, IS_THERE) == [NEEDLESS, ALL]
