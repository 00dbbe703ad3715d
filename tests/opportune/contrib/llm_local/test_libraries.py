"""System libraries of the local model, advice if one is missing, and modules that only a question imports."""

import os
import sys
from pathlib import Path

import pytest

from opportune.config.settings import Settings
from opportune.contrib import llm
from opportune.contrib.llm_local import local
from opportune.contrib.llm_local.local import OPENMP

IMPORT_ERROR = """\
Traceback (most recent call last):
  File "local_server.py", line 27, in main
ImportError: libgomp.so.1: cannot open shared object file: No such file or directory
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the wheels for other systems bring their own")


@pytest.mark.parametrize(("is_installed", "advice"), [(True, ""), (False, "apt install libgomp1, or set LLM_BASE_URL")])
def test_missing_openmp_names_the_package(is_installed: bool, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "is_installed", lambda library: is_installed or library != OPENMP)
    monkeypatch.setattr(local, "bundled_openmp", lambda: None)
    assert advice in local.missing_library()
    assert bool(local.missing_library()) is not is_installed
    with local.environment() as environ:
        assert environ == os.environ


def test_only_the_local_model_needs_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "missing_library", lambda: "apt install libgomp1")
    monkeypatch.setattr(local, "find_weights", lambda: Path("weights.gguf"))
    settings = Settings(_env_file=None, environment="development")
    assert llm.missing_library(settings) == "apt install libgomp1"
    assert llm.missing_library(settings.model_copy(update={"llm_base_url": "https://example.com/v1"})) == ""
    monkeypatch.setattr(local, "find_weights", lambda: None)
    assert llm.missing_library(settings) == ""


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (IMPORT_ERROR, "needs libgomp.so.1, which is missing. Run apt install libgomp1,"),
        ("libfoo.so.2: cannot open shared object file", "needs libfoo.so.2, which is missing. Run apt install"),
        ("RuntimeError: Failed to init server\n", "cannot run here (RuntimeError: Failed to init server)"),
        ("", "cannot run here (its process ended)"),
    ],
)
def test_exit_of_the_process_is_explained(output: str, line: str) -> None:
    assert line in local.explain_exit(output)
