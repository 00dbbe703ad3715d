"""System libraries of the local model, and advice if one is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from opportune.config.settings import Settings
from opportune.contrib import llm
from opportune.contrib.llm.providers import libraries, local
from opportune.contrib.llm.providers.libraries import OPENMP

IMPORT_ERROR = """\
Traceback (most recent call last):
  File "local_server.py", line 27, in main
ImportError: libgomp.so.1: cannot open shared object file: No such file or directory
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the wheels for other systems bring their own")


@pytest.fixture
def bare_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a system without OpenMP, such as minimal Debian."""
    monkeypatch.setattr(libraries, "is_installed", lambda library: library != OPENMP)


def test_is_installed_finds_the_library() -> None:
    assert libraries.is_installed("libc.so.6")
    assert not libraries.is_installed("libnowhere.so.1")


def test_complete_system_keeps_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "is_installed", lambda _: True)
    assert libraries.missing_library() == ""
    with libraries.environment() as environ:
        assert environ == os.environ


@pytest.mark.usefixtures("bare_system")
def test_bundled_openmp_is_added_to_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(libraries, "bundled_openmp", lambda: tmp_path / "libgomp-870cb1d0.so.1.0.0")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/theirs")
    assert libraries.missing_library() == ""
    with libraries.environment() as environ:
        bundled, existing = environ["LD_LIBRARY_PATH"].split(":")
        assert (Path(bundled, OPENMP).readlink(), existing) == (tmp_path / "libgomp-870cb1d0.so.1.0.0", "/opt/theirs")
    assert not Path(bundled).exists()


@pytest.mark.usefixtures("bare_system")
def test_missing_openmp_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "bundled_openmp", lambda: None)
    assert "apt install libgomp1, or set LLM_BASE_URL" in libraries.missing_library()
    with libraries.environment() as environ:
        assert environ == os.environ


def test_only_the_local_model_needs_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "missing_library", lambda: "apt install libgomp1")
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
    assert line in libraries.explain_exit(output)


def test_bundled_openmp_loads() -> None:
    file = libraries.bundled_openmp()
    if file is None:
        pytest.skip("pykdtree has no wheel for this Python")
    code = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, file], check=True, timeout=60)
