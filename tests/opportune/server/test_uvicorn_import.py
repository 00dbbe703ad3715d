"""A server imports what it serves with, and uvicorn's command line when somebody asks for it."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from opportune.project import PROJECT

SERVES = "import sys, json, opportune.cli.server; import uvicorn; "
TELLS = "; print(json.dumps(told))"
NEEDLESS = ["click", "multiprocessing", "uvicorn.main", "uvicorn.supervisors"]


def output_of(code: str, **environ: str) -> Any:
    """What a new process prints as JSON."""
    run = subprocess.run(
        [sys.executable, "-c", SERVES + code + TELLS],
        cwd=PROJECT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert not run.stderr
    return json.loads(run.stdout)


def test_one_worker_imports_neither_click_nor_what_supervises_several() -> None:
    assert output_of(f"told = [name for name in {NEEDLESS} if name in sys.modules]", SPEEDUPS="on") == []
    assert output_of(f"told = [name for name in {NEEDLESS} if name in sys.modules]", SPEEDUPS="off") == NEEDLESS


@pytest.mark.parametrize("speedups", ["on", "off"])
def test_all_of_uvicorn_is_there_for_whoever_asks(speedups: str) -> None:
    code = (
        "from uvicorn.server import Server; from uvicorn.config import Config; "
        "told = [uvicorn.Server is Server, uvicorn.Config is Config]; "
        "from uvicorn.main import main, run, STARTUP_FAILURE; "
        "told += [callable(uvicorn.run), main.name, run.__module__, STARTUP_FAILURE]"
    )
    assert output_of(code, SPEEDUPS=speedups) == [True, True, True, "main", "uvicorn.main", 3]


def test_who_calls_its_command_line_calls_uvicorns_own() -> None:
    code = (
        "import contextlib, io\n"
        "told = [uvicorn.main.__name__]\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    uvicorn.main(['--version'], standalone_mode=False)\n"
        "told.append(uvicorn.main.name)"
    )
    assert output_of(code, SPEEDUPS="on") == ["call", "main"]
